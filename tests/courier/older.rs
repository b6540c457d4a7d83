//! A server that knows only HTTP+SSE.

use std::sync::Arc;

use serde_json::{Value, json};
use thoth::config::settings::{self, Transport};
use tokio::sync::Mutex;

use crate::fake::{Answer, Asked, Client, Events, Server, call, modern, reason};

/// What all connections of the server share.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<Option<Events>>>);

/// A server that says `endpoint` first, and everything else on the same stream.
async fn older(endpoint: &'static str) -> (Server, Stream) {
    let stream = Stream::default();
    let shared = stream.clone();
    let server = Server::start(move |asked: Asked| {
        let stream = shared.clone();
        async move {
            match (asked.method.as_str(), asked.path.as_str()) {
                ("GET", "/mcp") => {
                    let (answer, events) = Answer::events();
                    events.write(&format!("event: endpoint\ndata: {endpoint}\n\n")).await;
                    *stream.0.lock().await = Some(events);
                    answer
                }
                ("POST", "/messages?s=1") => {
                    let message = asked.json();
                    let is_request = message.get("id").is_some() && message.get("method").is_some();
                    if is_request && asked.says() != "prompts/get" {
                        let result = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "ok": true});
                        let events = stream.0.lock().await.clone().unwrap();
                        events.say(&asked.result(&result)).await;
                    }
                    Answer::text("text/plain", "Accepted").at(202)
                }
                ("POST", "/mcp") => Answer::text("text/html", "Cannot POST /mcp").at(404),
                _ => Answer::status(405),
            }
        }
    })
    .await;
    (server, stream)
}

#[tokio::test]
async fn it_is_found_out_and_spoken_to_in_its_own_way() {
    for transport in [Transport::Auto, Transport::Sse] {
        let (server, stream) = older("/messages?s=1").await;
        let settings = settings::Upstream::new(server.url().parse().unwrap());
        let mut client = Client::of(settings::Upstream { transport, ..settings });
        assert_eq!(client.begins("2024-11-05").await["result"]["ok"], true);
        assert_eq!(client.asks(&call(1)).await["result"]["ok"], true);
        let message = json!({"jsonrpc": "2.0", "id": 0, "method": "roots/list"});
        stream.0.lock().await.clone().unwrap().say(&message).await;
        assert_eq!(client.hears().await, message);
        assert_eq!(client.leaves().await, Vec::<Value>::new());
        let expected_at_first = if transport == Transport::Auto { "POST" } else { "GET" };
        assert_eq!(server.asked()[0].method, expected_at_first);
        assert_eq!(server.asked().iter().filter(|asked| asked.method == "GET").count(), 1);
        stream.0.lock().await.clone().unwrap().closed().await;
    }
}

#[tokio::test]
async fn a_cancellation_is_told_whatever_the_revision() {
    let (server, _stream) = older("/messages?s=1").await;
    let settings = settings::Upstream::new(server.url().parse().unwrap());
    let mut client = Client::of(settings::Upstream { transport: Transport::Sse, ..settings });
    client.says(&modern(1, "prompts/get", json!({"name": "never answered"}))).await;
    server.until(|asked| asked.says() == "prompts/get").await;
    let params = json!({"requestId": 1});
    let method = "notifications/cancelled";
    client.says(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    server.until(|asked| asked.says() == method).await;
}

#[tokio::test]
async fn it_is_not_looked_for_where_only_the_newer_way_is_wanted() {
    let (server, _) = older("/messages?s=1").await;
    let settings = settings::Upstream::new(server.url().parse().unwrap());
    let mut client = Client::of(settings::Upstream { transport: Transport::Http, ..settings });
    assert_eq!(reason(&client.begins("2024-11-05").await), "upstream_status");
    assert!(server.asked().iter().all(|asked| asked.method == "POST"));
}

#[tokio::test]
async fn nothing_is_posted_to_another_host() {
    let canary = Server::start(|asked| async move { asked.plainly() }).await;
    let endpoint = format!("http://{}/messages?s=1", canary.address).leak();
    let (server, _) = older(endpoint).await;
    let mut client = server.client();
    assert_eq!(reason(&client.begins("2024-11-05").await), "upstream_status");
    assert!(canary.asked().is_empty());
}

#[tokio::test]
async fn a_stream_that_ends_loses_what_waits_and_is_opened_anew_for_the_next() {
    let (server, stream) = older("/messages?s=1").await;
    let mut client = server.client();
    client.begins("2024-11-05").await;
    client.asks(&call(1)).await;
    stream.0.lock().await.take().unwrap().cut().await;
    let answer = client.asks(&call(2)).await;
    // It may have met the end of the stream while it waited, and is then not sent again.
    assert!(answer["result"]["ok"] == true || reason(&answer) == "upstream_broken", "{answer}");
    assert_eq!(client.asks(&call(3)).await["result"]["ok"], true);
    let greetings = server
        .asked()
        .iter()
        .filter(|asked| asked.path != "/mcp" && asked.says() == "initialize")
        .count();
    assert_eq!(greetings, 2);
}
