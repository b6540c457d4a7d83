"""Which client meets which server, and the small world in which they meet."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import places

CLIENTS = places.SUITE / "battery" / "clients"
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000000000100010d0a2db40000000049454e44ae426082"
)
GIT = {
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_AUTHOR_EMAIL": "peers@example.com",
    "GIT_AUTHOR_NAME": "Peers",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_EMAIL": "peers@example.com",
    "GIT_COMMITTER_NAME": "Peers",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True)
class Client:
    """One SDK's client; it plays a session file against a command."""

    name: str
    command: list[str]


@dataclass(frozen=True)
class Server:
    """One real server; its session in `sessions.json` has its name."""

    name: str
    command: Callable[[Path], list[str]]


def client(name: str, program: str, script: Path) -> Client:
    return Client(name, [program, str(script)])


def everything(_work: Path) -> list[str]:
    return ["node", str(places.module("server-everything"))]


def filesystem(work: Path) -> list[str]:
    return ["node", str(places.module("server-filesystem")), str(work)]


def memory(work: Path) -> list[str]:
    return ["env", f"MEMORY_FILE_PATH={work / 'memory.jsonl'}", "node", str(places.module("server-memory"))]


def git(work: Path) -> list[str]:
    return [str(places.tool("mcp-server-git")), "--repository", str(work)]


def time(_work: Path) -> list[str]:
    return [str(places.tool("mcp-server-time")), "--local-timezone", "UTC"]


ALL_CLIENTS = [
    client("typescript-1", "node", places.script("battery/clients/typescript_1.mjs")),
    client("typescript-2", "node", places.script("battery/clients/typescript_2.mjs")),
    client("python-1", str(places.python(1)), CLIENTS / "python_1.py"),
    client("python-2", str(places.python(2)), CLIENTS / "python_2.py"),
]
RMCP = Client("rmcp", [str(places.rmcp()), "client"])
ALL_SERVERS = [Server(server.__name__, server) for server in (everything, filesystem, memory, git, time)]


def prepare(home: Path) -> Path:
    """A fresh home with a folder to work in: some files, and a repository with one commit."""
    shutil.rmtree(home, ignore_errors=True)
    work = home / "work"
    work.mkdir(parents=True)
    (work / "notes.txt").write_text("first line\nsecond line\n")
    (work / "dot.png").write_bytes(DOT)
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *command], cwd=work, env={**os.environ, **GIT}, check=True)
    (work / "notes.txt").write_text("first line\nsecond line\nthird line\n")
    return work
