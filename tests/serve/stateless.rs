//! MCP 2026-07-28: no sessions, headers that say what the body says, and an end that cancels.

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::launch::{Served, Setup, call, initialize, text};

/// A message of the era without sessions, and the headers that go with it.
fn modern(served: &Served, id: u32, method: &str, params: Value) -> Request {
    let name = params["name"].as_str().map(str::to_owned);
    let mut message = json!({"jsonrpc": "2.0", "id": id, "method": method});
    message["params"] = params;
    message["params"]["_meta"] = json!({
        "progressToken": id,
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request =
        served.post(&message).and("mcp-protocol-version", "2026-07-28").and("mcp-method", method);
    match &name {
        Some(name) => request.and("mcp-name", name),
        None => request,
    }
}

fn calls(served: &Served, id: u32, tool: &str) -> Response {
    served.send(&modern(served, id, "tools/call", json!({"name": tool, "arguments": {}})))
}

#[test]
fn a_message_needs_no_session_and_gets_none() {
    let served = Setup::new().start();
    let mut response = served.send(&modern(&served, 1, "server/discover", json!({})));
    assert_eq!((response.status, response.header("mcp-session-id")), (200, None));
    assert_eq!(response.json()["result"]["supportedVersions"][0], "2026-07-28");
    // One that names one is not asked about it.
    let named =
        modern(&served, 2, "tools/call", json!({"name": "echo"})).and("mcp-session-id", "x");
    assert!(text(&served.send(&named).json()).starts_with("pid"));
    // Refused by thoth as any other, and no server hears of it.
    let mut refused = calls(&served, 3, "forbidden");
    assert_eq!(refused.status, 200);
    assert_eq!(refused.json()["result"]["_meta"]["decision"]["decision"], "BLOCK");
    assert!(!served.setup.seen().iter().any(|line| line.contains("forbidden")));
    assert_eq!(served.setup.starts().len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_so_whatever_its_headers_say() {
    let served = Setup::new().start();
    for (body, code) in [("{", -32_700), ("[]", -32_600)] {
        let request = modern(&served, 1, "tools/list", json!({})).saying(body.to_owned());
        let mut response = served.send(&request);
        assert_eq!(response.status, 400, "{body}");
        assert_eq!(response.json()["error"]["code"], code, "{body}");
    }
    assert_eq!(served.setup.starts().len(), 0);
}

#[test]
fn a_method_that_the_server_does_not_know_is_not_found() {
    let served = Setup::new().start();
    let mut response = served.send(&modern(&served, 1, "no/such", json!({})));
    assert_eq!(response.status, 404);
    assert_eq!(response.json()["error"]["code"], -32_601);
}

#[test]
fn headers_that_say_something_else_are_refused_before_any_server() {
    let served = Setup::new().start();
    let good = modern(&served, 1, "tools/call", json!({"name": "echo"}));
    for bad in [
        good.clone().without("mcp-protocol-version"),
        good.clone().with("mcp-protocol-version", "2025-11-25"),
        good.clone().without("mcp-method"),
        good.clone().with("mcp-method", "tools/list"),
        good.clone().without("mcp-name"),
        good.clone().with("mcp-name", "forbidden"),
        good.clone().with("mcp-name", "=?base64?eA?="),
    ] {
        let mut response = served.send(&bad);
        assert_eq!(response.status, 400, "{bad:?}");
        assert_eq!(response.json()["error"]["code"], -32_020, "{bad:?}");
    }
    // What the header promises, the body must say.
    let bare = served.post(&call(1, "echo")).and("mcp-protocol-version", "2026-07-28");
    let answer = served.send(&bare).json();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32_602)));
    let mut response = served.send(&good.clone().with("mcp-name", "x"));
    assert_eq!(response.json()["id"], 1);
    assert_eq!(served.setup.starts(), [""; 0]);
    assert_eq!(served.send(&good.with("mcp-name", "=?base64?ZWNobw==?=")).status, 200);
}

#[test]
fn arguments_that_are_told_in_headers_are_held_against_them_once_they_are_known() {
    let served = Setup::new().start();
    let sends = |arguments: Value| {
        modern(&served, 1, "tools/call", json!({"name": "send", "arguments": arguments}))
    };
    let both = json!({"region": "eu", "deep": {"count": 3}});
    assert_eq!(served.send(&sends(both.clone())).status, 200, "nobody knows of them yet");
    assert_eq!(served.send(&modern(&served, 2, "tools/list", json!({}))).status, 200);
    let with = |region: &str, count: &str| {
        sends(both.clone()).and("mcp-param-region", region).and("mcp-param-count", count)
    };
    for bad in [sends(both.clone()), with("us", "3"), with("eu", "4"), with("=?base64?!?=", "3")] {
        let mut response = served.send(&bad);
        assert_eq!((response.status, &response.json()["error"]["code"]), (400, &json!(-32_020)));
    }
    assert_eq!(served.send(&with("eu", "3")).status, 200);
    assert_eq!(served.send(&with("=?base64?ZXU=?=", "3.0")).status, 200);
    assert_eq!(served.send(&sends(json!({"region": null}))).status, 200);
}

#[test]
fn who_closes_the_connection_cancels_and_nobody_else_is_told_the_answer() {
    let served = Setup::new().start();
    let mut stream = calls(&served, 1, "progress");
    let event = stream.event().unwrap();
    assert_eq!(event.id, None, "it cannot be resumed");
    assert!(event.data.contains(r#""progressToken":1"#));
    drop(stream);
    served.until_seen("notifications/cancelled");
    let cancelled = served.setup.seen().pop().unwrap();
    assert!(cancelled.contains(r#""requestId":1"#), "{cancelled}");
    // Another client's request with that id is another's: it goes to a server that has none.
    let mut response = calls(&served, 1, "echo");
    assert!(text(&response.json()).starts_with("pid"));
    assert_eq!(served.setup.starts().len(), 2);
    served.open_gate();
}

#[test]
fn requests_of_one_id_have_a_server_each() {
    let served = Setup::new().start();
    let mut streams: Vec<_> = (0..3).map(|_| calls(&served, 1, "progress")).collect();
    for stream in &mut streams {
        assert_eq!(stream.message()["params"]["progress"], 1);
    }
    assert_eq!(served.setup.starts().len(), 3);
    served.open_gate();
    for mut stream in streams {
        assert_eq!(stream.message()["params"]["progress"], 2);
        assert_eq!(text(&stream.message()), "after progress");
    }
    // They are used again.
    for id in 2..9 {
        calls(&served, id, "echo").json();
    }
    assert_eq!(served.setup.starts().len(), 3);
}

#[test]
fn there_is_no_more_room_than_there_is() {
    let served = Setup::new().flags(&["--max-sessions", "2"]).start();
    let streams: Vec<_> = (0..2).map(|_| calls(&served, 1, "hang")).collect();
    let mut response = calls(&served, 1, "echo");
    assert_eq!((response.status, response.header("retry-after")), (503, Some("5")));
    assert_eq!(response.json()["error"]["data"]["reason_code"], "too_many_sessions");
    assert_eq!(served.send(&served.post(&initialize())).status, 503);
    assert_eq!(calls(&served, 2, "echo").status, 200);
    drop(streams);
}

#[test]
fn a_subscription_is_told_its_news_until_it_is_closed() {
    let served = Setup::new().start();
    let listens = modern(&served, 7, "subscriptions/listen", json!({"notifications": {}}));
    let mut stream = served.send(&listens);
    let said = stream.message();
    assert_eq!(said["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(said["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    drop(stream);
    served.until_seen(r#""requestId":7"#);
}

#[test]
fn what_only_sessions_have_is_not_allowed() {
    let served = Setup::new().start();
    let request = served.post(&Value::Null).and("mcp-protocol-version", "2026-07-28").saying("");
    for method in ["GET", "DELETE"] {
        let response = served.send(&request.clone().to(method, "/mcp"));
        assert_eq!((response.status, response.header("allow").is_some()), (405, true), "{method}");
    }
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {
        "requestId": 1, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}});
    assert_eq!(served.send(&served.post(&cancel)).status, 202);
    assert_eq!(served.setup.starts(), [""; 0]);
}
