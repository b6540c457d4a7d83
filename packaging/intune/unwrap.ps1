# Intune platform script or remediation, run with the logged-on credentials, before the app is
# uninstalled: unwraps every server of the person who is logged on. Their wrapped servers would not
# start without thoth.
$ErrorActionPreference = 'Stop'

# Intune may start a 32-bit PowerShell, whose ProgramFiles is another one.
$programs = if ($env:ProgramW6432) { $env:ProgramW6432 } else { $env:ProgramFiles }
$thoth = Join-Path $programs 'Thoth\thoth.exe'
if (-not (Test-Path -LiteralPath $thoth -PathType Leaf)) { exit 0 }
$ErrorActionPreference = 'Continue'
& $thoth unwrap-config --all
exit $LASTEXITCODE
