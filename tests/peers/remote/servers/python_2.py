"""A server on the Python SDK's 2.x line: `python_2.py MODE PORT`. It speaks 2026-07-28, and to older clients with
sessions, with sessions whose streams can be taken up again (`resumable`), with answers in JSON (`json`), `stateless`,
and over HTTP+SSE (`sse`)."""

import sys
import warnings

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventMessage, EventStore
from offer import RETRY, Kept, register

warnings.simplefilter("ignore")  # what the server asks of the client is deprecated, and played all the same


class Events(Kept, EventStore):
    def event(self, message, number):
        return EventMessage(message, number)


mode, port = sys.argv[1:]
server = MCPServer("python-2", version="1.0.0", log_level="WARNING")
register(server, Context, types)
if mode == "sse":
    server.run("sse", port=int(port))
else:
    server.run(
        "streamable-http",
        port=int(port),
        json_response=mode == "json",
        stateless_http=mode == "stateless",
        event_store=Events() if mode == "resumable" else None,
        retry_interval=RETRY,
    )
