"""What two runs of one session have in common: everything but times, random names and marks."""

import difflib
import json
import re
from typing import Any

RANDOM = [
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<random>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4} \([^)]*\)"), "<time>"),
    (re.compile(r"created at \d+:\d\d:\d\d [AP]M"), "created at <time>"),
    (re.compile(r"(UmVzb3VyY2UgMjogVGhpcyBpcyBhIGJhc2U2NCBibG9iIGNyZWF0ZWQgYXQg)[\w+/=]+"), r"\1<time>"),  # the same in base64
]
UNORDERED = {"get-env"}
"""Tools whose text is a JSON object without an order: the environment has none."""


def normal(document: str) -> list[str]:
    """A client's document as lines to compare."""
    for pattern, name in RANDOM:
        document = pattern.sub(name, document)
    read = json.loads(document)
    for step in read["transcript"]:
        if step.get("tool") in UNORDERED and "result" in step:
            for block in step["result"]["content"]:
                block["text"] = json.loads(block["text"])
    for heard in ("asked", "told"):
        read[heard] = sorted(read[heard])
    return [shortened(line) for line in json.dumps(read, indent=1, sort_keys=True).splitlines()]


def shortened(line: str) -> str:
    """A line that a person can look at."""
    return line if len(line) < 400 else f"{line[:200]}… {hash(line):x} …{line[-100:]}"


def difference(bare: list[str], governed: list[str]) -> str:
    """A unified diff; nothing if both are the same."""
    return "\n".join(difflib.unified_diff(bare, governed, "bare", "through thoth", lineterm="", n=4))


def steps(document: str) -> tuple[int, int]:
    """How many steps a session had, and how many of them ended in an error."""
    transcript: list[Any] = json.loads(document)["transcript"]
    return len(transcript), sum("error" in step for step in transcript)
