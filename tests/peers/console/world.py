"""What the console is looked at in: an enforcer, questions of sidecars, and a client that waits."""

import json
import os
import ssl
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATIENCE = 60
POLICY = """
[policy]
id = "people"
version = 7
default = "allow"

[[rule]]
id = "writes-need-a-person"
tools = ["write_*"]
effect = "step_up"
reason = "what is written stays"

[[rule]]
id = "four-eyes"
tools = ["pay"]
effect = "step_up"
reason = "money needs two people"
self_approval = false

[[rule]]
id = "no-deletes"
tools = ["delete_*"]
effect = "block"
reason = "what is gone cannot be asked about"
"""


class Enforcer:
    """`thoth enforcer` with a home of its own."""

    def __init__(self, thoth: Path, folder: Path) -> None:
        self._folder = folder
        self._thoth = thoth
        home = folder / "home"
        home.mkdir()
        policy = folder / "people.toml"
        policy.write_text(POLICY)
        self._environment = {**os.environ, "HOME": str(home)}
        command = [thoth, "enforcer", "--json", "--listen", "127.0.0.1:0", "--policy", policy]
        self._stderr = (folder / "enforcer.log").open("ab")
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._stderr, env=self._environment
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"peers: thoth enforcer did not start; see {folder}/enforcer.log")
        self.told: dict[str, Any] = json.loads(line)
        self.url: str = self.told["url"]
        self._tls = ssl.create_default_context(cafile=self.told["ca_bundle"])
        self._key = Path(self.told["sidecar_key_file"]).read_text().strip()

    def ask(self, tool: str, arguments: dict[str, Any], user: str = "ada@acme.example", **more: Any) -> dict[str, Any]:
        """Asks what a sidecar would ask about one call."""
        question = {
            "agent_id": "release-bot", "tenant_id": self.told["tenant"], "tool_name": tool, "session_id": "s-1", "user_id": user,
            "approved_scope": [], "enforcement_mode": "progressive", "session_tool_calls": [], "tool_args": arguments,
            "environment": "prod", "metadata": {"mcp_server": "files"}, **more,
        }
        return self.send("/v1/enforce", question)

    def send(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Sends one request with the sidecar's key."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE, context=self._tls) as answer:
            return json.loads(answer.read() or b"null")

    def client(self) -> "Client":
        """A sidecar that asks this enforcer, with a server behind it and a client in front."""
        return Client(self._thoth, self._folder, self.told, self._environment)

    def close(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._stderr.close()


class Client:
    """An MCP client through `thoth run --step-up auto`, as the enforcer's own line says."""

    def __init__(self, thoth: Path, folder: Path, told: dict[str, Any], environment: dict[str, str]) -> None:
        self.ledger = folder / "ledger.jsonl"
        self.ledger.touch()
        command = [
            thoth, "run", "--tenant-id", told["tenant"], "--api-key-file", told["sidecar_key_file"], "--user-id", "bob@acme.example",
            "--agent-id", "release-bot", "--step-up", "auto", "--", sys.executable, HERE / "server.py", self.ledger,
        ]
        environment = {
            **environment, "THOTH_ENFORCER_URL": told["url"], "THOTH_TLS_CA_BUNDLE": told["ca_bundle"],
            "THOTH_TLS_PINNED_CERT_SHA256": told["pin"],
        }
        self._stderr = (folder / "client.log").open("ab")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, env=environment
        )
        self._next = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "suite", "version": "1"}}
        self.result(self.request("initialize", hello))
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.result(self.request("tools/list", {}))

    def request(self, method: str, params: dict[str, Any]) -> int:
        """Sends a request; the answer is to be had by its number."""
        self._next += 1
        self._write({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        return self._next

    def call(self, tool: str, arguments: dict[str, Any]) -> int:
        """Calls a tool."""
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def has_answer(self, number: int) -> bool:
        """Whether it has come."""
        return number in self._answers

    def result(self, number: int) -> dict[str, Any]:
        """Waits for the answer."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: number in self._answers, PATIENCE):
                raise TimeoutError(f"no answer to request {number}")
            return self._answers[number]

    def close(self) -> None:
        """Ends it, and the server behind it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._stderr.close()

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "method" not in message and isinstance(message.get("id"), int):
                with self._arrived:
                    self._answers[message["id"]] = message
                    self._arrived.notify_all()
