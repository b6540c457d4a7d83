"""Processes of a run: how they start, how they end, and what they leave behind."""

import os
import select
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

MARK = "PEERS_MARK"
ENDS_WITHIN = 8.0
WRITES_WITHIN = 30.0


class Lost(Exception):
    """The process ended, closed its output, or fell silent for too long."""


class Process:
    """A child with pipes for standard input and output, its output read line by line."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._mark = uuid.uuid4().hex
        self._seen = threading.Condition()
        self._lines: list[bytes] = []
        self._ended = False
        with (folder / "stderr.log").open("ab") as stderr:
            self._child = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(folder, self._mark),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                start_new_session=True,
            )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._stdin, self._stdout = self._child.stdin, self._child.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def write(self, data: bytes) -> None:
        """Writes all of it, however small the pipe is."""
        end, view = time.monotonic() + WRITES_WITHIN, memoryview(data)
        while view:
            _, ready, _ = select.select([], [self._stdin], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise Lost("stopped reading")
            try:
                view = view[os.write(self._stdin.fileno(), view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Lost(f"closed its input: {error}") from error

    def wait_for(self, wanted: Callable[[bytes], bool], seconds: float) -> None:
        """Waits until a line of output is the wanted one."""
        end, at = time.monotonic() + seconds, 0
        with self._seen:
            while True:
                if any(wanted(line) for line in self._lines[at:]):
                    return
                at = len(self._lines)
                if self._ended:
                    raise Lost("closed its output")
                if not self._seen.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise Lost("fell silent")

    def take(self) -> list[bytes]:
        """The lines of output since the last time."""
        with self._seen:
            lines, self._lines = self._lines, []
        return lines

    def close_input(self) -> None:
        """Says that nothing more will come."""
        self._stdin.close()

    def end(self) -> tuple[int | None, list[str]]:
        """Closes the input and waits: the exit status, and the command lines of what stayed behind.

        A child that does not end in time has no status. Nothing survives this call.
        """
        self.close_input()
        try:
            status = self._child.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            status = None
            kill(self._child.pid)
            self._child.wait()
        orphans = reap(self._mark)
        self._reader.join(ENDS_WITHIN)
        self._stdout.close()
        return status, orphans

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._stdout.fileno(), 1 << 20):
            *lines, rest = (rest + chunk).split(b"\n")
            with self._seen:
                self._lines += lines
                self._seen.notify_all()
        with self._seen:
            self._lines += [rest] if rest else []
            self._ended = True
            self._seen.notify_all()


def environment(home: Path, mark: str) -> dict[str, str]:
    """What a child gets: a home of its own, and the mark by which its children are known."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        MARK: mark,
    }


def marked(mark: str) -> list[tuple[int, str]]:
    """The living processes that carry this mark, with their command lines."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(folder.name), line.strip()))
        except OSError:
            continue
    return found


def reap(mark: str) -> list[str]:
    """Ends what carries the mark, and names it."""
    found = marked(mark)
    for pid, _ in found:
        kill(pid)
    return [line for _, line in found]


def kill(pid: int) -> None:
    """Ends a process of ours, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
