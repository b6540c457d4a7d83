"""A small MCP server over stdio with three tools. It writes down each call that reaches it."""

import json
import sys
from pathlib import Path

LEDGER = Path(sys.argv[1])
TOOLS = [{"name": name, "description": name, "inputSchema": {"type": "object"}} for name in ("write_file", "pay", "read_file")]


def answer(message: dict) -> dict:
    """The result of one request."""
    match message["method"]:
        case "initialize":
            return {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                    "serverInfo": {"name": "small", "version": "1"}}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            with LEDGER.open("a") as ledger:
                ledger.write(json.dumps(message["params"]) + "\n")
            return {"content": [{"type": "text", "text": "done: " + message["params"]["name"]}]}
        case _:
            return {}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked and "method" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer(asked)}), flush=True)
