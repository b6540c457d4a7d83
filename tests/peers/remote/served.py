"""The servers that are reached over HTTP: each on one SDK, in one way of answering, at a port of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import places

HERE = Path(__file__).resolve().parent / "servers"
LISTENS_WITHIN = 30.0
ENDS_WITHIN = 8.0


@dataclass(frozen=True)
class Served:
    """One server over HTTP, in a mode that its `command` ends in; it takes a port there, or in the variable `PORT`."""

    name: str
    mode: str
    command: list[str]

    @property
    def path(self) -> str:
        """Where it speaks MCP."""
        return "/sse" if self.mode == "sse" else "/mcp"


def typescript(line: int) -> list[str]:
    return ["node", str(places.script(f"remote/servers/typescript_{line}.mjs"))]


def python(line: int) -> list[str]:
    return [str(places.python(line)), str(HERE / f"python_{line}.py")]


def fastmcp(line: int) -> list[str]:
    return [str(places.python(line)), str(HERE / "fastmcp_server.py")]


def everything(transport: str) -> Served:
    """server-everything over HTTP."""
    return Served("everything", transport, ["node", str(places.module("server-everything")), transport])


MODES = {
    "typescript-1": (typescript(1), ["sessions", "resumable", "json", "stateless", "sse"]),
    "typescript-2": (typescript(2), ["sessions", "resumable", "json", "stateless"]),
    "python-1": (python(1), ["sessions", "resumable", "json", "stateless", "sse"]),
    "python-2": (python(2), ["sessions", "resumable", "json", "stateless", "sse"]),
    "fastmcp-2": (fastmcp(1), ["sessions", "stateless"]),
    "fastmcp-4": (fastmcp(2), ["sessions", "stateless"]),
    "rmcp": ([str(places.rmcp()), "serve"], ["sessions", "json", "stateless"]),
}
ALL_SERVED = [Served(name, mode, [*command, mode]) for name, (command, modes) in MODES.items() for mode in modes]


@contextmanager
def listening(command: list[str], log: Path, port: int | None = None) -> Iterator[int]:
    """The server on this or a free port, until it is not needed any more."""
    port = port or places.free_port()
    with log.open("ab") as output:
        server = subprocess.Popen(
            [*command, str(port)],
            env={**os.environ, "PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(port, server)
        yield port
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
