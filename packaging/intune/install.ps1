# Win32 app, install command, run as SYSTEM, with the .msi beside this script:
#
#   %SystemRoot%\Sysnative\WindowsPowerShell\v1.0\powershell.exe -ExecutionPolicy Bypass `
#       -File install.ps1 -Tenant acme -Environment prod `
#       -EnforcerUrl https://enforce.example -EnforcementMode progressive
#
# Installs the package and writes the managed configuration, which people cannot change and whose
# locked keys they cannot override. A parameter that is left out leaves its key out; with none of
# them, an existing file stays as it is.
[CmdletBinding()]
param(
    [ValidatePattern('^[A-Za-z0-9._-]*$')] [string] $Tenant = '',
    [ValidateSet('', 'dev', 'staging', 'prod')] [string] $Environment = '',
    [ValidatePattern('^(https://\S+)?$')] [string] $EnforcerUrl = '',
    [ValidateSet('', 'observe', 'progressive', 'step_up', 'block')] [string] $EnforcementMode = '',
    [ValidatePattern('^[A-Za-z0-9:,+/=-]*$')] [string] $Pins = '',
    [ValidatePattern('^(https://\S+)?$')] [string] $GovapiUrl = '',
    # Rule files that only administrators may write, and names of packs, separated by commas.
    [string] $Policy = '',
    # Keys people cannot override, separated by commas, or all; by default every key that is written.
    [ValidatePattern('^[a-z0-9_,]*$')] [string] $Locked = ''
)
$ErrorActionPreference = 'Stop'

$package = Get-ChildItem -LiteralPath $PSScriptRoot -Filter 'thoth-*.msi' | Select-Object -First 1
if ($null -eq $package) { throw "there is no thoth-*.msi in $PSScriptRoot" }
$arguments = @('/i', "`"$($package.FullName)`"", '/qn', '/norestart')
$installer = Start-Process -FilePath 'msiexec.exe' -ArgumentList $arguments -Wait -PassThru
# 3010: installed, and wants a restart.
if ($installer.ExitCode -ne 0 -and $installer.ExitCode -ne 3010) { exit $installer.ExitCode }

$settings = [ordered]@{}
if ($Tenant) { $settings['tenant_id'] = $Tenant }
if ($Environment) { $settings['env'] = $Environment }
if ($EnforcerUrl) { $settings['enforcer_url'] = $EnforcerUrl }
if ($EnforcementMode) { $settings['enforcement_mode'] = $EnforcementMode }
if ($Pins) { $settings['tls_pinned_cert_sha256'] = $Pins }
if ($GovapiUrl) { $settings['govapi_url'] = $GovapiUrl }
if ($Policy) { $settings['policy'] = @($Policy -split ',') }
if ($settings.Count -gt 0) {
    $names = if ($Locked -eq 'all') { @('*') } elseif ($Locked) { $Locked -split ',' } else { @($settings.Keys) }
    $settings['enrollment_source'] = 'intune'
    $settings['locked'] = @($names)

    $directory = Join-Path $env:ProgramData 'Thoth'
    New-Item -ItemType Directory -Path $directory -Force | Out-Null
    # ProgramData lets everybody create directories, so this one may be somebody's trap.
    $attributes = (Get-Item -LiteralPath $directory -Force).Attributes
    if ($attributes -band [System.IO.FileAttributes]::ReparsePoint) { throw "$directory is a link" }
    # Only SYSTEM and administrators may write. By SID, because the names are translated; reset
    # first, because a right that somebody gave themselves would stay.
    & icacls.exe $directory /setowner '*S-1-5-32-544' /q | Out-Null
    & icacls.exe $directory /reset /q | Out-Null
    & icacls.exe $directory /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' `
        '*S-1-5-32-545:(OI)(CI)RX' /q | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "the permissions of $directory cannot be set" }

    $file = Join-Path $directory 'thoth-config.json'
    $new = "$file.new"
    if (Test-Path -LiteralPath $new) { Remove-Item -LiteralPath $new -Recurse -Force }
    # Without a byte order mark, which Windows PowerShell's own encodings would write.
    $text = ($settings | ConvertTo-Json) + "`r`n"
    [System.IO.File]::WriteAllText($new, $text, (New-Object System.Text.UTF8Encoding $false))
    & icacls.exe $new /setowner '*S-1-5-32-544' /q | Out-Null
    Move-Item -LiteralPath $new -Destination $file -Force
    # Whoever made the file before may have kept rights of their own.
    & icacls.exe $file /reset /q | Out-Null
}
exit $installer.ExitCode
