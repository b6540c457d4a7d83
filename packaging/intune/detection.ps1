# Intune remediation, detection script. Run it with the logged-on credentials: it looks at the files
# of the person who is logged on. Exit code 1 starts the remediation script. Servers that no wrapping
# could govern, such as URLs, do not: the compliance policy counts them.
$ErrorActionPreference = 'Stop'

# Intune may start a 32-bit PowerShell, whose ProgramFiles is another one.
$programs = if ($env:ProgramW6432) { $env:ProgramW6432 } else { $env:ProgramFiles }
$thoth = Join-Path $programs 'Thoth\thoth.exe'
if (-not (Test-Path -LiteralPath $thoth -PathType Leaf)) {
    Write-Output "thoth is not installed"
    exit 1
}
# Native programs report by exit code; what they write to standard error is no error of the script.
$ErrorActionPreference = 'Continue'
$told = & $thoth wrap-config --all --check --drift 2>&1 | Out-String
$code = $LASTEXITCODE
if ($code -eq 0) {
    Write-Output 'governed'
    exit 0
}
# Intune keeps the last line, and 2048 characters of it.
$line = ($told -replace '\s+', ' ').Trim()
$line = "exit code ${code}: $line"
Write-Output $line.Substring(0, [Math]::Min($line.Length, 2000))
exit 1
