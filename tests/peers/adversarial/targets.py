"""Servers that would execute the corpus, each with the tools `allowed` and `forbidden`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import places

SERVERS = places.SUITE / "adversarial" / "servers"


@dataclass(frozen=True)
class Target:
    """One server."""

    name: str
    command: list[str]
    lax: bool = False
    """Whether it is one of ours that reads everything and keeps number literals."""
    often: bool = True
    """Whether it starts fast enough for the cases that need a process of their own. FastMCP takes
    seconds, and what differs in those cases is the SDK below it, which is a target itself."""

    def on(self, ledger: Path) -> list[str]:
        """Its command line, writing executions to this ledger."""
        program, file, *options = self.command
        return [program, file, str(ledger), *options]


def python(name: str, line: int, file: str, often: bool = True) -> Target:
    return Target(name, [str(places.python(line)), str(SERVERS / file)], often=often)


def node(name: str, file: str) -> Target:
    return Target(name, ["node", str(places.script(f"adversarial/servers/{file}"))])


def lax(name: str, *options: str) -> Target:
    return Target(name, [sys.executable, str(SERVERS / "lax.py"), *options], lax=True)


TARGETS = [
    python("python-1", 1, "python_1.py"),
    python("python-2", 2, "python_2.py"),
    python("fastmcp-2", 1, "fast.py", often=False),
    python("fastmcp-4", 2, "fast.py", often=False),
    node("typescript-1", "typescript_1.mjs"),
    node("typescript-2", "typescript_2.mjs"),
    lax("lax-last"),
    lax("lax-first", "--keys", "first", "--split", "universal"),
    lax("lax-unicode", "--split", "unicode"),
    lax("lax-fold", "--fold"),
]
