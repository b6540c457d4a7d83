# Signs a program or a package, in the release workflow: the certificate is in CERTIFICATE, a .pfx in
# Base64, its password in PASSWORD. Without a certificate the file stays unsigned, which is said.
[CmdletBinding()]
param([Parameter(Mandatory)] [string] $Path)
$ErrorActionPreference = 'Stop'

if (-not $env:CERTIFICATE) {
    Write-Output "::warning::no certificate: $Path is not signed"
    exit 0
}
$file = Join-Path $env:RUNNER_TEMP 'certificate.pfx'
[System.IO.File]::WriteAllBytes($file, [System.Convert]::FromBase64String($env:CERTIFICATE))
try {
    $password = ConvertTo-SecureString $env:PASSWORD -AsPlainText -Force
    $certificate = Import-PfxCertificate -FilePath $file -Password $password -CertStoreLocation Cert:\CurrentUser\My
    $signed = Set-AuthenticodeSignature -FilePath $Path -Certificate $certificate -HashAlgorithm SHA256 `
        -TimestampServer 'http://timestamp.digicert.com'
    if ($signed.Status -ne 'Valid') { throw "the signature of $Path is $($signed.Status)" }
}
finally {
    Remove-Item -LiteralPath $file -Force
}
