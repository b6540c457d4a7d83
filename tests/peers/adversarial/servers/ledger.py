"""What a Python target writes down when it executes a tool.

The ledger, not the answer on the wire, is what the suite judges by. Its path is an argument of the
target's command line, because a sidecar may clean the environment.
"""

import json
import os
from typing import Any


def execute(path: str, tool: str, arguments: Any) -> str:
    """Notes one execution, in one write, and returns the tool's text."""
    line = json.dumps({"tool": tool, "arguments": arguments}) + "\n"
    ledger = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)
    return f"{tool} executed"
