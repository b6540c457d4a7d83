"""Real servers that lose their sessions: what each says to the name of a session it does not know, and what becomes
of a call through `thoth run --url` after it was restarted at its address."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import places
from battery.meet import ALLOW_ALL, AT_ONCE
from processes import Lost, Process
from remote.served import ALL_SERVED, Served, everything, listening
from rotation.experiment import ask, greet

ANSWERS_WITHIN = 10.0
HAS_SESSIONS = ("sessions", "resumable", "sse")


@dataclass
class Loss:
    """One server: what it says of a lost session, and how the calls after it went."""

    name: str
    says: str
    wrong: str


def losses(thoth: Path, folder: Path) -> list[Loss]:
    """Every server that has sessions, and the one that its makers show others."""
    servers = [server for server in ALL_SERVED if server.mode in HAS_SESSIONS] + [everything("streamableHttp")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda server: lose(server, thoth, folder / f"lost-{server.name}-{server.mode}"), servers))


def lose(server: Served, thoth: Path, folder: Path) -> Loss:
    """Restarts the server between the calls of one session: twice, since what was healed once must be again."""
    folder.mkdir(parents=True)
    policy = folder / "allow-all.toml"
    policy.write_text(ALLOW_ALL)
    log, port, outcomes = folder / "server.log", places.free_port(), list[str]()
    url = f"http://127.0.0.1:{port}{server.path}"
    command = [str(thoth), "run", "--agent-id", "peers", "--policy", str(policy), "--url", url]
    with listening(server.command, log, port):
        says = stranger(port, server)
        session = Process(command, folder)
        greet(session)
        outcomes.append(call(session, 1))
    for number in (2, 3):
        with listening(server.command, log, port):
            outcomes.append(call(session, number))
    session.end()
    wrong = "" if set(outcomes) == {"executed"} else f"not healed: {', '.join(outcomes)}"
    return Loss(f"{server.name} {server.mode}", says, wrong)


def call(session: Process, number: int) -> str:
    """Makes one call, and says how it went."""
    said = f"call {number}"
    try:
        params = {"name": "echo", "arguments": {"text": said, "message": said}}
        answer = ask(session, number, "tools/call", params, ANSWERS_WITHIN)
    except Lost as lost:
        return str(lost)
    if "error" in answer:
        return json.dumps(answer["error"])
    return "executed" if said in answer["result"]["content"][0]["text"] else json.dumps(answer["result"])


def stranger(port: int, server: Served) -> str:
    """What the server says to a call in a session it does not know."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWERS_WITHIN)
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}})
    name = "0123456789abcdef0123456789abcdef"
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= {"Mcp-Session-Id": name, "MCP-Protocol-Version": "2025-06-18"}
    older = "/messages?sessionId=" if server.name == "typescript-1" else "/messages/?session_id="
    path = f"{older}{name}" if server.mode == "sse" else server.path
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode(errors='replace').strip()}"
    finally:
        connection.close()


def table(lost: list[Loss]) -> str:
    """One row for each server."""
    rows = [f"{'server':26} {'restarted':>9}  says of a session that it does not know"]
    for loss in lost:
        rows.append(f"{loss.name:26} {'not healed' if loss.wrong else 'healed':>10}  {loss.says[:150]}")
    return "\n".join(rows)
