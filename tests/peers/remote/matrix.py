"""Clients on five SDKs with servers on seven, over HTTP: at the server's own URL, through `thoth run --url`, and through
`thoth serve --url`. What the client saw must be the same."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import places
from battery.meet import ALLOW_ALL, AT_ONCE, Meeting, Wrap, play
from battery.pairs import ALL_CLIENTS, RMCP, Client, Server
from battery.transcripts import difference, normal
from processes import environment
from remote.served import ALL_SERVED, Served, listening

SESSION = Path(__file__).resolve().parent / "session.json"
OFFER = Server("offer", lambda _: [])
CLIENTS = [*ALL_CLIENTS, RMCP]
SLOW = ("python-1", "python-2")
ASK = {"sample", "elicit", "roots"}
"""Tools that ask the client. Where answers are JSON, or no session is kept, a server has no way to do so."""


def matrix(thoth: Path, folder: Path) -> list[Meeting]:
    """All meetings, some servers at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        groups = pool.map(lambda server: meetings(server, thoth, folder), ALL_SERVED)
        return [meeting for group in groups for meeting in group]


def meetings(server: Served, thoth: Path, folder: Path) -> list[Meeting]:
    """One server with every client, one after the other."""
    name = f"{server.name}-{server.mode}"
    with ExitStack() as stack:
        port = stack.enter_context(listening(server.command, folder / f"{name}.log"))
        url = f"http://127.0.0.1:{port}{server.path}"
        target = [*(["--transport", "sse"] if server.mode == "sse" else []), "--url", url]
        ways: dict[str, Wrap] = {"bare": at(url), "run": over(thoth, target)}
        if server.mode == "sessions":
            ways["serve"] = at(stack.enter_context(serving(thoth, target, folder / f"{name}-serve")))
        return [meet(client, server, ways, folder / f"{client.name}-{name}") for client in clients(server)]


def meet(client: Client, server: Served, ways: dict[str, Wrap], home: Path) -> Meeting:
    """Plays the session in each way, and compares each with the first."""
    session = home.with_name(f"{home.name}.session.json")
    session.write_text(json.dumps({"offer": steps(server)}))
    runs = {way: play(client, OFFER, home.with_name(f"{home.name}-{way}"), wrap, session) for way, wrap in ways.items()}
    meeting = Meeting(client.name, f"{server.name} {server.mode}", list(runs.values()))
    for way, run in runs.items():
        home.with_name(f"{home.name}.{way}.json").write_text(run.printed)
        if run.status != 0:
            meeting.wrong.append(f"{way}: the client ended with {run.status}; see {home.name}-{way}/stderr.log")
        meeting.wrong += [f"{way}: left behind: {orphan}" for orphan in run.orphans]
    if meeting.wrong:
        return meeting
    bare, *others = runs.items()
    for way, run in others:
        if diff := difference(normal(bare[1].printed), normal(run.printed)):
            meeting.wrong.append(f"{way}: the client saw something else\n{diff}")
    return meeting


def steps(server: Served) -> list[Any]:
    """The session, without what this server cannot do."""
    given = json.loads(SESSION.read_text())["offer"]
    if server.mode not in ("json", "stateless"):
        return given
    for step in given:
        step["calls"] = [call for call in step.get("calls", []) if call["tool"] not in ASK]
    # Nor can it connect a cancellation with a call: what a connection that ends means to it is its own affair.
    return [step for step in given if step.get("tool") not in (*ASK, "cancelled")]


def clients(server: Served) -> list[Client]:
    """Who meets this server: everybody where it has sessions, else two, of both eras. FastMCP, which is on the Python
    SDK, meets those that start fast."""
    if server.mode == "sessions":
        return [client for client in CLIENTS if not (client.name in SLOW and server.name.startswith("fastmcp"))]
    # The Rust SDK knows no HTTP+SSE, and 2026-07-28 has none.
    other = "python-1" if server.mode == "sse" else "rmcp"
    return [client for client in CLIENTS if client.name in ("typescript-1", other)]


def at(url: str) -> Wrap:
    """The URL itself, in place of the command."""
    return lambda _home, _command: [url]


def over(thoth: Path, target: list[str]) -> Wrap:
    """The sidecar before this address, in place of the command."""

    def wrap(home: Path, _command: list[str]) -> list[str]:
        policy = home / "allow-all.toml"
        policy.write_text(ALLOW_ALL)
        return [str(thoth), "run", "--agent-id", "peers", "--policy", str(policy), *target]

    return wrap


def table(met: list[Meeting]) -> str:
    """One row for each server, one column for each client."""
    names = [client.name for client in CLIENTS]
    rows = [f"{'server':24}" + "".join(f" {name:>13}" for name in names)]
    for server in dict.fromkeys(meeting.server for meeting in met):
        found = {meeting.client: "FAILED" if meeting.wrong else "identical" for meeting in met if meeting.server == server}
        rows.append(f"{server:24}" + "".join(f" {found.get(name, '-'):>13}" for name in names))
    return "\n".join(rows)


@contextmanager
def serving(thoth: Path, target: list[str], folder: Path) -> Iterator[str]:
    """A listener before this address, and the URL with its secret."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "allow-all.toml"
    policy.write_text(ALLOW_ALL)
    command = [str(thoth), "serve", "--agent-id", "peers", "--policy", str(policy), "--port", str(places.free_port())]
    with (folder / "stderr.log").open("ab") as log:
        child = subprocess.Popen(
            [*command, *target],
            env=environment(folder, "serve"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert child.stdin is not None and child.stdout is not None
    try:
        yield json.loads(child.stdout.readline())["path_url"]
        child.stdin.close()
        assert child.wait(timeout=30) == 0
    finally:
        child.kill()
        child.wait()
