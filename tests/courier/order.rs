//! What waits for what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::fake::{Answer, Asked, Server, call, modern, request};

fn note(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": method})
}

/// A server that answers messages with this method only when it is let.
async fn holding(method: &'static str) -> (Server, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |asked: Asked| {
        let gate = Arc::clone(&held);
        async move {
            if asked.says() == method {
                gate.acquire().await.unwrap().forget();
            }
            asked.plainly()
        }
    })
    .await;
    (server, gate)
}

#[tokio::test]
async fn the_handshake_is_over_before_anything_else_is_sent() {
    for (held, seen) in [
        ("initialize", vec!["initialize"]),
        ("notifications/initialized", vec!["initialize", "notifications/initialized"]),
    ] {
        let (server, gate) = holding(held).await;
        let mut client = server.client();
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
        client.says(&request(0, "initialize", &params)).await;
        client.says(&note("notifications/initialized")).await;
        client.says(&request(1, "tools/list", &json!({}))).await;
        client.says(&note("notifications/roots/list_changed")).await;
        server.until(|asked| asked.says() == held).await;
        // Everything else has had the time that this takes.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(server.posted(), seen);
        gate.add_permits(1);
        assert_eq!(client.hears().await["id"], 0);
        assert_eq!(client.hears().await["id"], 1);
        server.until(|asked| asked.says() == "notifications/roots/list_changed").await;
        assert_eq!(server.posted()[..2], ["initialize", "notifications/initialized"]);
    }
}

/// What a server says unasked is lost while nobody listens, and its own requests with it: those that
/// ask while they answer a call would wait for an answer in vain.
#[tokio::test]
async fn the_servers_stream_is_asked_for_before_what_comes_after_the_handshake() {
    for _ in 0..20 {
        let server = Server::start(|asked: Asked| async move { asked.plainly() }).await;
        let mut client = server.client();
        client.begins("2025-11-25").await;
        assert_eq!(client.asks(&call(1)).await["id"], 1);
        let asked = server.asked();
        let place = |method: &str| asked.iter().position(|asked| asked.method == method);
        let called = asked.iter().position(|asked| asked.says() == "tools/call");
        assert!(place("GET").is_some() && place("GET") < called);
    }
}

#[tokio::test]
async fn the_stream_of_a_session_begun_anew_is_asked_for_before_the_call_is_sent_again() {
    for _ in 0..20 {
        let sessions = Arc::new(AtomicUsize::new(0));
        let server = Server::start(move |asked: Asked| {
            let sessions = Arc::clone(&sessions);
            async move {
                let is_lost = asked.says() == "tools/call" && in_session(&asked, "s-1");
                match &*asked.says() {
                    "initialize" => {
                        let id = format!("s-{}", sessions.fetch_add(1, Ordering::Relaxed) + 1);
                        let version = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
                        Answer::json(&asked.result(&version)).with("mcp-session-id", &id)
                    }
                    _ if is_lost => Answer::status(404),
                    _ => asked.plainly(),
                }
            }
        })
        .await;
        let mut client = server.client();
        client.begins("2025-11-25").await;
        assert_eq!(client.asks(&call(1)).await["result"]["ok"], true);
        let asked = server.asked();
        let place = |is_it: &dyn Fn(&Asked) -> bool| {
            asked.iter().position(|asked| is_it(asked) && in_session(asked, "s-2"))
        };
        let listened = place(&|asked| asked.method == "GET");
        assert!(listened.is_some() && listened < place(&|asked| asked.says() == "tools/call"));
    }
}

fn in_session(asked: &Asked, id: &str) -> bool {
    asked.header("mcp-session-id") == Some(id)
}

#[tokio::test]
async fn a_server_that_keeps_the_stream_waiting_holds_up_no_session() {
    let server = Server::start(|asked: Asked| async move {
        if asked.method == "GET" {
            std::future::pending::<()>().await;
        }
        asked.plainly()
    })
    .await;
    let mut client = server.client();
    client.begins("2025-11-25").await;
    assert_eq!(client.asks(&call(1)).await["id"], 1);
}

#[tokio::test]
async fn notifications_keep_their_order_and_hold_up_no_request() {
    let (server, gate) = holding("notifications/a").await;
    let mut client = server.client();
    client.says(&note("notifications/a")).await;
    client.says(&note("notifications/b")).await;
    client.says(&note("notifications/c")).await;
    assert_eq!(client.asks(&call(1)).await["id"], 1);
    assert_eq!(server.count("notifications/b"), 0);
    gate.add_permits(1);
    server.until(|asked| asked.says() == "notifications/c").await;
    let posted = server.posted();
    let order: Vec<_> = posted.iter().filter(|says| says.starts_with("notifications")).collect();
    assert_eq!(order, ["notifications/a", "notifications/b", "notifications/c"]);
}

#[tokio::test]
async fn a_slow_request_holds_up_no_other() {
    let (server, gate) = holding("tools/call").await;
    let mut client = server.client();
    for id in 1..=150 {
        client.says(&call(id)).await;
    }
    assert_eq!(client.asks(&request(151, "ping", &json!({}))).await["id"], 151);
    client.says(&json!({"jsonrpc": "2.0", "id": 9, "result": {}})).await;
    server.until(|asked| asked.says() == "answer").await;
    gate.add_permits(150);
    let mut ids = Vec::new();
    for _ in 0..150 {
        ids.push(client.hears().await["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1..=150));
}

#[tokio::test]
async fn closing_its_stream_cancels_a_modern_request() {
    let (sender, mut streams) = mpsc::channel(1);
    let server = Server::start(move |_| {
        let sender = sender.clone();
        async move {
            let (answer, events) = Answer::events();
            sender.send(events).await.unwrap();
            answer
        }
    })
    .await;
    let mut client = server.client();
    client.says(&modern(1, "subscriptions/listen", json!({}))).await;
    let events = streams.recv().await.unwrap();
    events.say(&note("notifications/subscriptions/acknowledged")).await;
    assert_eq!(client.hears().await["method"], "notifications/subscriptions/acknowledged");
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    client.says(&cancel).await;
    events.closed().await;
    assert_eq!(client.leaves().await, Vec::<Value>::new(), "nobody is answered");
    assert_eq!(server.posted(), ["subscriptions/listen"]);
}

#[tokio::test]
async fn cancelling_an_older_request_is_said_at_once() {
    let (server, gate) = holding("tools/call").await;
    let mut client = server.client();
    client.begins("2025-11-25").await;
    client.says(&call(1)).await;
    server.until(|asked| asked.says() == "tools/call").await;
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    client.says(&cancel).await;
    server.until(|asked| asked.says() == "notifications/cancelled").await;
    gate.add_permits(1);
    assert_eq!(client.hears().await["id"], 1, "an answer that comes all the same is passed on");
}

#[tokio::test]
async fn what_was_cancelled_before_it_was_sent_is_never_sent() {
    let (server, gate) = holding("initialize").await;
    let mut client = server.client();
    client.says(&request(0, "initialize", &json!({"protocolVersion": "2025-11-25"}))).await;
    client.says(&call(1)).await;
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    client.says(&cancel).await;
    client.says(&request(2, "ping", &json!({}))).await;
    server.until(|asked| asked.says() == "initialize").await;
    gate.add_permits(1);
    assert_eq!(client.hears().await["id"], 0);
    assert_eq!(client.hears().await["id"], 2);
    assert_eq!(server.posted(), ["initialize", "ping"]);
}
