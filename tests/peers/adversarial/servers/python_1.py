"""A target on the Python SDK's 1.x line: `python_1.py LEDGER`."""

import asyncio
import sys
from typing import Any

from ledger import execute
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

LEDGER = sys.argv[1]
TOOLS = ("allowed", "forbidden")

server: Server[None] = Server("python-1")


@server.list_tools()
async def list_tools() -> list[types.Tool]:
    return [types.Tool(name=name, inputSchema={"type": "object"}) for name in TOOLS]


@server.call_tool(validate_input=False)
async def call_tool(name: str, arguments: dict[str, Any]) -> list[types.TextContent]:
    if name not in TOOLS:
        raise ValueError(f"no such tool: {name}")
    return [types.TextContent(type="text", text=execute(LEDGER, name, arguments))]


async def main() -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


asyncio.run(main())
