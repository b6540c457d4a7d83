"""An MCP server over Streamable HTTP with a token that can be changed, sessions that can be dropped, and a
count of what it executed. Nothing but the standard library, so that every bridge meets the same one."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """One server on a free loopback port, and its memory."""

    def __init__(self, token: str) -> None:
        self.lock = threading.Lock()
        self.token = token
        self.sessions: set[str] = set()
        self.opened = 0
        self.executed: list[int] = []
        self.refused = 0
        self.strays: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where MCP is spoken."""
        return f"http://127.0.0.1:{self._http.server_port}/mcp"

    def accept_only(self, token: str) -> None:
        """From now on this token is good, and no other."""
        with self.lock:
            self.token = token

    def drop_sessions(self) -> None:
        """Forgets every session."""
        with self.lock:
            self.sessions.clear()

    def stop(self) -> None:
        """Ends it."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    """What answers the requests of this server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

        def do_POST(self) -> None:
            """Takes a message."""
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if self.path != "/mcp":
                server.strays.append(f"POST {self.path}")
                return self._say(404)
            if not self._is_let_in():
                return None
            message = json.loads(body)
            method, session = message.get("method", ""), self.headers.get("mcp-session-id", "")
            with server.lock:
                if method == "initialize":
                    server.opened += 1
                    session = f"session-{server.opened}"
                    server.sessions.add(session)
                elif session not in server.sessions:
                    error = {"code": -32001, "message": "Session not found"}
                    return self._say(404, {"jsonrpc": "2.0", "id": message.get("id"), "error": error})
                if "id" not in message or not method:
                    return self._say(202)
                result = self._result(method, message.get("params") or {})
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            return self._say(200, answer, session if method == "initialize" else "")

        def do_GET(self) -> None:
            """Has nothing to say unasked."""
            if self.path != "/mcp":
                server.strays.append(f"GET {self.path}")
                self._say(404)
            elif self._is_let_in():
                self._say(405)

        def do_DELETE(self) -> None:
            """Ends a session."""
            if self._is_let_in():
                with server.lock:
                    server.sessions.discard(self.headers.get("mcp-session-id", ""))
                self._say(200)

        def _is_let_in(self) -> bool:
            with server.lock:
                if self.headers.get("authorization") == f"Bearer {server.token}":
                    return True
                server.refused += 1
            self._say(401, challenge=True)
            return False

        def _result(self, method: str, params: dict) -> dict:
            if method == "initialize":
                version = params.get("protocolVersion", "2025-06-18")
                return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
            if method == "tools/list":
                return {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
            if method == "tools/call":
                server.executed.append(params["arguments"]["n"])
                return {"content": [{"type": "text", "text": "done"}]}
            return {}

        def _say(self, status: int, message: dict | None = None, session: str = "", challenge: bool = False) -> None:
            body = b"" if message is None else json.dumps(message).encode()
            self.send_response(status)
            if message is not None:
                self.send_header("Content-Type", "application/json")
            if session:
                self.send_header("Mcp-Session-Id", session)
            if challenge:
                self.send_header("WWW-Authenticate", 'Bearer error="invalid_token"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
