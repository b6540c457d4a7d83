"""A server on FastMCP, in either line: `fastmcp_server.py MODE PORT`. With sessions, or `stateless`."""

import sys

import fastmcp
from fastmcp import Context, FastMCP
from offer import register

try:
    import mcp_types as types
except ImportError:
    from mcp import types

mode, port = sys.argv[1:]
server = FastMCP("fastmcp", version="1.0.0")
register(server, Context, types)
fastmcp.settings.log_level = "WARNING"
server.run("http", host="127.0.0.1", port=int(port), path="/mcp", show_banner=False, stateless_http=mode == "stateless")
