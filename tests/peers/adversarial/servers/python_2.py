"""A target on the Python SDK's 2.x line, which speaks both eras: `python_2.py LEDGER`."""

import asyncio
import sys
from typing import Any

import mcp_types as types
from ledger import execute
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

LEDGER = sys.argv[1]
TOOLS = ("allowed", "forbidden")


async def list_tools(_context: Any, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name=name, input_schema={"type": "object"}) for name in TOOLS])


async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    if params.name not in TOOLS:
        raise ValueError(f"no such tool: {params.name}")
    text = execute(LEDGER, params.name, params.arguments or {})
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


async def main() -> None:
    server = Server("python-2", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


asyncio.run(main())
