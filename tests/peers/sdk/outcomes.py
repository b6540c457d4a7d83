"""Calls tools through the public SDK, and prints what became of each: one JSON object.

Run by the interpreter that has `atensec-thoth`; what it needs to know comes as JSON on standard input.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import thoth
from thoth.models import ThothConfig

GIVEN = json.load(sys.stdin)
TOOLS = ("read", "drop", "pay", "refund", "query", "batch", "unheard_of")


def main() -> None:
    # The SDK looks at a hold every five seconds; a test has less time.
    ThothConfig.model_fields["step_up_poll_interval_seconds"].default = 1
    ThothConfig.model_rebuild(force=True)
    names = GIVEN["cases"] or list(CASES)
    outcomes = {f"{name} {at}" if GIVEN["cases"] else name: outcome(CASES[name]) for at, name in enumerate(names)}
    print(json.dumps(outcomes))


def tools(**more: Any) -> dict[str, Callable[..., Any]]:
    """The tools as an agent gets them: each gives back what it was called with."""
    options = {"api_url": GIVEN["url"], "api_key": GIVEN["key"], "tenant_id": GIVEN["tenant"], "enforcement": "progressive"}
    functions = {name: lambda arguments: arguments for name in TOOLS}
    return thoth.instrument_anthropic(functions, agent_id="sdk", approved_scope=[], user_id="bob@acme.example", **(options | more))


def outcome(case: Callable[[], Any]) -> str:
    """`ran` and with what, or why not."""
    try:
        return f"ran {json.dumps(case())}"
    except thoth.ThothPolicyViolation as violation:
        return f"refused {violation.reason}"


def call(tool: str, **more: Any) -> Any:
    return tools(**more)[tool]({"limit": 1})


def answered(tool: str, decision: str) -> Any:
    """A call that a person answers while it waits."""
    person = threading.Thread(target=answer, args=(tool, decision))
    person.start()
    try:
        return call(tool)
    finally:
        person.join()


def answer(tool: str, decision: str) -> None:
    """Looks for the approval as an administrator does, and answers it."""
    approvals = f"{GIVEN['url']}/{GIVEN['tenant']}/thoth/approvals"
    with httpx.Client(headers={"x-api-key": GIVEN["admin"]}) as client:
        for _ in range(100):
            found = client.get(approvals, params={"status": "pending"}).raise_for_status().json()["data"]
            mine = [one["id"] for one in found if one["tool_name"] == tool]
            if mine:
                client.post(f"{approvals}/{mine[0]}/resolve", json={"decision": decision}).raise_for_status()
                return
            time.sleep(0.1)


def inventory() -> Any:
    """An agent object whose tools are reported; nothing is called."""

    class Tool:
        name = "read"
        description = "reads"

        def run(self, argument: str) -> str:
            return argument

    class Agent:
        tools = [Tool()]

    agent = thoth.instrument(
        Agent(),
        agent_id="sdk",
        approved_scope=[],
        tenant_id=GIVEN["tenant"],
        api_url=GIVEN["url"],
        api_key=GIVEN["key"],
        enforcement="progressive",
    )
    return agent.tools[0].name


CASES: dict[str, Callable[[], Any]] = {
    "allow": lambda: call("read"),
    "block": lambda: call("drop"),
    "default": lambda: call("unheard_of"),
    "modify": lambda: call("query"),
    "defer": lambda: call("batch"),
    "approved": lambda: answered("pay", "approve"),
    "denied": lambda: answered("refund", "deny"),
    "denied once more": lambda: call("refund"),
    "step_up where nobody may": lambda: call("pay", enforcement="block"),
    "observe": lambda: call("drop", enforcement="observe"),
    "another tenant": lambda: call("read", tenant_id="other"),
    "wrong key": lambda: call("read", api_key="thoth_live_wrong"),
    "key without execute": lambda: call("read", api_key=GIVEN["reader"]),
    "dead port": lambda: call("read", api_url="https://127.0.0.1:1"),
    "inventory": inventory,
}

if __name__ == "__main__":
    main()
