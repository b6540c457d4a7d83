"""Reads a list of JSON values and prints, for each, the texts that baton-proxy's scrubber takes out of it."""

import json
import re
import sys
from typing import Any

from baton_proxy.scrub import Scrubber

MARK = re.compile(r"\[REDACTED:[^\]]*\]")


def taken(before: Any, after: Any) -> list[str]:
    """The texts that are in one value and not in the other."""
    if isinstance(before, dict):
        return [text for name in before for text in taken(before[name], after[name])]
    if isinstance(before, list):
        return [text for one, other in zip(before, after, strict=True) for text in taken(one, other)]
    if not isinstance(before, str) or before == after:
        return []
    # What stands between the marks was left as it is; the rest of the text is what the marks stand for.
    kept = MARK.split(after)
    found = re.fullmatch("(.*?)".join(re.escape(part) for part in kept), before, re.DOTALL)
    return [text for text in found.groups() if text] if found else []


scrubber = Scrubber()
values = json.load(sys.stdin)
print(json.dumps([taken(value, scrubber(value)) for value in values]))
