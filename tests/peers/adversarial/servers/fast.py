"""A target on FastMCP, either line: `fast.py LEDGER`.

`data` takes anything, so that an odd argument is judged by the reader and not by the tool's schema.
"""

import sys
from typing import Any

from fastmcp import FastMCP
from ledger import execute

LEDGER = sys.argv[1]

server: Any = FastMCP("fast")


def given(text: str | None, data: Any) -> dict[str, Any]:
    return {key: value for key, value in (("text", text), ("data", data)) if value is not None}


@server.tool
async def allowed(text: str | None = None, data: Any = None) -> str:
    return execute(LEDGER, "allowed", given(text, data))


@server.tool
async def forbidden(text: str | None = None, data: Any = None) -> str:
    return execute(LEDGER, "forbidden", given(text, data))


server.run(transport="stdio", show_banner=False)
