"""A server on the Python SDK's 1.x line: `python_1.py MODE PORT`. With sessions, with sessions whose streams can be
taken up again (`resumable`), with answers in JSON (`json`), `stateless`, and over HTTP+SSE (`sse`)."""

import sys

from mcp import types
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.streamable_http import EventMessage, EventStore
from offer import RETRY, Kept, register


class Events(Kept, EventStore):
    def event(self, message, number):
        return EventMessage(message, number)


mode, port = sys.argv[1:]
server = FastMCP(
    "python-1",
    port=int(port),
    log_level="WARNING",
    json_response=mode == "json",
    stateless_http=mode == "stateless",
    event_store=Events() if mode == "resumable" else None,
    retry_interval=RETRY,
)
register(server, Context, types)
server.run("sse" if mode == "sse" else "streamable-http")
