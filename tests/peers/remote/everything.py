"""The battery's session with server-everything, once on standard input and output with nobody between, and once
over HTTP through `thoth run --url`. It is the same server: what the client saw must be the same."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from battery.meet import AT_ONCE, Meeting, bare, play
from battery.pairs import ALL_CLIENTS, Client, Server, everything
from battery.transcripts import UNORDERED, difference, normal
from remote.matrix import over
from remote.served import everything as over_http
from remote.served import listening

TRANSPORTS = ("streamableHttp", "sse")


def meetings(thoth: Path, folder: Path) -> list[Meeting]:
    """Every client, over every transport."""
    pairs = [(client, transport) for transport in TRANSPORTS for client in ALL_CLIENTS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda pair: meet(*pair, thoth, folder), pairs))


def meet(client: Client, transport: str, thoth: Path, folder: Path) -> Meeting:
    """Plays the session twice and compares."""
    server, served = Server("everything", everything), over_http(transport)
    home = folder / f"{client.name}-{transport}"
    with listening(served.command, folder / f"{home.name}.server.log") as port:
        target = ["--url", f"http://127.0.0.1:{port}{served.path}"]
        runs = [play(client, server, home, way) for way in (bare, over(thoth, target))]
    meeting = Meeting(client.name, transport, runs)
    for name, run in zip(("bare", "governed"), runs, strict=True):
        (folder / f"{home.name}.{name}.json").write_text(run.printed)
        if run.status != 0:
            meeting.wrong.append(f"{name}: the client ended with {run.status}; see {home.name}/stderr.log")
    meeting.wrong += [f"left behind: {orphan}" for orphan in runs[1].orphans]
    if not meeting.wrong and (diff := difference(*(normal(common(run.printed, transport)) for run in runs))):
        meeting.wrong.append(f"the client saw something else\n{diff}")
    return meeting


def common(document: str, transport: str) -> str:
    """What the server says alike on a pipe and over HTTP.

    Over HTTP it names the session, and has an environment of its own. And it says five times that its tools changed
    while the session is being opened: over Streamable HTTP that is before anybody can listen, and every client loses
    it, with thoth and without. Over HTTP+SSE nobody does.
    """
    read = json.loads(re.sub(r" from session [0-9a-f-]{36}", " ", document))
    for step in read["transcript"]:
        if step.get("tool") in UNORDERED:
            step.pop("result", None)
    if transport == "streamableHttp":
        read["told"] = [said for said in read["told"] if "notifications/tools/list_changed" not in said]
    return json.dumps(read)
