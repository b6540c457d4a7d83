"""Reads a list of JSON values and prints, for each, the texts that baton-proxy's scrubber takes out of it: a list
of path and text."""

import json
import sys
from typing import Any

from baton_proxy import scrub

Taken = list[tuple[list[str | int], str]]


def taken(before: Any, after: Any, path: list[str | int]) -> Taken:
    """What is in one value and not in the other."""
    if isinstance(before, dict):
        return [one for name in before for one in taken(before[name], after[name], [*path, name])]
    if isinstance(before, list):
        pairs = enumerate(zip(before, after, strict=True))
        return [one for place, (old, new) in pairs for one in taken(old, new, [*path, place])]
    if not isinstance(before, str) or before == after:
        return []
    if after.startswith("[REDACTED:field-"):
        return [(path, before)]
    return [(path, text) for text in matches(before, after)]


def matches(text: str, after: str) -> list[str]:
    """What each rule found, one rule after the other, as the scrubber goes."""
    found = list[str]()

    def out(category: str, match: Any) -> str:
        if category == "cc" and not scrub._luhn_valid(match.group()):
            return match.group()
        found.append(match.group())
        return f"[REDACTED:{category}]"

    for category, pattern in [*scrub._PATTERNS, ("cc", scrub._CC_CANDIDATE)]:
        text = pattern.sub(lambda match, category=category: out(category, match), text)
    assert text == after, (text, after)
    return [one for one in found if "[REDACTED" not in one]


scrubber = scrub.Scrubber()
values = json.load(sys.stdin)
print(json.dumps([taken(value, scrubber(value), []) for value in values]))
