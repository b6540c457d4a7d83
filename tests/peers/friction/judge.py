"""Judges streams by one generation's own models: `judge.py WIRE [SCHEMA] -- FILE...`, run by the
interpreter of the environment that has them. Prints, as JSON, what is wrong with each file.

Every line must be taken by the pydantic models of baton-sdk, by the JSON Schema that these models
give, and by the published one where there is one; and the lines of a file must be whole streams."""

import json
import re
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from baton.events import Event
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
LATER = {"w2": ({"surface_snapshot"}, {"call_expected"})}
"""Types and members of a generation that its last published models do not have yet: the published
schema has them."""


class Judge:
    def __init__(self, wire: str, schema: str | None) -> None:
        self._models: TypeAdapter[Any] = TypeAdapter(Event)
        self._types, self._members = LATER.get(wire, (set(), set()))
        published = [json.loads(Path(schema).read_text())] if schema else []
        schemas = [self._models.json_schema(), *published] if wire not in LATER else published
        self._schemas = [Draft202012Validator(schema) for schema in schemas]

    def stream(self, path: Path) -> list[str]:
        """What is wrong with a file."""
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        if not lines:
            return ["there is no event"]
        wrong, events = list[str](), list[dict[str, Any]]()
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line.decode("utf-8"), parse_constant=refuse, object_pairs_hook=once)
            except ValueError as error:
                wrong.append(f"line {number}: {error}")
                continue
            events.append(event)
            wrong += [f"line {number}, {event.get('event_type')}: {why}" for why in self._event(line, event)]
            if not line.endswith(b"\n"):
                wrong.append("the last line has no end")
        return wrong + whole(events)

    def _event(self, line: bytes, event: dict[str, Any]) -> list[str]:
        wrong = []
        if not RFC3339.fullmatch(event.get("captured_at", "")):
            wrong.append(f"captured_at {event.get('captured_at')!r}")
        else:
            datetime.fromisoformat(event["captured_at"])
        for schema in self._schemas:
            wrong += [f"schema: {error.json_path}: {error.message[:200]}" for error in schema.iter_errors(event)]
        if event["event_type"] in self._types:
            return wrong
        if self._members & event["payload"].keys():
            known = {name: value for name, value in event["payload"].items() if name not in self._members}
            line = json.dumps({**event, "payload": known}).encode()
        try:
            self._models.validate_json(line)
        except ValidationError as error:
            wrong += [f"model: {part['loc']}: {part['msg']}" for part in error.errors()]
        return wrong


def whole(events: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the order and the pairs of the sessions in a file."""
    wrong, sessions = [], dict[str, list[dict[str, Any]]]()
    for event in events:
        sessions.setdefault(event["session_id"], []).append(event)
    ids = Counter(event["event_id"] for event in events)
    wrong += [f"{count} events are called {name}" for name, count in ids.items() if count > 1]
    for name, session in sessions.items():
        numbers = [event["sequence_number"] for event in session]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or numbers[0] > 1:
            wrong.append(f"session {name}: numbers {numbers[:20]}")
        times = [event["captured_at"] for event in session]
        if sorted(map(datetime.fromisoformat, times)) != list(map(datetime.fromisoformat, times)):
            wrong.append(f"session {name}: time goes back")
        legs = Counter[tuple[str, str]]()
        for event in session:
            subject, _, leg = event["event_type"].rpartition("_")
            if leg in ("start", "end", "error"):
                call = event.get("call_id") or event["payload"].get("tool_name", "")
                legs[(subject, call)] += 1 if leg == "start" else -1
        wrong += [f"session {name}: {key} has {count:+} ends too few" for key, count in legs.items() if count]
    return wrong


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if no member of it is repeated."""
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError(f"repeated members among {[name for name, _ in pairs]}")
    return read


def main() -> None:
    at = sys.argv.index("--")
    wire, *schema = sys.argv[1:at]
    judge = Judge(wire, *schema or [None])
    print(json.dumps({path: judge.stream(Path(path)) for path in sys.argv[at + 1 :]}))


if __name__ == "__main__":
    main()
