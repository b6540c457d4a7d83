"""What two runs of one session have in common: everything but times, random names and marks."""

import difflib
import json
import re
from typing import Any

RANDOM = [
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r"\b[0-9a-f]{32}\b", "<random>"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "<time>"),
    (r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4} \([^)]*\)", "<time>"),
    (r"created at \d+:\d\d:\d\d [AP]M", "created at <time>"),
    # The same sentence in base64.
    (r"(UmVzb3VyY2UgMjogVGhpcyBpcyBhIGJhc2U2NCBibG9iIGNyZWF0ZWQgYXQg)[\w+/=]+", r"\1<time>"),
]
"""What differs from run to run, and what stands in for it."""

UNORDERED = {"get-env"}
"""Tools whose text is a JSON object without an order: the environment has none."""


def normal(document: str) -> list[str]:
    """A client's document as lines to compare."""
    for pattern, name in RANDOM:
        document = re.sub(pattern, name, document)
    read = json.loads(document)
    for step in read["transcript"]:
        if step.get("tool") in UNORDERED and "result" in step:
            for block in step["result"]["content"]:
                block["text"] = json.loads(block["text"])
        if step["do"] == "progress":
            step["result"]["progress"] = [report for report in step["result"]["progress"] if not last(report)]
    for heard in ("asked", "told"):
        read[heard] = sorted(read[heard])
    return [shortened(line) for line in json.dumps(read, indent=1, sort_keys=True).splitlines()]


def last(report: Any) -> bool:
    """Whether a progress report is the one that says all is done.

    TypeScript clients lose it whenever the result arrives in the same read, bare or not: they take up
    notifications a turn of the event loop later than results, which end the listening.
    """
    return isinstance(report, dict) and report["progress"] == report.get("total")


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
