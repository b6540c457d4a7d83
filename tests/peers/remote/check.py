"""The battery's session with server-everything, once on standard input and output with nobody between, and once
over HTTP through `thoth run --url`. It is the same server: what the client saw must be the same."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import places
from battery.meet import ALLOW_ALL, Meeting, Wrap, bare, play
from battery.pairs import ALL_CLIENTS, Client, Server, everything
from battery.transcripts import UNORDERED, difference, normal

LISTENS_WITHIN = 30.0
ENDS_WITHIN = 8.0
TRANSPORTS = {"streamableHttp": "/mcp", "sse": "/sse"}
"""How server-everything is told to be reached, and where it then is."""


def check(thoth: Path, folder: Path) -> list[Meeting]:
    """Every client, over every transport."""
    return [meet(client, transport, thoth, folder) for transport in TRANSPORTS for client in ALL_CLIENTS]


def meet(client: Client, transport: str, thoth: Path, folder: Path) -> Meeting:
    """Plays the session twice and compares."""
    server = Server("everything", everything)
    home = folder / f"{client.name}-{transport}"
    with listening(transport, folder / f"{home.name}.server.log") as url:
        runs = [play(client, server, home, way) for way in (bare, over(thoth, url))]
    meeting = Meeting(client.name, transport, runs)
    for name, run in zip(("bare", "governed"), runs, strict=True):
        (folder / f"{home.name}.{name}.json").write_text(run.printed)
        if run.status != 0:
            meeting.wrong.append(f"{name}: the client ended with {run.status}; see {home.name}/stderr.log")
    meeting.wrong += [f"left behind: {orphan}" for orphan in runs[1].orphans]
    if not meeting.wrong and (diff := difference(*(normal(common(run.printed)) for run in runs))):
        meeting.wrong.append(f"the client saw something else\n{diff}")
    return meeting


def common(document: str) -> str:
    """What the server says alike on a pipe and over HTTP.

    Over HTTP it names the session, and has an environment of its own. And it says that its tools changed while the
    session is being opened: over Streamable HTTP that is before anybody can listen, and is lost with every client.
    """
    read = json.loads(re.sub(r" from session [0-9a-f-]{36}", " ", document))
    for step in read["transcript"]:
        if step.get("tool") in UNORDERED:
            step.pop("result", None)
    read["told"] = [said for said in read["told"] if "notifications/tools/list_changed" not in said]
    return json.dumps(read)


def over(thoth: Path, url: str) -> Wrap:
    """The sidecar before this address, in place of the command."""

    def wrap(home: Path, _command: list[str]) -> list[str]:
        policy = home / "allow-all.toml"
        policy.write_text(ALLOW_ALL)
        return [str(thoth), "run", "--agent-id", "peers", "--policy", str(policy), "--url", url]

    return wrap


@contextmanager
def listening(transport: str, log: Path) -> Iterator[str]:
    """server-everything on a free port, until it is not needed any more."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["node", str(places.module("server-everything")), transport],
            env={**os.environ, "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(port, server)
        yield f"http://127.0.0.1:{port}{TRANSPORTS[transport]}"
    finally:
        server.terminate()
        try:
            server.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Waits until somebody listens there."""
    end = time.monotonic() + LISTENS_WITHIN
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server does not listen")
