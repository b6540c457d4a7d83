"""What clients see: with friction off the same as bare; with friction on the same but for what is added, and
every call still works."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import places
from battery.meet import AT_ONCE, Meeting, Wrap, bare, play, through
from battery.pairs import ALL_CLIENTS, ALL_SERVERS, Client, Server
from battery.transcripts import difference, normal
from friction.streams import telling

SESSIONS = places.SUITE / "friction" / "sessions.json"
OWN_TOOLS = {"baton_annotate", "baton_session_report"}
OWN_PARAMETERS = {"user_goal", "expected_result", "overall_task"}
NATIVE = "native"
"""The lab's tool that has such a parameter of its own."""

SUFFIX = "This server is wrapped by "


def lab(*words: str) -> Callable[[Path], list[str]]:
    """The command of the lab's server."""
    script = str(places.SUITE / "friction" / "lab.py")
    return lambda _work: [str(places.python(2)), script, *words]


LABS = [Server("lab", lab()), Server("lab-paged", lab("paged"))]


def meetings(thoth: Path, folder: Path) -> list[Meeting]:
    """Every client with every server and both labs, with friction off and on."""
    ways = [("off", through(thoth, "--friction", "off"), as_is), ("on", telling(thoth), without_additions)]
    pairs = [(client, server, *way) for server in ALL_SERVERS + LABS for client in ALL_CLIENTS for way in ways]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda pair: meet(*pair, folder), pairs))


def meet(
    client: Client, server: Server, way: str, wrap: Wrap, seen: Callable[[str], str], folder: Path
) -> Meeting:
    """Plays one session bare and wrapped, and compares."""
    home = folder / f"{client.name}-{server.name}-{way}"
    sessions = SESSIONS if server in LABS else None
    runs = [play(client, server, home, wrap, sessions) for wrap in (bare, wrap)]
    meeting = Meeting(client.name, f"{server.name} {way}", runs)
    for name, run in zip(("bare", way), runs, strict=True):
        (folder / f"{home.name}.{name}.json").write_text(run.printed)
        if run.status != 0:
            meeting.wrong.append(f"{name}: the client ended with {run.status}; see {home.name}/stderr.log")
    meeting.wrong += [f"left behind: {orphan}" for orphan in runs[1].orphans]
    if not meeting.wrong:
        if way == "on":
            meeting.wrong += additions(json.loads(runs[1].printed), server)
        alone = as_if_stripped(runs[0].printed) if way == "on" else runs[0].printed
        if diff := difference(normal(alone), normal(seen(runs[1].printed))):
            meeting.wrong.append(f"the client saw something else\n{diff}")
    return meeting


def as_is(printed: str) -> str:
    return printed


def as_if_stripped(printed: str) -> str:
    """A bare client's document as it would be if somebody had taken thoth's parameters out of calls."""
    document = json.loads(printed)
    for step in document["transcript"]:
        if step["do"] == "connect":
            strip_instructions(step)
        if step.get("strips"):
            block = step["result"]["content"][0]
            echoed = json.loads(block["text"])
            block["text"] = json.dumps({name: echoed[name] for name in echoed if name not in OWN_PARAMETERS})
    return json.dumps(document)


def without_additions(printed: str) -> str:
    """A client's document without what friction adds: what is left must be what the server said."""
    document = json.loads(printed)
    for step in document["transcript"]:
        if step["do"] == "connect":
            strip_instructions(step)
        if step["do"] == "list_tools" and "result" in step:
            strip_tools(step["result"])
    return json.dumps(document)


def strip_instructions(greeting: Any) -> None:
    """Takes the suffix from every `instructions` in a greeting, however the client nests it."""
    if isinstance(greeting, dict):
        for name, value in list(greeting.items()):
            if name == "instructions":
                own, suffix, _ = (value or "").partition(SUFFIX)
                greeting[name] = own.removesuffix(" ") if suffix else own
                if not own:
                    del greeting[name]  # the server gave none
            else:
                strip_instructions(value)


def strip_tools(result: dict[str, Any]) -> None:
    result["tools"] = [one for one in result["tools"] if one["name"] not in OWN_TOOLS]
    for one in result["tools"]:
        if one["name"] == NATIVE:
            added = OWN_PARAMETERS - {"user_goal"}
        else:
            added = OWN_PARAMETERS
        schema = one["inputSchema"]
        for name in added:
            schema.get("properties", {}).pop(name, None)
        required = [name for name in schema.get("required", []) if name not in added]
        if required:
            schema["required"] = required
        else:
            schema.pop("required", None)


def additions(document: dict[str, Any], server: Server) -> list[str]:
    """What is missing of what should have been added."""
    lists = [
        step["result"]["tools"]
        for step in document["transcript"]
        if step["do"] == "list_tools" and "result" in step and not step.get("cursor")
    ]
    wrong = []
    if not lists:
        wrong.append("no tools were listed")
    for tools in lists:
        names = [one["name"] for one in tools]
        wrong += [f"{name} is listed {names.count(name)} times" for name in OWN_TOOLS if names.count(name) != 1]
        for one in tools:
            if one["name"] in OWN_TOOLS:
                continue
            missing = OWN_PARAMETERS - one["inputSchema"].get("properties", {}).keys()
            wrong += [f"{server.name}: {one['name']} has no {name}" for name in sorted(missing)]
    return wrong
