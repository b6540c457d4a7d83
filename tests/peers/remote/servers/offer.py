"""What the servers of `remote/` offer, the same on every Python SDK: `register(server, Context, types)`."""

import asyncio
import json
from typing import Any

RETRY = 200
"""Milliseconds until a client whose stream was dropped comes back: its answer is there before it is, since a server may
lose what it says while it replays."""

LAST = 0.1
"""Seconds between the last notification and the result: TypeScript clients lose a notification that they read with its
result."""

WAITING: list[int] = []
CANCELLED: list[int] = []
"""The calls of `wait` that have not ended, and those that were cancelled."""


def register(server: Any, context: type, types: Any) -> None:
    """Adds the tools and the resource. What the SDKs spell differently is asked of what they give."""

    async def echo(text: str) -> str:
        return text

    async def fail() -> str:
        raise ValueError("it failed")

    async def count(upto: int, ctx: Any) -> str:
        for step in range(1, upto + 1):
            await ctx.report_progress(step, upto + 1, f"step {step}")
            await asyncio.sleep(0.02)
        await asyncio.sleep(LAST)
        return f"counted to {upto}"

    async def log(ctx: Any) -> str:
        await ctx.error("here")
        await asyncio.sleep(0.02)
        return "logged"

    async def wait(ctx: Any) -> str:
        await ctx.report_progress(1, 2)
        WAITING.append(1)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            CANCELLED.append(1)
            raise
        finally:
            WAITING.pop()
        return "waited"

    async def cancelled() -> str:
        while WAITING:
            await asyncio.sleep(0.02)
        said = str(len(CANCELLED))
        CANCELLED.clear()
        return said

    async def change(ctx: Any) -> str:
        notify = getattr(ctx, "notify_tools_changed", None)
        if notify is not None:
            await notify()
        await ctx.session.send_tool_list_changed()
        await asyncio.sleep(0.05)
        return "changed"

    async def drop(ctx: Any) -> str:
        await ctx.report_progress(1, 2)
        await asyncio.sleep(LAST)
        await ctx.close_sse_stream()
        return "still here"

    async def sample(ctx: Any) -> str:
        text = types.TextContent(type="text", text="Say hello")
        message = types.SamplingMessage(role="user", content=text)
        said = await ctx.session.create_message([message], max_tokens=10, related_request_id=ctx.request_id)
        return told(said)

    async def elicit(ctx: Any) -> str:
        form = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        return told(await ctx.session.elicit("Who?", form, ctx.request_id))

    async def roots(ctx: Any) -> str:
        return told(await ctx.session.list_roots())

    for tool in (echo, fail, count, log, wait, cancelled, change, drop, sample, elicit, roots):
        if "ctx" in tool.__annotations__:
            tool.__annotations__["ctx"] = context
        server.tool(name=tool.__name__, description=tool.__name__)(tool)

    @server.resource("peers://note", name="note", mime_type="text/plain")
    def note() -> str:
        return "a note"


def told(said: Any) -> str:
    """What the client answered."""
    return json.dumps(said.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=True)


class Kept:
    """Every event of a server, so that a client that comes back gets what it missed."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._kept.append((stream_id, message))
        return str(len(self._kept))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        number = int(last_event_id)
        stream = self._kept[number - 1][0]
        for index, (other, message) in enumerate(self._kept[number:], number + 1):
            if other == stream and message is not None:
                await send_callback(self.event(message, str(index)))
        return stream

    def event(self, message: Any, number: str) -> Any:
        """What the SDK sends; its own class, filled in by the server."""
        raise NotImplementedError
