"""Scrubber parity: whatever baton-proxy's scrubber takes out of a text, thoth's takes out, too.

The corpus goes through a session of the real sidecar as arguments of calls; what comes out is in its
events. baton-proxy's own scrubber then runs over the same values (`redacted.py`, in its environment)."""

import json
import random
import string
import subprocess
from pathlib import Path
from typing import Any

import places
from battery.pairs import prepare
from friction.clients import lab
from friction.oracle import is_answer
from friction.streams import telling
from processes import Process

VALUES = 6000
AT_ONCE = 100
SEED = 20261121
FIELDS = ["email", "phone", "ssn", "api_key", "token", "secret", "password", "user_name"]


def parity(thoth: Path, folder: Path) -> tuple[int, list[str]]:
    """How many texts the proxy takes out, and which of them thoth leaves in."""
    values = corpus(random.Random(SEED))
    ours = through_session(thoth, folder / "parity", values)
    if len(ours) != len(values):
        return 0, [f"{len(values)} values went in, and {len(ours)} came out"]
    script = places.SUITE / "friction" / "redacted.py"
    judged = subprocess.run(
        [str(places.baton("w3")), str(script)],
        input=json.dumps(values),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    count, wrong = 0, list[str]()
    for value, out, taken in zip(values, ours, json.loads(judged.stdout), strict=True):
        for path, text in taken:
            count += 1
            if text in (shown := at(out, path)):
                wrong.append(f"{text!r} is left in {shown!r} of {json.dumps(value)[:200]}")
    return count, wrong


def at(value: Any, path: list[str | int]) -> str:
    """The text there; where a name on the way was scrubbed, all there is."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def through_session(thoth: Path, home: Path, values: list[Any]) -> list[Any]:
    """What the sidecar's events show of these values."""
    prepare(home)
    process = Process(telling(thoth)(home, lab()(home)), home)
    for number, start in enumerate(range(0, len(values), AT_ONCE)):
        arguments = {"values": values[start : start + AT_ONCE]}
        request = {"jsonrpc": "2.0", "id": number, "method": "tools/call"}
        request["params"] = {"name": "echo", "arguments": arguments}
        process.write(json.dumps(request).encode() + b"\n")
        process.wait_for(lambda line, number=number: is_answer(line, number), 30.0)
    process.end()
    out = []
    for line in (home / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event_type"] == "tool_call_start":
            out += event["payload"]["params"]["values"]
    return out


def corpus(dice: random.Random) -> list[Any]:
    """Values with secrets of every category, between and beside what might hide them."""
    return [value(dice) for _ in range(VALUES)]


def value(dice: random.Random) -> Any:
    text = between(dice)
    match dice.randrange(8):
        case 0:
            return {field(dice): text}
        case 1:
            return {field(dice): [{"a": [text, dice.choice(["x", 7, None])]}]}
        case 2:
            return {"a": {"b": [text]}, field(dice): {"email": text}}
        case _:
            return text


def field(dice: random.Random) -> str:
    name = dice.choice(FIELDS)
    return dice.choice([name, name.upper(), name.title(), name + "x"])


def between(dice: random.Random) -> str:
    """One to three secrets, with something around each."""
    edges = ["", " ", "\n", "\t", ".", ",", ":", ";", "'", '"', "<", ">", "(", ")", "=", "/", "-", "_", "é", "x", "7", "🔒", "\u2028", "\\", "%20", "&k="]
    parts = [part for _ in range(dice.randint(1, 3)) for part in (dice.choice(edges), secret(dice))]
    return "".join([*parts, dice.choice(edges)])


def secret(dice: random.Random) -> str:
    def some(letters: str, least: int, most: int) -> str:
        return "".join(dice.choices(letters, k=dice.randint(least, most)))

    word = string.ascii_letters + string.digits
    match dice.randrange(10):
        case 0:
            return "eyJ" + ".".join(some(word + "-_", 1, 30) for _ in range(3))
        case 1:
            return dice.choice(["Bearer", "bearer", "BEARER"]) + dice.choice([" ", "  ", "\t"]) + some(word + "-_.+/=", 14, 40)
        case 2:
            return "sk-" + some(word + "-_", 18, 48)
        case 3:
            return "AKIA" + some(string.digits + string.ascii_uppercase, 15, 17)
        case 4:
            return f"{some(word + '._%+-', 1, 12)}@{some(word + '.-', 1, 12)}.{some(string.ascii_letters, 1, 6)}"
        case 5 | 6:
            area, middle, last = (some(string.digits, size, size) for size in (3, 3, 4))
            separator = dice.choice(["", " ", "-", "."])
            area = dice.choice([area, f"({area})"])
            return dice.choice(["", "1", "+1", "+1 ", "1-"]) + separator.join([area, middle, last])
        case 7 | 8:
            return card(dice)
        case _:
            return some(word + string.punctuation + " ", 1, 30)


def card(dice: random.Random) -> str:
    """13 to 19 digits, mostly with the right last one."""
    digits = [dice.randrange(10) for _ in range(dice.randint(12, 18))]
    total = sum(
        digit if place % 2 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits))
    )
    last = -total % 10 if dice.random() < 0.8 else dice.randrange(10)
    return "".join(map(str, [*digits, last]))
