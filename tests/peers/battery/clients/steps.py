"""Plays a session of `sessions.json` over a Python client and prints what the client saw, as one JSON
document. The two Python clients differ in how they connect and in a few names; those they pass in."""

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import anyio

ROOT = ("file:///srv/project", "project")
FORM = {"name": "Ada", "check": True, "integer": 7}


class Peer(Protocol):
    """What the two SDKs spell differently, and the session itself."""

    async def call(self, tool: str, arguments: dict[str, Any], progress: Any = None) -> Any: ...

    async def task(self, tool: str, arguments: dict[str, Any]) -> Any: ...

    async def request(self, step: dict[str, Any]) -> Any: ...


@dataclass
class Heard:
    """What the server asks and tells, in no order: it is not the client's to choose."""

    asked: list[Any] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)


def command() -> tuple[list[dict[str, Any]], str, list[str]]:
    """The session to play, and the server's command line."""
    _, steps, program, *args = sys.argv
    return json.loads(Path(steps).read_text()), program, args


async def play(peer: Peer, steps: list[dict[str, Any]], greeting: Any) -> list[Any]:
    """Plays all steps, one after the other."""
    transcript: list[Any] = [{"do": "connect", "result": plain(greeting)}]
    for step in steps:
        transcript.append({**step, **await outcome(lambda step=step: perform(peer, step))})
    return transcript


def report(transcript: list[Any], heard: Heard) -> None:
    """Prints the document."""
    asked, told = (sorted(json.dumps(plain(entry)) for entry in entries) for entries in (heard.asked, heard.told))
    print(json.dumps({"transcript": transcript, "asked": asked, "told": told}))


async def perform(peer: Peer, step: dict[str, Any]) -> Any:
    tool, arguments = step.get("tool", ""), step.get("arguments", {})
    match step["do"]:
        case "call":
            return await peer.call(tool, arguments)
        case "progress":
            return await with_progress(peer, tool, arguments)
        case "cancel":
            return await cancelled(peer, tool, arguments)
        case "together":
            return await together([lambda c=call: peer.call(c["tool"], c["arguments"]) for call in step["calls"]])
        case "many":
            given = [arguments or {"message": f"number {number}"} for number in range(step["count"])]
            return await together([lambda a=one: peer.call(tool, a) for one in given])
        case "large":
            result = await peer.call(tool, {"message": "x" * step["size"]})
            return [len(block.text) for block in result.content]
        case "task":
            return await peer.task(tool, arguments)
        case _:
            return await peer.request(step)


async def with_progress(peer: Peer, tool: str, arguments: dict[str, Any]) -> Any:
    progress: list[Any] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        progress.append([done, total, message])

    return {"result": plain(await peer.call(tool, arguments, note)), "progress": progress}


async def cancelled(peer: Peer, tool: str, arguments: dict[str, Any]) -> Any:
    with anyio.CancelScope() as scope:

        async def stop(*_: Any) -> None:
            scope.cancel("enough")

        await peer.call(tool, arguments, stop)
    return {"cancelled": scope.cancelled_caught}


async def together(actions: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """All at once; the results in the order of the calls."""
    results: list[Any] = [None] * len(actions)

    async def one(number: int) -> None:
        results[number] = await outcome(actions[number])

    async with anyio.create_task_group() as group:
        for number in range(len(actions)):
            group.start_soon(one, number)
    return results


async def outcome(action: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    try:
        return {"result": plain(await action())}
    except Exception as error:  # whatever the client raises is what its user sees
        return {"error": {"name": type(error).__name__, "message": str(error)}}


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value.model_dump(mode="json", by_alias=True, exclude_none=True) if hasattr(value, "model_dump") else value
