"""The official conformance suite's scenarios for clients: the SDK's client at the scenario's server, and the same client
before `thoth run --url`, so that what the server sees is thoth.

Without a login the verdicts must be the same, check by check. In those about logins thoth is the client, with
`thoth auth login` and a browser that goes where it is sent: nothing may fail, but for what `KNOWN` lists.
"""

import json
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import places
from processes import environment

AT_ONCE = 3
WITHIN = 120

# By revision, which the TypeScript SDK's 1.x line speaks, or its 2.x line.
SDKS = {"2025-03-26": "1", "2025-11-25": "1", "2026-07-28": "2"}
PLAIN = {
    "2025-11-25": [
        "elicitation-sep1034-client-defaults",
        "initialize",
        "json-schema-2020-12-preservation",
        "sse-retry",
        "tools_call",
    ],
    "2026-07-28": [
        "http-custom-headers",
        "http-invalid-tool-headers",
        "http-standard-headers",
        "json-schema-2020-12-preservation",
        "json-schema-ref-no-deref",
        "request-metadata",
        "sep-2322-client-request-state",
        "tools_call",
    ],
}
OLDER = [
    "auth/basic-cimd",
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/pre-registration",
    "auth/scope-from-scopes-supported",
    "auth/scope-from-www-authenticate",
    "auth/scope-omitted-when-undefined",
    "auth/scope-retry-limit",
    "auth/scope-step-up",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-none",
    "auth/token-endpoint-auth-post",
]
LOGINS = {
    "2025-03-26": ["auth/2025-03-26-oauth-endpoint-fallback", "auth/2025-03-26-oauth-metadata-backcompat"],
    "2025-11-25": OLDER,
    "2026-07-28": [
        *OLDER,
        "auth/authorization-server-migration",
        "auth/iss-normalized",
        "auth/iss-not-advertised",
        "auth/iss-supported",
        "auth/iss-supported-missing",
        "auth/iss-unexpected",
        "auth/iss-wrong-issuer",
        "auth/metadata-issuer-mismatch",
        "auth/offline-access-not-supported",
        "auth/offline-access-scope",
        "auth/resource-mismatch",
    ],
}

# What thoth does not do, on purpose.
KNOWN = {"auth/2025-03-26-oauth-endpoint-fallback": "a server that does not describe itself cannot be logged in at"}

Checks = Counter[tuple[str, str, str]]


def check(thoth: Path | None, folder: Path) -> tuple[int, list[str]]:
    """Returns how many checks were as they should be, and what was not."""
    plain = [(era, name) for era, names in PLAIN.items() for name in names]
    logins = [(era, name) for era, names in LOGINS.items() for name in names] if thoth else []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        bare = list(pool.map(lambda one: verdict(None, *one, folder), plain))
        through = list(pool.map(lambda one: verdict(thoth, *one, folder), plain)) if thoth else bare
        logged_in = list(pool.map(lambda one: verdict(thoth, *one, folder), logins))
    held, wrong = 0, list[str]()
    for (era, name), one, other in zip(plain, bare, through, strict=True):
        held += (one & other).total()
        changes = {"bare only": one - other, "through thoth only": other - one}
        wrong += [f"{name} {era}: {where}: {status} {check}" for where in changes for _, check, status in changes[where]]
        wrong += [] if one else [f"{name} {era}: no verdict"]
    for (era, name), checks in zip(logins, logged_in, strict=True):
        failed = [f"{name} {era}: {status} {check}" for _, check, status in checks if status != "SUCCESS"]
        if bool(failed) != (name in KNOWN):
            wrong += failed or [f"{name} {era}: no longer fails"]
        held += sum(count for (_, _, status), count in checks.items() if status == "SUCCESS")
        wrong += [] if checks else [f"{name} {era}: no verdict"]
    print(f"conformance of clients: {len(plain)} scenarios without a login, {len(logins)} with one")
    return held, [f"conformance of clients, {one}" for one in wrong]


def verdict(thoth: Path | None, era: str, scenario: str, folder: Path) -> Checks:
    """What the suite says of the client in one scenario: its checks by id, name and status."""
    home = folder / f"client-{era}-{scenario.replace('/', '-')}-{'thoth' if thoth else 'bare'}"
    home.mkdir(parents=True)
    policy = home / "policy.toml"
    policy.write_text('[policy]\nid = "all"\nversion = 1\ndefault = "allow"\n')
    client = [str(places.node()), str(places.script("conformance/client.mjs")), SDKS[era]]
    client += [str(thoth), str(policy), str(home)] if thoth else []
    suite = places.NODE_MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    command = [str(places.node()), str(suite), "client", "--command", " ".join(client), "--scenario", scenario]
    command += ["--spec-version", era, "--output-dir", str(home / "results")]
    with (home / "suite.log").open("wb") as log:
        subprocess.run(command, env=environment(home, "conformance"), stdout=log, stderr=log, timeout=WITHIN, check=False)
    checks = [one for path in home.glob("results/**/checks.json") for one in json.loads(path.read_text())]
    return Counter((one["id"], one["name"], one["status"]) for one in checks if one["status"] != "INFO")
