"""Sends the corpus to one target, bare or through a sidecar, and notes what came of each case."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adversarial.cases import Case
from adversarial.targets import Target
from processes import Lost, Process

ANSWERS_WITHIN = 30.0
BETWEEN_WRITES = 0.002
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "peers", "version": "1.0.0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}

Execution = tuple[str, Any]
"""A tool and its arguments, as the target understood them."""

Wrap = Callable[[list[str]], list[str]]
"""Puts a sidecar before a command; does nothing for a bare run."""


@dataclass
class Outcome:
    """What came of one case."""

    executed: list[Execution] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    lost: str = ""
    """Why the session did not survive the case; empty if it did."""

    def count(self, tool: str) -> int:
        """How often this tool was executed."""
        return sum(name == tool for name, _ in self.executed)


class Drive:
    """One pass of the corpus over one target."""

    def __init__(self, target: Target, wrap: Wrap, calls: bool, folder: Path) -> None:
        """With `calls`, a case is fenced off by a call of the allowed tool; without, by a ping."""
        folder.mkdir(parents=True, exist_ok=True)
        self._ledger = Ledger(folder / "ledger.jsonl")
        self._command = wrap(target.on(self._ledger.path))
        self._folder = folder
        self._calls = calls
        self._fences = 0
        self.outcomes: dict[str, Outcome] = {}
        self.leftovers: list[str] = []

    def run(self, cases: list[Case]) -> None:
        """Sends all cases: most over one session, the others each over their own."""
        self.outcomes = {case.name: Outcome() for case in cases}
        self._shared([case for case in cases if not case.alone])
        for case in cases:
            if case.alone:
                self._alone(case)

    def _shared(self, cases: list[Case]) -> None:
        process: Process | None = None
        for case in cases:
            if process is None:
                process = self._open()
            outcome = self.outcomes[case.name]
            try:
                self._send(process, case)
                self._fence(process, modern=False)
            except Lost as lost:
                outcome.lost = str(lost)
            outcome.answers += answers(process.take())
            if outcome.lost:
                self._end(process, case)
                process = None
            self._settle(case)
        if process is not None:
            self._end(process, None)
            self._settle(None)

    def _alone(self, case: Case) -> None:
        modern = case.opening == "modern"
        outcome = self.outcomes[case.name]
        process = self._open(greet=case.opening == "handshake")
        try:
            self._send(process, case)
            if case.eof:
                process.close_input()
            elif case.opening == "none":
                self._greet(process)
                self._fence(process, modern)
            else:
                self._fence(process, modern)
        except Lost as lost:
            outcome.lost = str(lost)
        self._end(process, case)
        outcome.answers += answers(process.take())
        self._settle(case)

    def _open(self, greet: bool = True) -> Process:
        process = Process(self._command, self._folder)
        if greet:
            self._greet(process)
            process.take()
        return process

    def _greet(self, process: Process) -> None:
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "peers", "version": "1"}}
        process.write(line(id="fence-0", method="initialize", params=client))
        process.wait_for(answers_to("fence-0"), ANSWERS_WITHIN)
        process.write(line(method="notifications/initialized"))

    def _send(self, process: Process, case: Case) -> None:
        for number, write in enumerate(case.writes):
            if number:
                time.sleep(BETWEEN_WRITES)  # so that the pieces are read apart; nothing hangs on it
            process.write(write)

    def _fence(self, process: Process, modern: bool) -> None:
        """A request whose answer says that the session lives and that the case has been read."""
        self._fences += 1
        fence = f"fence-{self._fences}"
        call: dict[str, Any] = {"name": "allowed", "arguments": {"text": fence}}
        if modern:
            process.write(line(id=fence, method="tools/call", params={**call, "_meta": MODERN}))
        elif self._calls:
            process.write(line(id=fence, method="tools/call", params=call))
        else:
            process.write(line(id=fence, method="ping"))
        process.wait_for(answers_to(fence), ANSWERS_WITHIN)

    def _end(self, process: Process, case: Case | None) -> None:
        status, orphans = process.end()
        name = case.name if case else "the shared session"
        if status is None:
            self.leftovers.append(f"{name}: did not end when its input did")
        self.leftovers += [f"{name}: left behind: {orphan}" for orphan in orphans]

    def _settle(self, case: Case | None) -> None:
        """Credits new executions to the case that they name, else to the current one."""
        for tool, arguments in self._ledger.news():
            text = arguments.get("text") if isinstance(arguments, dict) else None
            if isinstance(text, str) and text.startswith("fence-"):
                continue
            named = self.outcomes.get(text) if isinstance(text, str) else None
            if owner := named or (self.outcomes[case.name] if case else None):
                owner.executed.append((tool, arguments))


class Ledger:
    """The file to which a target writes what it executes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.write_bytes(b"")
        self._at = 0

    def news(self) -> list[Execution]:
        """What was executed since the last time."""
        with self.path.open("rb") as file:
            file.seek(self._at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._at += len(whole + newline)
        return [execution(entry) for entry in whole.split(b"\n") if entry]


def execution(entry: bytes) -> Execution:
    """One line of a ledger; arguments too deep to be read here are left out."""
    try:
        read = json.loads(entry)
    except RecursionError:
        return entry.split(b'"')[3].decode(), None
    return read["tool"], read["arguments"]


def line(**members: Any) -> bytes:
    """One message of ours."""
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


def answers_to(identity: str) -> Callable[[bytes], bool]:
    """Whether a line of output answers this request of ours."""

    def test(output: bytes) -> bool:
        return identity.encode() in output and any(answer.get("id") == identity for answer in answers([output], True))

    return test


def answers(output: list[bytes], fences: bool = False) -> list[dict[str, Any]]:
    """The responses among lines of output; those to our own requests only with `fences`."""
    found = []
    for text in output:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and ("result" in message or "error" in message):
            ours = isinstance(message.get("id"), str) and message["id"].startswith("fence-")
            if fences or not ours:
                found.append(message)
    return found
