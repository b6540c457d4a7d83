//! What comes back: bodies and streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use crate::fake::{Answer, Asked, Events, LIMIT, Server, call, reason, request};

/// A server whose answers to calls are streams that the test writes.
async fn streaming() -> (Server, mpsc::Receiver<(Asked, Events)>) {
    let (sender, streams) = mpsc::channel(16);
    let server = Server::start(move |asked| {
        let sender = sender.clone();
        async move {
            if asked.says() != "tools/call" {
                return asked.plainly();
            }
            let (answer, events) = Answer::events();
            sender.send((asked, events)).await.unwrap();
            answer
        }
    })
    .await;
    (server, streams)
}

#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let (server, mut streams) = streaming().await;
    let mut client = server.client();
    client.says(&call(1)).await;
    let (asked, events) = streams.recv().await.unwrap();
    let progress =
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    events.write(": a comment\n\nevent: ping\ndata: {}\n\ndata: not json\n\n").await;
    events.say(&progress).await;
    assert_eq!(client.hears().await, progress, "the stream has not ended");
    events.write("data: [{\"jsonrpc\":\"2.0\",\"method\":\"a\"},{\"jsonrpc\":\"2.0\",\"method\":\"b\"}]\n\n").await;
    assert_eq!(
        (client.hears().await["method"].take(), client.hears().await["method"].take()),
        (json!("a"), json!("b"))
    );
    let sampling = request(1, "sampling/createMessage", &json!({}));
    events.write(&format!("event: message\r\nid: 7\r\ndata: {sampling}\r\n\r\n")).await;
    assert_eq!(client.hears().await, sampling);
    events.say(&asked.result(&json!({"n": 1}))).await;
    assert_eq!(client.hears().await["result"]["n"], 1, "the stream has not ended");
    events.say(&progress).await;
    assert_eq!(client.hears().await, progress, "what comes after the answer counts, too");
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"role": "assistant"}});
    client.says(&answer).await;
    let posted = server.until(|asked| asked.says() == "answer").await;
    assert_eq!(posted.json(), answer, "the client's answer to the server is posted");
}

#[tokio::test]
async fn each_message_is_one_line() {
    for (kind, body, expected) in [
        (
            "application/json",
            "{\"jsonrpc\":\"2.0\",\r\n \"id\":1,\n\"result\":{}}\n",
            vec![r#"{"jsonrpc":"2.0",   "id":1, "result":{}}"#],
        ),
        (
            "Application/JSON;charset=utf-8",
            r#"[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":1,"result":{}}]"#,
            vec![r#"{"jsonrpc":"2.0","method":"a"}"#, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#],
        ),
        (
            "text/event-stream",
            "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":{}}\n\n",
            vec![r#"{"jsonrpc":"2.0", "id":1,"result":{}}"#],
        ),
        (
            "application/json",
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#,
            vec![r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32700,"message":"?"}}"#],
        ),
        (
            "application/json",
            r#"{"jsonrpc":"2.0","id":1,"result":{"a":"\ud800"},"x":NaN}"#,
            vec![r#"{"jsonrpc":"2.0","id":1,"result":{"a":"\ud800"},"x":NaN}"#],
        ),
    ] {
        let server = Server::start(move |_| async move { Answer::text(kind, body) }).await;
        let mut client = server.client();
        client.says(&call(1)).await;
        for line in expected {
            assert_eq!(client.line().await, format!("{line}\n"), "{body}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_for_its_request_alone() {
    let long = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"{}\"}}", "x".repeat(LIMIT));
    for (kind, body, status, expected) in [
        ("text/html", "<html>{}</html>".to_owned(), 200, "upstream_broken"),
        ("application/json", String::new(), 202, "upstream_broken"),
        ("application/json", "not json".to_owned(), 200, "upstream_broken"),
        (
            "application/json",
            r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.to_owned(),
            200,
            "upstream_broken",
        ),
        ("text/event-stream", "data: {}".to_owned(), 200, "upstream_broken"),
        ("application/json", long.clone(), 200, "answer_too_long"),
        ("text/event-stream", format!("data: {long}\n\n"), 200, "answer_too_long"),
    ] {
        let server = Server::start(move |asked: Asked| {
            let answer = Answer::text(kind, &body).at(status);
            async move { if asked.json()["id"] == 1 { answer } else { asked.plainly() } }
        })
        .await;
        let mut client = server.client();
        client.says(&call(1)).await;
        let mut answer = client.hears().await;
        while answer.get("error").is_none() {
            answer = client.hears().await; // something that answers nobody is passed on, too
        }
        assert_eq!(reason(&answer), expected, "{kind}");
        assert_eq!(client.asks(&call(2)).await["result"]["ok"], true);
        assert_eq!(server.count("tools/call"), 2, "nothing is sent twice");
    }
}

#[tokio::test]
async fn what_was_not_asked_for_in_another_encoding_is_not_read() {
    let script = |asked: Asked| async move { asked.plainly().with("content-encoding", "gzip") };
    let server = Server::start(script).await;
    assert_eq!(reason(&server.client().asks(&call(1)).await), "upstream_broken");
}

#[tokio::test]
async fn a_stream_that_ends_before_its_answer_is_gone_on_with_where_it_stood() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let server = Server::start(move |asked: Asked| {
        let polls = Arc::clone(&counted);
        async move {
            match (asked.method.as_str(), asked.header("last-event-id")) {
                ("GET", Some("e-0")) => Answer::stream(
                    "id: e-1\nretry: 20\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n\n",
                ),
                ("GET", Some("e-1")) if polls.fetch_add(1, Ordering::Relaxed) == 0 => {
                    Answer::status(503)
                }
                ("GET", Some("e-1")) => Answer::stream(
                    "id: e-2\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
                ),
                ("GET", _) => Answer::status(405),
                _ if asked.says() == "tools/call" => {
                    Answer::stream("id: e-0\nretry: 10\ndata:\n\n")
                }
                _ => asked.plainly(),
            }
        }
    })
    .await;
    let mut client = server.client();
    client.begins("2025-11-25").await;
    assert_eq!(client.asks(&call(1)).await["method"], "m");
    assert_eq!(client.hears().await["result"], json!({}));
    assert_eq!(server.count("tools/call"), 1);
    let resumed = server.until(|asked| asked.header("last-event-id") == Some("e-0")).await;
    assert_eq!(resumed.header("mcp-session-id"), Some("s-1"));
}

#[tokio::test]
async fn a_stream_that_breaks_without_a_mark_is_an_error_and_nothing_is_sent_again() {
    let (server, mut streams) = streaming().await;
    let mut client = server.client();
    for (id, cuts) in [(1, true), (2, false)] {
        client.says(&call(id)).await;
        let (_, events) = streams.recv().await.unwrap();
        events.say(&json!({"jsonrpc": "2.0", "method": "m"})).await;
        assert_eq!(client.hears().await["method"], "m");
        if cuts {
            events.cut().await;
        } else {
            drop(events);
        }
        assert_eq!(reason(&client.hears().await), "upstream_broken");
    }
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn the_server_is_listened_to_and_gone_on_with_where_it_stopped() {
    let server = Server::start(|asked| async move {
        match (asked.method.as_str(), asked.header("last-event-id")) {
            ("GET", None) => Answer::stream(
                "retry: 10\nid: g-1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"first\"}\n\n",
            ),
            ("GET", Some("g-1")) => Answer::stream(
                "id: g-2\ndata: {\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"roots/list\"}\n\n",
            ),
            ("GET", _) => {
                let (answer, events) = Answer::events();
                tokio::spawn(async move { events.closed().await });
                answer
            }
            _ => asked.plainly(),
        }
    })
    .await;
    let mut client = server.client();
    client.begins("2025-11-25").await;
    assert_eq!(client.hears().await["method"], "first");
    assert_eq!(client.hears().await["method"], "roots/list");
    client.says(&json!({"jsonrpc": "2.0", "id": 0, "result": {"roots": []}})).await;
    server.until(|asked| asked.says() == "answer").await;
    let third = server.until(|asked| asked.header("last-event-id") == Some("g-2")).await;
    assert_eq!(third.header("accept"), Some("text/event-stream"));
    assert_eq!(third.header("mcp-session-id"), Some("s-1"));
    assert_eq!(
        client.leaves().await,
        Vec::<Value>::new(),
        "a stream that goes on holds nothing up"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_server() {
    let written = Arc::new(Mutex::new(None));
    let told = Arc::clone(&written);
    let server = Server::start(move |asked: Asked| {
        let told = Arc::clone(&told);
        async move {
            let (answer, events) = Answer::events();
            tokio::spawn(async move {
                let message = json!({"jsonrpc": "2.0", "method": "m", "params": {"x": "x".repeat(64 * 1024)}});
                let count = events.flood(&format!("data: {message}\n\n"), 1000).await;
                *told.lock().await = Some(count);
                let _ = asked;
            });
            answer
        }
    })
    .await;
    let mut client = server.client();
    client.says(&call(1)).await;
    let stopped = loop {
        if let Some(count) = *written.lock().await {
            break count;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(stopped < 1000, "64 MB were taken in for nobody");
}
