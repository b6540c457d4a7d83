"""Streams: the battery's sessions with friction on, in every wire generation, judged by models that are
not thoth's (`judge.py`)."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import places
from battery.meet import AT_ONCE, Wrap, play, through
from battery.pairs import ALL_CLIENTS, ALL_SERVERS, Client, Server

TYPES = {"w1": 4, "w2": 5, "w3": 20}
"""How many types of events a generation has."""


@dataclass
class Told:
    """One session's stream."""

    wire: str
    client: str
    server: str
    path: Path
    events: int = 0
    types: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def streams(thoth: Path, folder: Path) -> list[Told]:
    """The newest generation from every client with every server; the older ones from one client each."""
    pairs = [("w3", client, server) for server in ALL_SERVERS for client in ALL_CLIENTS]
    for number, server in enumerate(ALL_SERVERS):
        pairs += [(wire, ALL_CLIENTS[(number + shift) % 4], server) for shift, wire in enumerate(("w2", "w1"))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda pair: tell(thoth, *pair, folder), pairs))
    for wire, most in TYPES.items():
        judge(wire, [one for one in told if one.wire == wire])
        for one in told:
            if one.wire == wire and len(one.types) > most:
                one.wrong.append(f"{len(one.types)} types, and the generation has {most}")
    return told


def tell(thoth: Path, wire: str, client: Client, server: Server, folder: Path) -> Told:
    """Plays one session."""
    home = folder / f"{wire}-{client.name}-{server.name}"
    told = Told(wire, client.name, server.name, home / "events.jsonl")
    run = play(client, server, home, telling(thoth, wire))
    if run.status != 0:
        told.wrong.append(f"the client ended with {run.status}; see {home.name}/stderr.log")
    told.wrong += [f"left behind: {orphan}" for orphan in run.orphans]
    if told.path.is_file():
        events = [json.loads(line) for line in told.path.read_text().splitlines()]
        told.events, told.types = len(events), {event["event_type"] for event in events}
    return told


def telling(thoth: Path, wire: str = "w3") -> Wrap:
    """The sidecar with friction on, and events into a file of the session's home."""

    def wrap(home: Path, command: list[str]) -> list[str]:
        sink = f"BATON_EVENT_SINK=file://{home / 'events.jsonl'}"
        labels = ["BATON_VENDOR_ID=peers", "BATON_TENANT_ID=peers", "BATON_CONSENT_TOKEN=peers"]
        return ["env", sink, f"BATON_WIRE={wire}", *labels, *through(thoth, "--friction", "on")(home, command)]

    return wrap


def judge(wire: str, told: list[Told]) -> None:
    """Lets one generation's models say what is wrong."""
    published = places.schemas()
    schema = [str(published / f"events.{wire}.schema.json")] if published else []
    script = str(places.SUITE / "friction" / "judge.py")
    files = [str(one.path) for one in told]
    command = [str(places.baton(wire)), script, wire, *schema, "--", *files]
    judged = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    for one in told:
        one.wrong += judged[str(one.path)][:20]


def table(told: list[Told]) -> str:
    """One row for each stream."""
    rows = [f"{'wire':5} {'server':12} {'client':14} {'events':>7} {'types':>6}  result"]
    for one in told:
        result = "FAILED" if one.wrong else "valid"
        rows.append(f"{one.wire:5} {one.server:12} {one.client:14} {one.events:>7} {len(one.types):>6}  {result}")
    return "\n".join(rows)
