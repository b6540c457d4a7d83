"""The Python SDK's 2.x client, which finds out the server's era first: `python_2.py STEPS (COMMAND
[ARGS] | URL)`."""

import os
import warnings
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from steps import FORM, ROOT, Heard, command, play, report

warnings.simplefilter("ignore")  # half of the handshake era's verbs are deprecated


class Peer:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, tool: str, arguments: dict[str, Any], progress: Any = None) -> Any:
        return await self._client.call_tool(tool, arguments, progress_callback=progress)

    async def task(self, tool: str, arguments: dict[str, Any]) -> Any:
        raise NotImplementedError("this client knows no tasks")

    async def request(self, step: dict[str, Any]) -> Any:
        client = self._client
        match step["do"]:
            case "ping":
                return await client.send_ping()
            case "list_tools":
                return await client.list_tools(cursor=step.get("cursor"))
            case "list_resources":
                return await client.list_resources()
            case "list_resource_templates":
                return await client.list_resource_templates()
            case "list_prompts":
                return await client.list_prompts()
            case "read":
                return await client.read_resource(step["uri"])
            case "subscribe":
                return await client.subscribe_resource(step["uri"])
            case "unsubscribe":
                return await client.unsubscribe_resource(step["uri"])
            case "prompt":
                return await client.get_prompt(step["name"], step.get("arguments"))
            case "complete":
                prompt = types.PromptReference(type="ref/prompt", name=step["prompt"])
                return await client.complete(prompt, step["argument"])
            case "set_level":
                return await client.set_logging_level(step["level"])
            case other:
                raise ValueError(f"unknown step: {other}")


def reach(program: str, args: list[str]) -> Any:
    """What the client takes for a command or a URL."""
    if not program.startswith("http"):
        return StdioServerParameters(command=program, args=args, env=dict(os.environ))
    return sse_client(program) if program.endswith("/sse") else program


async def main() -> None:
    steps, program, args = command()
    heard = Heard()

    async def roots(_: Any) -> types.ListRootsResult:
        heard.asked.append("roots/list")
        return types.ListRootsResult(roots=[types.Root(uri=ROOT[0], name=ROOT[1])])  # type: ignore[arg-type]

    async def sample(_: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        heard.asked.append(params)
        text = types.TextContent(type="text", text="hello")
        return types.CreateMessageResult(role="assistant", model="none", stop_reason="endTurn", content=text)

    async def elicit(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        heard.asked.append(params)
        return types.ElicitResult(action="accept", content=None if params.mode == "url" else FORM)

    async def hear(message: Any) -> None:
        if not isinstance(message, Exception):
            heard.told.append(message)

    async with Client(
        reach(program, args),
        sampling_callback=sample,
        elicitation_callback=elicit,
        list_roots_callback=roots,
        message_handler=hear,
        client_info=types.Implementation(name="python-2", version="1.0.0"),
    ) as client:
        greeting = {
            "version": client.protocol_version,
            "server": client.server_info,
            "offers": client.server_capabilities,
            "instructions": client.instructions,
        }
        transcript = await play(Peer(client), steps, greeting)
    report(transcript, heard)


anyio.run(main)
