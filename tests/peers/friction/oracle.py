"""The oracle: one scripted session through baton-proxy 0.6.18 and through thoth. What the two tell must be the
same, but for `DIFFERENCES`: what thoth does otherwise on purpose."""

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import places
from battery.pairs import prepare
from friction.clients import lab
from friction.streams import judge as judge_streams
from friction.streams import Told, telling
from processes import Lost, Process

ANSWERS_WITHIN = 30.0
Event = dict[str, Any]

GOALS = {"user_goal": "G", "expected_result": "E", "overall_task": "1: T"}
META = {"progressToken": 5, "claudecode/toolUseId": "tu1"}
REPORT = {"user_goal": "weather", "what_happened": "no such city", "tool_name": "boom"}


def call(tool: str, arguments: Any = None, **params: Any) -> tuple[str, dict[str, Any]]:
    return "tools/call", {"name": tool, **({} if arguments is None else {"arguments": arguments}), **params}


SESSION: list[tuple[str, dict[str, Any] | None]] = [
    (
        "initialize",
        {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "  Oracle Client ", "version": "2"},
        },
    ),
    ("tools/list", {}),
    call("echo", {"text": "hi", **GOALS}, _meta=META),
    call("echo", {"text": "hi"}),
    call("echo"),
    call("echo", {"text": "", "user_goal": " ", "expected_result": "E"}),
    call("echo", {"text": "task only", "overall_task": "2: T"}),
    call("echo", {"n": 1.5, "list": [1, True, None, {"a": "é\u2028🔒"}]}, _meta={"progressToken": "p"}),
    call("native", {"user_goal": "mine", "expected_result": "E"}),
    call("boom", {}),
    call("boom", {"text": "failed for jane@example.com"}),
    call("soft", {}),
    call("structured", {}),
    call("misshapen", {}),
    call("second", {"text": "on the same page", **GOALS}),
    call("unknown", {}),
    call("baton_annotate", {**REPORT, **GOALS, "suggested_improvement": "list them"}),
    call("baton_annotate", {**REPORT, "context": {"plan": "ask", "alternatives_considered": ["a", "b"]}}, _meta=META),
    call("baton_annotate", {**REPORT, "tool_name": ""}),
    call("baton_annotate", {"user_goal": "only a plan", "tool_name": "echo"}),
    call("echo", {"password": "hunter2", "nested": [{"Token": ["abc"]}], "text": "mail bob@example.com, 4111111111111111"}),
    ("resources/list", {}),
    ("resources/read", {"uri": "mem:a"}),
    ("resources/read", {"uri": "mem:none", "_meta": {"a": 1}}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "p", "arguments": {"x": "1"}}),
    ("prompts/get", {"name": "none"}),
    ("ping", None),
    ("logging/setLevel", {"level": "info"}),
    ("no/such", {}),
    ("tools/list", {}),
]


def payload(name: str, change: Callable[[Event], None]) -> Callable[[Event], None]:
    """A change of the payload of one type."""

    def on(event: Event) -> None:
        if event["event_type"] == name:
            change(event["payload"])

    return on


def forget(*names: str) -> Callable[[Event], None]:
    def on(members: Event) -> None:
        for name in names:
            members.pop(name, None)

    return on


def texts(members: Event) -> None:
    """thoth reads JSON within a text, and finds fields in it."""
    if "[REDACTED:field-password]" in (shown := json.dumps(members["result"])):
        shown = shown.replace("[REDACTED:field-password]", "hunter2").replace("[REDACTED:field-token]", "abc")
        members["result"] = json.loads(shown)


def augmentation(members: Event) -> None:
    """thoth can tell of the session in it, so it adds that tool, too."""
    tools = members["seam_augmentations"]["injected_tools"]
    members["seam_augmentations"]["injected_tools"] = [tool for tool in tools if tool != "baton_session_report"]


DIFFERENCES: list[tuple[str, str, Callable[[Event], None]]] = [
    (
        "client_observed, transport_observed, session_id_origin",
        "thoth says what it knows of the client and where the session's id comes from; the proxy says neither",
        forget("client_observed", "transport_observed", "session_id_origin"),
    ),
    (
        "failure_kind",
        "thoth tells unknown tools and wrong arguments from other errors",
        payload("tool_call_error", forget("failure_kind")),
    ),
    (
        "texts that are JSON",
        "thoth knows fields in them, too; the proxy leaves in what stands in `password` there",
        payload("tool_call_end", texts),
    ),
    (
        "prompt_get_start.params",
        "thoth leaves out what the client did not send; the proxy tells empty arguments",
        payload("prompt_get_start", lambda members: members.pop("params") if members.get("params") == {} else None),
    ),
    (
        "injected_tools, count",
        "thoth has a report for the conversation wherever events stay on this machine; the proxy has dropped it",
        payload("surface_snapshot", augmentation),
    ),
]
"""What is different on purpose, why, and what takes it out of both streams."""


def oracle(thoth: Path, folder: Path) -> list[str]:
    """Plays the session through both. Returns what differs, and what is wrong with thoth's stream."""
    streams, wrong = [], []
    for name, wrap in (("baton-proxy", proxy), ("thoth", telling(thoth))):
        home = folder / f"oracle-{name}"
        prepare(home)
        try:
            play(wrap(home, lab()(home)), home)
        except Lost as lost:
            wrong.append(f"{name}: {lost}")
        path = home / "events.jsonl"
        lines = path.read_text().splitlines() if path.is_file() else []
        streams.append(normal([json.loads(line) for line in lines], added=2 if name == "thoth" else 1))
        if name == "thoth":
            told = Told("w3", "oracle", "lab", path)
            judge_streams("w3", [told])
            wrong += told.wrong
    if not all(streams):
        wrong.append("a stream is empty")
    theirs, ours = ([line for event in stream for line in rows(event)] for stream in streams)
    if diff := list(difflib.unified_diff(theirs, ours, "baton-proxy", "thoth", lineterm="", n=6)):
        wrong.append("thoth tells something else\n" + "\n".join(diff))
    return wrong


def proxy(home: Path, command: list[str]) -> list[str]:
    """baton-proxy, writing where thoth would."""
    sink = f"BATON_EVENT_SINK=file://{home / 'events.jsonl'}"
    labels = ["BATON_VENDOR_ID=peers", "BATON_TENANT_ID=peers", "BATON_CONSENT_TOKEN=peers"]
    return ["env", sink, *labels, str(places.baton("w3")), "-m", "baton_proxy", "--", *command]


def play(command: list[str], home: Path) -> None:
    """Says the session line by line; each waits for its answer, so that the order is one."""
    process = Process(command, home)
    try:
        for number, (method, params) in enumerate(SESSION):
            request: Event = {"jsonrpc": "2.0", "id": number, "method": method}
            if params is not None:
                request["params"] = params
            process.write(json.dumps(request).encode() + b"\n")
            process.wait_for(lambda line, number=number: is_answer(line, number), ANSWERS_WITHIN)
            if number == 0:
                process.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    finally:
        process.end()


def is_answer(line: bytes, number: int) -> bool:
    message = json.loads(line)
    return "method" not in message and message.get("id") == number


def normal(events: list[Event], added: int) -> list[Event]:
    """Without what is random or passes with time, and without the differences that are meant."""
    calls = dict[str, str]()
    for event in events:
        for name in ("event_id", "session_id", "captured_at", "sdk_version", "sequence_number"):
            event.pop(name)
        event["payload"].pop("duration_ms", None)
        if "call_id" in event:
            event["call_id"] = calls.setdefault(event["call_id"], f"call {len(calls)}")
        if event["event_type"] == "tool_list_end":
            event["payload"]["count"] -= added
        for _, _, take_out in DIFFERENCES:
            take_out(event)
    return events


def rows(event: Event) -> list[str]:
    """An event as lines to compare."""
    return [event["event_type"], *json.dumps(event, indent=1, sort_keys=True).splitlines()]
