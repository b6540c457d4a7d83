# Intune custom compliance, discovery script for Windows. Run it with the logged-on credentials.
# Prints one object on one line, as compliance-rules.json reads it; a rule without its setting is an
# error at Intune, so every setting is there also where thoth is not.
$ErrorActionPreference = 'Stop'

$missing = [ordered]@{
    ThothInstalled         = $false
    ThothVersion           = '0.0.0'
    ThothStatus            = 'unhealthy'
    ThothRegistered        = $false
    ThothConfigDrifted     = $true
    ThothUngovernedServers = 0
    ThothGovernedServers   = 0
    ThothEnforcerPinOk     = $false
    ThothApiKeyState       = 'unknown'
    ThothEnvironment       = 'unknown'
    ThothProblems          = 'not installed'
}

# Intune may start a 32-bit PowerShell, whose ProgramFiles is another one.
$programs = if ($env:ProgramW6432) { $env:ProgramW6432 } else { $env:ProgramFiles }
$thoth = Join-Path $programs 'Thoth\thoth.exe'
if (-not (Test-Path -LiteralPath $thoth -PathType Leaf)) {
    return $missing | ConvertTo-Json -Compress
}
$ErrorActionPreference = 'Continue'
# The exit code is the status, which is in the object.
$told = & $thoth health --intune 2>$null | Out-String
try {
    $found = $told | ConvertFrom-Json -ErrorAction Stop
    # Read and written anew: what is no object, or lacks a setting, must not reach Intune.
    foreach ($name in $missing.Keys) {
        if ($null -eq $found.$name) { throw "no $name" }
    }
    return $found | ConvertTo-Json -Compress
}
catch {
    $missing.ThothInstalled = $true
    $missing.ThothProblems = 'no answer from thoth health'
    return $missing | ConvertTo-Json -Compress
}
