"""How servers end: bare when their input ends, and through the sidecar, which must end them and pass
on their exit status."""

from dataclasses import dataclass
from pathlib import Path

from battery.meet import Wrap, bare
from battery.pairs import ALL_SERVERS, Server, prepare
from processes import Lost, Process

GREETING = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
    b'"capabilities":{},"clientInfo":{"name":"peers","version":"1.0.0"}}}\n'
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
)
ANSWERS_WITHIN = 60.0


@dataclass
class Ending:
    """How one server ended."""

    server: str
    bare: int | None
    governed: int | None
    orphans: list[str]

    @property
    def wrong(self) -> list[str]:
        """A server that ends by itself ends the same way; one that does not is ended."""
        wrong = [f"left behind: {orphan}" for orphan in self.orphans]
        if self.governed is None:
            wrong.append("the sidecar did not end when its input did")
        elif self.bare is not None and self.bare != self.governed:
            wrong.append(f"ended with {self.governed}, not with {self.bare}")
        return wrong


def endings(wrap: Wrap, folder: Path) -> list[Ending]:
    """All servers, one after the other."""
    return [ending(server, wrap, folder) for server in ALL_SERVERS]


def ending(server: Server, wrap: Wrap, folder: Path) -> Ending:
    alone, _ = end(server, bare, folder / f"ending-{server.name}-bare")
    status, orphans = end(server, wrap, folder / f"ending-{server.name}-governed")
    return Ending(server.name, alone, status, orphans)


def end(server: Server, wrap: Wrap, home: Path) -> tuple[int | None, list[str]]:
    """Greets a server, lets it answer, and closes its input."""
    work = prepare(home)
    process = Process(wrap(home, server.command(work)), home)
    try:
        process.write(GREETING)
        process.wait_for(lambda line: b'"id":1' in line.replace(b" ", b""), ANSWERS_WITHIN)
    except Lost:
        process.end()
        return None, []
    return process.end()


def table(all_endings: list[Ending]) -> str:
    """One row for each server."""
    rows = [f"{'server':12} {'ends bare':>12} {'governed':>12}"]
    for one in all_endings:
        alone = "not by itself" if one.bare is None else str(one.bare)
        rows.append(f"{one.server:12} {alone:>12} {one.governed!s:>12}")
    return "\n".join(rows)
