"""The official conformance suite against real servers: bare, and behind `thoth serve` with a command or a URL.

Its verdicts must be the same, check by check, but for what `BETTER` lists.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import places
from conformance import clients
from processes import environment

HERE = Path(__file__).resolve().parent
WITHIN = 300

# Revision of the protocol, the server that speaks it, and how the suite is told.
ERAS = {
    "2025-11-25": ("server_1.mjs", ["--spec-version", "2025-11-25"]),
    "2026-07-28": ("server_2.mjs", ["--requirements", "2026-07-28"]),
}

# Where the server alone does less than thoth in front of it: revision, scenario, and why.
BETTER = {
    ("2026-07-28", "server-sse-multiple-streams"): "who names streams first gets them from thoth, JSON from the SDK",
    ("2026-07-28", "http-custom-header-server-validation"): "thoth holds Mcp-Param-* against the body; the SDK does not",
}

Checks = Counter[tuple[str, str, str]]
Verdicts = dict[str, Checks]


def check(thoth: Path | None, folder: Path) -> tuple[int, list[str]]:
    """Returns how many checks were alike, and what was not."""
    folder.mkdir(parents=True, exist_ok=True)
    alike, failures = 0, list[str]()
    for era, (script, flags) in ERAS.items():
        server = [str(places.node()), str(places.script(f"conformance/{script}"))]
        with bare(server, folder) as url:
            expected = verdicts(f"{url}/mcp", flags, folder / f"{era}-bare")
            passed = Counter(status for checks in expected.values() for _, _, status in checks.elements())
            print(f"conformance {era}: {len(expected)} scenarios, bare {dict(passed)}")
            if thoth is None:
                continue
            ways = {"command": ["--", *server, "stdio"], "url": ["--url", f"{url}/mcp"]}
            for way, command in ways.items():
                place = folder / f"{era}-{way}"
                with served(thoth, command, place) as reached:
                    met = verdicts(reached, flags, place / "results")
                held, wrong = compare(era, expected, met)
                alike += held
                failures += [f"conformance {era}, serve with a {way}: {one}" for one in wrong]
    held, wrong = clients.check(thoth, folder)
    return alike + held, failures + wrong


def compare(era: str, expected: Verdicts, met: Verdicts) -> tuple[int, list[str]]:
    """How many checks are alike, and those that are not."""
    alike, wrong = 0, list[str]()
    for scenario in sorted(expected | met):
        one, other = expected.get(scenario, Counter()), met.get(scenario, Counter())
        alike += (one & other).total()
        lost, found = one - other, other - one
        if (era, scenario) in BETTER and is_better(lost, found):
            continue
        for change, checks in (("bare only", lost), ("served only", found)):
            wrong += [f"{scenario}: {change}: {status} {name}" for _, name, status in checks.elements()]
    return alike, wrong


def is_better(lost: Checks, found: Checks) -> bool:
    """Whether nothing that held is lost, and nothing new fails."""
    kept = all(status in ("FAILURE", "INFO") for _, _, status in lost)
    return kept and all(status == "SUCCESS" for _, _, status in found)


def verdicts(url: str, flags: list[str], folder: Path) -> Verdicts:
    """What the suite says of the server at this URL: for each scenario its checks, by id, name and status."""
    folder.mkdir(parents=True, exist_ok=True)
    suite = places.NODE_MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    command = [str(places.node()), str(suite), "server", "--url", url, "--output-dir", str(folder), *flags]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        subprocess.run(command, env=environment(folder, "conformance"), stdout=log, stderr=log, timeout=WITHIN, check=False)
    found = Verdicts()
    for path in folder.glob("server-*/checks.json"):
        # server-SCENARIO-2026-11-21T16-53-54-030Z
        scenario = path.parent.name.removeprefix("server-")[:-25]
        checks = json.loads(path.read_text())
        found[scenario] = Counter((one["id"], one["name"], one["status"]) for one in checks)
    return found


@contextmanager
def bare(server: list[str], folder: Path) -> Iterator[str]:
    """The server at a port of its own."""
    with (folder / "server.log").open("ab") as log:
        child = subprocess.Popen([*server, "http"], env=environment(folder, "server"), stdout=subprocess.PIPE, stderr=log)
    try:
        assert child.stdout is not None
        yield f"http://localhost:{int(child.stdout.readline())}"
    finally:
        child.kill()
        child.wait()


@contextmanager
def served(thoth: Path, server: list[str], folder: Path) -> Iterator[str]:
    """The server behind `thoth serve`. Its own origin is allowed: the suite sends it where it expects to be let in."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "policy.toml"
    policy.write_text('[policy]\nid = "all"\nversion = 1\ndefault = "allow"\n')
    port = places.free_port()
    command = [str(thoth), "serve", "--agent-id", "conformance", "--policy", str(policy), "--port", str(port)]
    command += ["--allow-origin", f"http://localhost:{port}", *server]
    with (folder / "thoth.log").open("ab") as log:
        child = subprocess.Popen(
            command, env=environment(folder, "thoth"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert child.stdin is not None and child.stdout is not None
        told = json.loads(child.stdout.readline())
        yield told["path_url"].replace("127.0.0.1", "localhost")
        child.stdin.close()
        assert child.wait(timeout=30) == 0
    finally:
        child.kill()
        child.wait()
