"""Servers over HTTP behind `thoth run --url` and `thoth serve --url`: what their clients see, and what becomes of them
where a server loses its sessions."""

from pathlib import Path

from battery.meet import Meeting, table
from remote import everything, lost, matrix


def check(thoth: Path, folder: Path) -> tuple[int, list[str]]:
    """Returns how much held, and what did not."""
    folder.mkdir(parents=True, exist_ok=True)
    met = everything.meetings(thoth, folder)
    print(table(met, governed=True))
    crossed = matrix.matrix(thoth, folder)
    print(matrix.table(crossed))
    losses = lost.losses(thoth, folder)
    print(lost.table(losses))
    wrong = [f"{one.client} · {one.server}: {wrong}" for one in met + crossed for wrong in one.wrong]
    wrong += [f"lost · {one.name}: {one.wrong}" for one in losses if one.wrong]
    return held(met) + held(crossed) + sum(not one.wrong for one in losses), wrong


def held(met: list[Meeting]) -> int:
    """How many meetings went as they should."""
    return sum(not one.wrong for one in met)
