//! What is sent with a message.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::fake::{Answer, Asked, Server, call, modern, request};

#[tokio::test]
async fn a_line_is_the_body_as_it_came() {
    let server = Server::start(|asked| async move { asked.plainly() }).await;
    let mut client = server.client();
    let line = r#"{"method":"tools/call", "jsonrpc":"2.0" ,"id":7,"params":{"name":"t","arguments":{"n":1.0,"é":"\u0041"}}}"#;
    client.writes(line).await;
    assert_eq!(client.hears().await["id"], 7);
    let asked = server.asked().remove(0);
    assert_eq!(asked.body, line);
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_session_is_named_with_all_that_follows_and_deleted_at_the_end() {
    for (version, said) in [
        ("2025-03-26", None),
        ("2025-06-18", Some("2025-06-18")),
        ("2025-11-25", Some("2025-11-25")),
    ] {
        let server = Server::start(|asked| async move { asked.plainly() }).await;
        let mut client = server.client();
        client.begins(version).await;
        client.asks(&call(1)).await;
        server.until(|asked| asked.method == "GET").await;
        assert_eq!(client.leaves().await, Vec::<Value>::new());

        let asked = server.asked();
        assert_eq!(asked[0].header("mcp-session-id"), None);
        assert_eq!(asked[0].header("mcp-protocol-version"), None);
        let mut methods: Vec<_> = asked[1..].iter().map(|asked| asked.method.as_str()).collect();
        methods.sort_unstable();
        assert_eq!(methods, ["DELETE", "GET", "POST", "POST"]);
        for asked in &asked[1..] {
            assert_eq!(asked.header("mcp-session-id"), Some("s-1"), "{asked:?}");
            assert_eq!(asked.header("mcp-protocol-version"), said, "{asked:?}");
            assert_eq!(asked.header("mcp-method"), None);
        }
    }
}

#[tokio::test]
async fn a_message_that_names_its_revision_belongs_to_no_session() {
    let script = |asked: Asked| async move { asked.plainly().with("mcp-session-id", "ignored") };
    let server = Server::start(script).await;
    let mut client = server.client();
    client.asks(&modern(1, "server/discover", json!({}))).await;
    client.asks(&modern(2, "tools/call", json!({"name": "écho", "arguments": {}}))).await;
    client.asks(&modern(3, "resources/read", json!({"uri": "file:///a"}))).await;
    assert_eq!(client.leaves().await, Vec::<Value>::new());

    let said = |asked: &Asked| {
        let names = ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"];
        names.map(|name| asked.header(name).unwrap_or("-").to_owned())
    };
    let found: Vec<_> = server.asked().iter().map(said).collect();
    let expected = [
        ["2026-07-28", "server/discover", "-", "-"],
        ["2026-07-28", "tools/call", "=?base64?w6ljaG8=?=", "-"],
        ["2026-07-28", "resources/read", "file:///a", "-"],
    ];
    assert_eq!(found, expected, "and no DELETE");
}

fn tools() -> Value {
    let region = json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
    let wrong =
        json!({"type": "object", "properties": {"n": {"type": "number", "x-mcp-header": "N"}}});
    json!({"resultType": "complete", "tools": [
        {"name": "wrong", "inputSchema": wrong},
        {"name": "where", "inputSchema": region},
    ]})
}

#[tokio::test]
async fn arguments_are_said_in_headers_where_the_schema_wants_it_and_broken_tools_are_not_shown() {
    let server = Server::start(|asked| async move {
        if asked.says() == "tools/list" {
            Answer::json(&asked.result(&tools()))
        } else {
            asked.plainly()
        }
    })
    .await;
    let mut client = server.client();
    let listed = client.asks(&modern(1, "tools/list", json!({}))).await;
    let names: Vec<_> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["where"]);
    assert_eq!(listed["result"]["resultType"], "complete");

    for (id, arguments, expected) in [
        (2, json!({"region": "us-west1"}), Some("us-west1")),
        (3, json!({"region": "südlich"}), Some("=?base64?c8O8ZGxpY2g=?=")),
        (4, json!({"region": null}), None),
        (5, json!({}), None),
    ] {
        client
            .asks(&modern(id, "tools/call", json!({"name": "where", "arguments": arguments})))
            .await;
        let asked = server.asked().pop().unwrap();
        assert_eq!(asked.header("mcp-param-region"), expected, "{arguments}");
    }
    client
        .asks(&request(6, "tools/call", &json!({"name": "where", "arguments": {"region": "a"}})))
        .await;
    assert_eq!(server.asked().pop().unwrap().header("mcp-param-region"), None, "an older message");
}

#[tokio::test]
async fn headers_that_do_not_fit_are_made_anew_from_a_newer_list_once() {
    let mismatch = json!({"code": -32_020, "message": "Header mismatch"});
    for heals in [true, false] {
        let refuses = mismatch.clone();
        let server = Server::start(move |asked: Asked| {
            let error = json!({"jsonrpc": "2.0", "id": asked.json()["id"], "error": refuses});
            async move {
                match asked.says().as_str() {
                    "tools/list" => Answer::json(&asked.result(&tools())),
                    "tools/call" if !heals || asked.header("mcp-param-region").is_none() => {
                        Answer::json(&error).at(400)
                    }
                    _ => asked.plainly(),
                }
            }
        })
        .await;
        let mut client = server.client();
        let arguments = json!({"name": "where", "arguments": {"region": "a"}});
        let answer = client.asks(&modern(1, "tools/call", arguments)).await;
        assert_eq!(answer["error"]["code"] == -32_020, !heals, "{answer}");
        assert_eq!(server.posted(), ["tools/call", "tools/list", "tools/call"]);
        let list = &server.asked()[1].json();
        let meta = &list["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28", "{list}");
    }
}

#[tokio::test]
async fn a_session_is_deleted_although_its_requests_were_never_answered() {
    static HANGS: AtomicBool = AtomicBool::new(true);
    let server = Server::start(|asked| async move {
        if asked.says() == "tools/call" && HANGS.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        asked.plainly()
    })
    .await;
    let mut client = server.client();
    client.begins("2025-11-25").await;
    client.says(&call(1)).await;
    server.until(|asked| asked.says() == "tools/call").await;
    client.over.cancel();
    assert_eq!(client.leaves().await, Vec::<Value>::new());
    assert_eq!(server.asked().pop().unwrap().method, "DELETE");
}
