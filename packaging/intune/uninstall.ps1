# Win32 app, uninstall command, run as SYSTEM. Removes the program; with -Purge, the managed
# configuration, too. People's profiles stay: they are theirs. Run unwrap.ps1 as each person first.
[CmdletBinding()]
param([switch] $Purge)
$ErrorActionPreference = 'Stop'

# The 64-bit view: Intune may start a 32-bit PowerShell, which would look at another one.
$machine = [Microsoft.Win32.RegistryKey]::OpenBaseKey(
    [Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
$products = $machine.OpenSubKey('SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall')
$code = 0
foreach ($product in $products.GetSubKeyNames()) {
    if ($product -notmatch '^\{[0-9A-Fa-f-]{36}\}$') { continue }
    if ($products.OpenSubKey($product).GetValue('DisplayName') -ne 'thoth') { continue }
    $arguments = @('/x', $product, '/qn', '/norestart')
    $installer = Start-Process -FilePath 'msiexec.exe' -ArgumentList $arguments -Wait -PassThru
    if ($installer.ExitCode -ne 0) { $code = $installer.ExitCode }
}
if ($Purge -and $code -in @(0, 3010)) {
    $directory = Join-Path $env:ProgramData 'Thoth'
    if (Test-Path -LiteralPath $directory) { Remove-Item -LiteralPath $directory -Recurse -Force }
}
exit $code
