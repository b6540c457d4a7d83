# The scripts for Intune, in the order in which Intune runs them, on a machine that may be changed:
# the release workflow's. Needs administrator's rights.
[CmdletBinding()]
param([Parameter(Mandatory)] [string] $Package)
$ErrorActionPreference = 'Stop'

$scripts = Join-Path $PSScriptRoot '..\intune'
$shell = (Get-Process -Id $PID).Path

# Runs a script as Intune does, in a PowerShell of its own; its output and exit code.
function Invoke-Script([string] $Name, [string[]] $Arguments = @()) {
    $given = @('-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', $Name) + $Arguments
    $told = & $shell $given | Out-String
    return [pscustomobject]@{ Told = $told.Trim(); Code = $LASTEXITCODE }
}

function Assert-That([bool] $Holds, [string] $What) {
    if (-not $Holds) { throw "not so: $What" }
    Write-Output "ok: $What"
}

$errors = $null
foreach ($script in Get-ChildItem -Path $scripts -Filter '*.ps1') {
    [System.Management.Automation.Language.Parser]::ParseFile($script.FullName, [ref] $null, [ref] $errors) | Out-Null
    Assert-That ($errors.Count -eq 0) "$($script.Name) parses"
}

$found = (Invoke-Script "$scripts\compliance-discovery.ps1").Told | ConvertFrom-Json
Assert-That (-not $found.ThothInstalled) 'without thoth, it is told to be missing'
Assert-That ((Invoke-Script "$scripts\detect-app.ps1").Code -eq 1) 'without thoth, the app is not detected'
Assert-That ((Invoke-Script "$scripts\detection.ps1").Code -eq 1) 'without thoth, there is something to remedy'

$stage = Join-Path $env:RUNNER_TEMP 'app'
New-Item -ItemType Directory -Path $stage -Force | Out-Null
Copy-Item -LiteralPath $Package -Destination $stage
Copy-Item -Path "$scripts\install.ps1" -Destination $stage
$installed = Invoke-Script "$stage\install.ps1" @('-Tenant', 'acme', '-Environment', 'dev')
Assert-That ($installed.Code -eq 0) "the app installs: $($installed.Told)"
$managed = Join-Path $env:ProgramData 'Thoth\thoth-config.json'
$settings = Get-Content -LiteralPath $managed -Raw | ConvertFrom-Json
Assert-That ($settings.tenant_id -eq 'acme' -and $settings.locked -contains 'env') 'the managed configuration is written'
$writers = (Get-Acl -LiteralPath $managed).Access |
    Where-Object { $_.FileSystemRights -match 'Write|Modify|FullControl' } |
    ForEach-Object { $_.IdentityReference.Translate([System.Security.Principal.SecurityIdentifier]).Value }
Assert-That (@($writers | Where-Object { $_ -notin 'S-1-5-18', 'S-1-5-32-544' }).Count -eq 0) 'only administrators may write it'

Assert-That ((Invoke-Script "$scripts\detect-app.ps1").Code -eq 0) 'the app is detected'
$path = Join-Path $env:APPDATA 'Claude\claude_desktop_config.json'
New-Item -ItemType Directory -Path (Split-Path $path) -Force | Out-Null
$config = '{"mcpServers": {"files": {"command": "npx", "args": ["-y", "some-server"]}}}'
[System.IO.File]::WriteAllText($path, $config)
Assert-That ((Invoke-Script "$scripts\detection.ps1").Code -eq 1) 'an ungoverned server is detected'
$found = (Invoke-Script "$scripts\compliance-discovery.ps1").Told | ConvertFrom-Json
Assert-That ($found.ThothInstalled -and $found.ThothUngovernedServers -eq 1) 'and counted'
Assert-That ((Invoke-Script "$scripts\remediation.ps1").Code -eq 0) 'it is remedied'
Assert-That ((Invoke-Script "$scripts\detection.ps1").Code -eq 0) 'and detected no more'
Assert-That ((Invoke-Script "$scripts\unwrap.ps1").Code -eq 0) 'it is unwrapped'
Assert-That ([System.IO.File]::ReadAllText($path) -ceq $config) 'to the byte'

Assert-That ((Invoke-Script "$scripts\uninstall.ps1" @('-Purge')).Code -eq 0) 'the app is removed'
Assert-That (-not (Test-Path -LiteralPath (Join-Path $env:ProgramFiles 'Thoth\thoth.exe'))) 'the program is gone'
Assert-That (-not (Test-Path -LiteralPath $managed)) 'and the managed configuration'
