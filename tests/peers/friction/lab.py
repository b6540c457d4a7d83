"""A small MCP server over lines, in which every answer of interest can be had: `lab.py [paged]`."""

import json
import sys
import time
from typing import Any


def tool(name: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties or {}}
    return {"name": name, "description": f"It is {name}.", "inputSchema": schema, **more}


TEXT = {"text": {"type": "string"}}
NUMBER = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
STRICT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
TOOLS = [
    tool("echo", TEXT),
    tool("boom", TEXT),
    tool("soft", TEXT),
    tool("native", {"user_goal": {"type": "string"}}),
    {"name": "strict", "inputSchema": STRICT},
    tool("structured", outputSchema=NUMBER),
    tool("misshapen", outputSchema=NUMBER),
    tool("refer", {"at": {"$ref": "#/$defs/at"}}),
    tool("change"),
]
TOOLS[7]["inputSchema"]["$defs"] = {"at": {"type": "string", "format": "date"}}
LATER = [tool("second", TEXT), tool("third", TEXT)]
PAGED = "paged" in sys.argv[1:]


class Failure(Exception):
    """A JSON-RPC error."""


def main() -> None:
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "id" not in request or "method" not in request:
            continue
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            answer["result"] = perform(request["method"], request.get("params") or {})
        except Failure as failure:
            code, message = failure.args
            answer["error"] = {"code": code, "message": message}
        say(answer)


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def perform(method: str, params: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {"listChanged": True}, "resources": {}, "prompts": {}},
                "serverInfo": {"name": "lab", "version": "1.0"},
                "instructions": "Vendor instructions.",
            }
        case "tools/list":
            if not PAGED:
                return {"tools": TOOLS + LATER}
            pages = {None: (TOOLS, "1"), "1": (LATER[:1], "2"), "2": (LATER[1:], None)}
            tools, cursor = pages[params.get("cursor")]
            return {"tools": tools, "nextCursor": cursor} if cursor else {"tools": tools}
        case "resources/list":
            return {"resources": [{"uri": "mem:a", "name": "a"}, {"uri": "mem:b", "name": "b"}]}
        case "resources/read" if params["uri"] == "mem:a":
            return {"contents": [{"uri": "mem:a", "text": "words"}]}
        case "resources/read":
            raise Failure(-32002, f"no resource {params['uri']}")
        case "prompts/list":
            return {"prompts": [{"name": "p"}]}
        case "prompts/get" if params["name"] == "p":
            return {"messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}]}
        case "prompts/get":
            raise Failure(-32602, "no such prompt")
        case "tools/call":
            return call(params["name"], params.get("arguments") or {})
        case "ping" | "logging/setLevel":
            return {}
    raise Failure(-32601, f"no method {method}")


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    text = arguments.get("text", "")
    match name:
        case "boom":
            raise Failure(-32050, text or "boom happened")
        case "soft":
            return {"content": [{"type": "text", "text": text or "soft failure"}], "isError": True}
        case "structured":
            return {"content": [], "structuredContent": {"n": 1.5}}
        case "misshapen":
            return {"content": [], "structuredContent": {"n": "one"}}
        case "change":
            say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        case "slow":
            time.sleep(0.2)
        case "unknown":
            raise Failure(-32602, "Unknown tool: unknown")
    return {"content": [{"type": "text", "text": json.dumps(arguments)}], "isError": False}


if __name__ == "__main__":
    main()
