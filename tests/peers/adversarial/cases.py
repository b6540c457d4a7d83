"""The corpus: what is sent, and what must come of it. The format is described in README.md."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import places

CORPUS = places.SUITE / "adversarial" / "cases.json"
READINGS = {"call", "passes", "refused", "dropped", "either"}


@dataclass(frozen=True)
class Case:
    """One sequence of bytes."""

    name: str
    expect: str
    writes: list[bytes]
    lines: list[str]
    arguments: bytes
    at_most: int
    eof: bool
    opening: str

    @property
    def alone(self) -> bool:
        """Whether it needs a process of its own."""
        return self.eof or self.opening != "handshake"


def load(path: Path = CORPUS) -> list[Case]:
    """Reads the corpus and refuses one that contradicts itself."""
    cases = [parse(entry) for entry in json.loads(path.read_text())]
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: two cases share a name")
    return cases


def parse(entry: dict[str, Any]) -> Case:
    """One entry of the file."""
    case = Case(
        name=entry["name"],
        expect=entry["expect"],
        writes=[octets(write) for write in entry["writes"]],
        lines=entry["lines"],
        arguments=octets(entry.get("arguments", "")),
        at_most=entry.get("at_most", 0),
        eof=entry.get("eof", False),
        opening=entry.get("opening", "handshake"),
    )
    sent = b"".join(case.writes)
    if not case.eof and not sent.endswith(b"\n"):
        raise ValueError(f"{case.name}: the last line must end, or `eof` must be true")
    readable = [line for line in sent.split(b"\n") if line.removesuffix(b"\r").strip(b" \t")]
    if len(readable) != len(case.lines):
        raise ValueError(f"{case.name}: {len(readable)} lines are sent, {len(case.lines)} are judged")
    if not READINGS.issuperset(case.lines) or case.expect not in ("allow", "refuse"):
        raise ValueError(f"{case.name}: an unknown word in `lines` or `expect`")
    if (case.expect == "allow") != bool(case.arguments):
        raise ValueError(f"{case.name}: `arguments` belong to `allow` and to nothing else")
    return case


def octets(written: Any) -> bytes:
    """The bytes of a string whose every character is one byte, or of a list of such parts."""
    if isinstance(written, str):
        return written.encode("latin-1")
    if isinstance(written, list):
        return b"".join(octets(part) for part in written)
    if "repeat" in written:
        return octets(written["repeat"]) * int(written["times"])
    each = octets(written["each"])
    return b"".join(re.sub(b"#", str(number).encode(), each) for number in range(written["times"]))
