# Win32 app, detection rule: installed where this exits with 0 and prints something. Set the version
# to that of the package you assign.
$least = [version] '0.1.0'

# Intune may start a 32-bit PowerShell, whose ProgramFiles is another one.
$programs = if ($env:ProgramW6432) { $env:ProgramW6432 } else { $env:ProgramFiles }
$thoth = Join-Path $programs 'Thoth\thoth.exe'
if (-not (Test-Path -LiteralPath $thoth -PathType Leaf)) { exit 1 }
$told = & $thoth --version
# Of 0.2.0-rc.1, the part before the dash counts.
if ($told -match '^thoth (\d+\.\d+\.\d+)' -and [version] $Matches[1] -ge $least) {
    Write-Output $told
    exit 0
}
exit 1
