"""The Python SDK's 1.x client: `python_1.py STEPS (COMMAND [ARGS] | URL)`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl
from steps import FORM, ROOT, Heard, command, play, report


class Peer:
    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def call(self, tool: str, arguments: dict[str, Any], progress: Any = None) -> Any:
        return await self._session.call_tool(tool, arguments, progress_callback=progress)

    async def task(self, tool: str, arguments: dict[str, Any]) -> Any:
        tasks = self._session.experimental
        created = await tasks.call_tool_as_task(tool, arguments)
        result = await tasks.get_task_result(created.task.taskId, types.CallToolResult)
        return {"created": created, "result": result, "last": await tasks.get_task(created.task.taskId)}

    async def request(self, step: dict[str, Any]) -> Any:
        session = self._session
        match step["do"]:
            case "ping":
                return await session.send_ping()
            case "list_tools":
                return await session.list_tools(step.get("cursor"))
            case "list_resources":
                return await session.list_resources()
            case "list_resource_templates":
                return await session.list_resource_templates()
            case "list_prompts":
                return await session.list_prompts()
            case "read":
                return await session.read_resource(AnyUrl(step["uri"]))
            case "subscribe":
                return await session.subscribe_resource(AnyUrl(step["uri"]))
            case "unsubscribe":
                return await session.unsubscribe_resource(AnyUrl(step["uri"]))
            case "prompt":
                return await session.get_prompt(step["name"], step.get("arguments"))
            case "complete":
                prompt = types.PromptReference(type="ref/prompt", name=step["prompt"])
                return await session.complete(prompt, step["argument"])
            case "set_level":
                return await session.set_logging_level(step["level"])
            case other:
                raise ValueError(f"unknown step: {other}")


@asynccontextmanager
async def reach(program: str, args: list[str]) -> AsyncIterator[tuple[Any, Any]]:
    """Both ends of the way to a command or a URL."""
    if not program.startswith("http"):
        server = StdioServerParameters(command=program, args=args, env=dict(os.environ))
        async with stdio_client(server) as ends:
            yield ends
    elif program.endswith("/sse"):
        async with sse_client(program) as ends:
            yield ends
    else:
        async with streamable_http_client(program) as (read, write, _):
            yield read, write


async def main() -> None:
    steps, program, args = command()
    heard = Heard()

    async def roots(_: Any) -> types.ListRootsResult:
        heard.asked.append("roots/list")
        return types.ListRootsResult(roots=[types.Root(uri=ROOT[0], name=ROOT[1])])  # type: ignore[arg-type]

    async def sample(_: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        heard.asked.append(params)
        text = types.TextContent(type="text", text="hello")
        return types.CreateMessageResult(role="assistant", model="none", stopReason="endTurn", content=text)

    async def elicit(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        heard.asked.append(params)
        return types.ElicitResult(action="accept", content=None if params.mode == "url" else FORM)

    async def hear(message: Any) -> None:
        if isinstance(message, types.ServerNotification):
            heard.told.append(message)

    async with (
        reach(program, args) as (read, write),
        ClientSession(
            read,
            write,
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
            message_handler=hear,
            client_info=types.Implementation(name="python-1", version="1.0.0"),
        ) as session,
    ):
        transcript = await play(Peer(session), steps, await session.initialize())
    report(transcript, heard)


anyio.run(main)
