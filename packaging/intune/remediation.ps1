# Intune remediation, remediation script. Run it with the logged-on credentials. Wraps what the
# detection found; servers that cannot be wrapped, such as URLs, are told and are no failure here:
# the compliance policy counts them.
$ErrorActionPreference = 'Stop'

# Intune may start a 32-bit PowerShell, whose ProgramFiles is another one.
$programs = if ($env:ProgramW6432) { $env:ProgramW6432 } else { $env:ProgramFiles }
$thoth = Join-Path $programs 'Thoth\thoth.exe'
if (-not (Test-Path -LiteralPath $thoth -PathType Leaf)) {
    Write-Output 'thoth is not installed: assign the app first'
    exit 1
}
$ErrorActionPreference = 'Continue'
$told = & $thoth wrap-config --all 2>&1 | Out-String
$code = $LASTEXITCODE
$line = ($told -replace '\s+', ' ').Trim()
$line = "exit code ${code}: $line"
Write-Output $line.Substring(0, [Math]::Min($line.Length, 2000))
# 10: wrapped what can be, and something is left.
if ($code -eq 0 -or $code -eq 10) { exit 0 }
exit 1
