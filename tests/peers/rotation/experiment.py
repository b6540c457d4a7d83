"""Tokens that rotate and sessions that are dropped, under four bridges from stdio to HTTP.

Twenty calls, then something happens to the server, then ten calls more: how many of those ten succeed, and how
many were executed. What thoth does is asserted; what the others do is printed, and nobody's failure.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import places
from processes import Lost, Process
from rotation.server import Server

BEFORE, AFTER = 20, 10
ANSWERS_WITHIN = 10.0
STARTS_WITHIN = 30.0
LATE = 0.8
"""Seconds between the end of the old token and the arrival of the new one, where it is late."""

POLICY = '[policy]\nid = "all"\nversion = 1\ndefault = "allow"\n'


@dataclass(frozen=True)
class Bridge:
    """One bridge: how it is started before a server, in a folder that has its token in a file."""

    name: str
    command: Callable[[str, Path], list[str]]


@dataclass(frozen=True)
class Row:
    """What became of the calls after it happened."""

    bridge: str
    scenario: str
    succeeded: int
    executed: int
    refused: int
    strays: int
    is_alive: bool


Happening = Callable[[Server, Path], None]


def steady(_server: Server, _folder: Path) -> None:
    """Nothing happens."""


def dropped(server: Server, _folder: Path) -> None:
    """The server forgets its sessions, as after a restart."""
    server.drop_sessions()


def written_first(server: Server, folder: Path) -> None:
    """The new token is in its file before the old one ends."""
    write_token(folder, "second")
    server.accept_only("second")


def revoked_first(server: Server, folder: Path) -> None:
    """The old token ends before the new one is in its file."""
    server.accept_only("second")
    threading.Timer(LATE, write_token, (folder, "second")).start()


SCENARIOS: dict[str, Happening] = {
    "steady": steady,
    "session dropped": dropped,
    "token rotated, written first": written_first,
    "token rotated, revoked first": revoked_first,
}


def write_token(folder: Path, token: str) -> None:
    """Replaces the token's files, whole: alone in one, as a header in the other."""
    for name, text in (("token", token), ("header", f"Authorization: Bearer {token}\n")):
        new = folder / f"{name}.new"
        new.write_text(text)
        new.chmod(0o600)
        os.replace(new, folder / name)


def bridges(thoth: Path | None) -> list[Bridge]:
    """Who takes part."""

    def run(url: str, folder: Path) -> list[str]:
        (folder / "all.toml").write_text(POLICY)
        flags = ["--agent-id", "peer", "--policy", str(folder / "all.toml")]
        environment = ["env", f"THOTH_HOME_DIR={folder / 'home'}"]
        return [*environment, str(thoth), "run", *flags, "--url", url, "--upstream-token-file", str(folder / "token")]

    def remote(url: str, folder: Path) -> list[str]:
        script = places.npm_bridge("mcp-remote/dist/proxy.js")
        return ["node", str(script), url, "--header-file", str(folder / "header"), "--allow-http", "--transport", "http-only"]

    def gateway(url: str, folder: Path) -> list[str]:
        script = places.npm_bridge("supergateway/dist/index.js")
        token = (folder / "token").read_text()
        return ["node", str(script), "--streamableHttp", url, "--oauth2Bearer", token, "--logLevel", "none"]

    def proxy(url: str, folder: Path) -> list[str]:
        token = (folder / "token").read_text()
        program = places.pypi_bridge("mcp-proxy")
        return ["env", f"API_ACCESS_TOKEN={token}", str(program), "--transport", "streamablehttp", url]

    own = [Bridge("thoth", run)] if thoth else []
    return [*own, Bridge("mcp-remote 0.15.1", remote), Bridge("supergateway 4.0.0", gateway), Bridge("mcp-proxy 0.13.0", proxy)]


def measure(bridge: Bridge, scenario: str, folder: Path) -> Row:
    """Plays one scenario through one bridge."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_token(folder, "first")
    server = Server("first")
    process = Process(bridge.command(server.url, folder), folder)
    succeeded, is_alive = 0, True
    try:
        greet(process)
        for n in range(1, BEFORE + 1):
            if not call(process, n):
                raise Lost(f"call {n} failed before anything had happened")
        SCENARIOS[scenario](server, folder)
        silent = 0
        for n in range(BEFORE + 1, BEFORE + AFTER + 1):
            try:
                succeeded += call(process, n)
                silent = 0
            except Lost as lost:
                silent += 1
                if str(lost) != "fell silent" or silent == 2:
                    is_alive = str(lost) == "fell silent"
                    break
    except Lost:
        is_alive = False
    finally:
        process.end()
        time.sleep(LATE if scenario.endswith("revoked first") else 0)  # its timer is over, too
        server.stop()
    executed = len([n for n in server.executed if n > BEFORE])
    return Row(bridge.name, scenario, succeeded, executed, server.refused, len(server.strays), is_alive)


def greet(process: Process) -> None:
    """Shakes hands."""
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "peers", "version": "1"}}
    ask(process, 0, "initialize", params, STARTS_WITHIN)
    process.write(line({"jsonrpc": "2.0", "method": "notifications/initialized"}))


def call(process: Process, n: int) -> bool:
    """Makes one call: whether it succeeded."""
    answer = ask(process, n, "tools/call", {"name": "echo", "arguments": {"n": n}}, ANSWERS_WITHIN)
    return "result" in answer and not answer["result"].get("isError")


def ask(process: Process, number: int, method: str, params: dict, seconds: float) -> dict:
    """Sends a request and waits for its answer."""
    found: list[dict] = []

    def is_it(text: bytes) -> bool:
        try:
            message = json.loads(text)
        except ValueError:
            return False
        if isinstance(message, dict) and message.get("id") == number and "method" not in message:
            found.append(message)
        return bool(found)

    process.take()
    process.write(line({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
    process.wait_for(is_it, seconds)
    return found[0]


def line(message: dict) -> bytes:
    """One message as a line."""
    return json.dumps(message).encode() + b"\n"


def experiment(thoth: Path | None, folder: Path) -> list[Row]:
    """Every scenario through every bridge."""
    rows = []
    for bridge in bridges(thoth):
        for number, scenario in enumerate(SCENARIOS):
            rows.append(measure(bridge, scenario, folder / bridge.name.replace(" ", "-") / str(number)))
    return rows


def wrong(rows: list[Row]) -> list[str]:
    """What thoth did not do as it should."""
    return [
        f"{row.scenario}: {row.succeeded} of {AFTER} succeeded, {row.executed} were executed"
        for row in rows
        if row.bridge == "thoth" and (row.succeeded, row.executed) != (AFTER, AFTER)
    ]


def table(rows: list[Row]) -> str:
    """All of it, as `docs/remote.md` has it: succeeded of ten (executed)."""
    lines = ["| bridge | " + " | ".join(SCENARIOS) + " |", "|---" * (len(SCENARIOS) + 1) + "|"]
    for bridge in dict.fromkeys(row.bridge for row in rows):
        cells = [cell(row) for row in rows if row.bridge == bridge]
        lines.append(f"| {bridge} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(row: Row) -> str:
    """One row in short."""
    notes = [] if row.executed == row.succeeded else [f"{row.executed} executed"]
    notes += [] if row.is_alive else ["process ended"]
    notes += [f"{row.strays} requests elsewhere"] if row.strays else []
    return f"{row.succeeded}/{AFTER}" + (f" ({', '.join(notes)})" if notes else "")
