//! What does not belong here: huge and slow bodies, forged keys, floods, bytes that are no TLS.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use thoth::machine::clock;
use thoth::server::caller::{Permissions, Scope};
use thoth::server::keys::{self, NewKey};
use thoth::server::limits::Limits;
use thoth::server::listen::Bounds;
use thoth::server::{Parts, Tenant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::live::{Enforcer, Served, read};

/// Where waiting is what is tested: as short as can be.
const SHORT: Duration = Duration::from_millis(50);

/// A body of so many bytes, announced.
fn post(path: &str, key: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: e\r\nx-api-key: {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_that_says_it_is_huge_is_refused_unread() {
    let served = Served::new().await;
    for (path, most) in [
        ("/v1/enforce", 4 << 20),
        ("/v1/events/batch", 8 << 20),
        ("/default/thoth/endpoints", 2 << 20),
        ("/default/thoth/tool-inventory", 2 << 20),
        ("/tool-inventory", 2 << 20),
        ("/default/thoth/api-keys", 64 << 10),
    ] {
        let answer = served.send(post(path, &served.admin, most + 1)).await;
        assert_eq!((answer.status, &*answer.code()), (413, "payload_too_large"), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_is_cut_off() {
    let served = Served::new().await;
    let mut request = format!(
        "POST /default/thoth/api-keys HTTP/1.1\r\nhost: e\r\nx-api-key: {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        served.admin
    );
    let piece = "x".repeat(1024);
    for _ in 0..80 {
        request.push_str("400\r\n");
        request.push_str(&piece);
        request.push_str("\r\n");
    }
    let answer = served.send(request).await;
    assert_eq!((answer.status, &*answer.code()), (413, "payload_too_large"));
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    let served = Served::within(Bounds { body: SHORT, ..Bounds::default() }).await;
    let answer = served.send(post("/default/thoth/api-keys", &served.admin, 100) + "{").await;
    assert_eq!((answer.status, &*answer.code()), (408, "too_slow"));
}

#[tokio::test]
async fn a_body_that_nobody_may_send_is_not_waited_for() {
    let served = Served::new().await;
    for path in ["/v1/enforce", "/v1/events/batch", "/v0/events", "/default/thoth/endpoints"] {
        let answer = served.send(post(path, "none", 100)).await;
        assert_eq!((answer.status, &*answer.code()), (401, "unauthenticated"), "{path}");
    }
}

#[tokio::test]
async fn a_slow_head_is_not_waited_for() {
    let served = Served::within(Bounds { head: SHORT, ..Bounds::default() }).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").await.unwrap();
    let answer = read(&mut stream).await; // the connection ends
    assert!(matches!(answer.status, 0 | 408), "{answer:?}");
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_ends() {
    let served = Served::within(Bounds { idle: SHORT, ..Bounds::default() }).await;
    for protocol in [&b"http/1.1"[..], b"h2"] {
        let mut stream = served.connect_speaking(protocol).await;
        read(&mut stream).await;
    }
    let served = Served::within(Bounds { idle: Duration::from_secs(3), ..Bounds::default() }).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: e\r\n\r\n").await.unwrap();
    let answer = read(&mut stream).await; // until the connection ends by itself
    assert_eq!(answer.status, 200, "what was asked is answered");
}

#[tokio::test]
async fn who_makes_no_handshake_is_shown_out_and_harms_nobody() {
    // Long enough for an honest handshake on a busy machine.
    let bounds = Bounds { handshake: Duration::from_secs(2), ..Bounds::default() };
    let served = Served::within(bounds).await;
    let silent = TcpStream::connect(served.address).await.unwrap();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\xff\xff", b"\0\0\0\0", b"\x80"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told).await; // it ends, with an alert or without
        assert!(!told.starts_with(b"HTTP"));
    }
    let mut silent = silent;
    let _ = silent.read_to_end(&mut Vec::new()).await;
    assert_eq!(served.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let served = Served::within(Bounds { connections_of_one: 2, ..Bounds::default() }).await;
    let (one, two) = (served.connect().await, served.connect().await);
    let mut third = TcpStream::connect(served.address).await.unwrap();
    let mut told = Vec::new();
    let _ = third.read_to_end(&mut told).await;
    assert!(told.is_empty(), "it is closed before anything is said");
    assert!(served.app.metrics.text().contains("thoth_connections_refused_total 1"));
    drop((one, two));
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let served = Served::new().await;
    let many = "x: y\r\n".repeat(200);
    assert_eq!(served.get("/healthz", &many).await.status, 431);
    let long = format!("x: {}\r\n", "y".repeat(80 << 10));
    assert_eq!(served.get("/healthz", &long).await.status, 431);
}

#[tokio::test]
async fn a_flood_of_one_key_is_told_when_to_come_back() {
    let rate = NonZeroU32::new(1).unwrap();
    let enforcer =
        Enforcer::with(|parts| Parts { limits: Limits::per_second(rate), ..parts }).await;
    let served = enforcer.serve(Bounds::default()).await;
    let head = format!("x-api-key: {}\r\n", served.admin);
    let first = served.get("/default/thoth/api-keys", &head).await;
    assert_eq!(first.status, 200);
    assert!(first.head.contains("ratelimit-limit: 2\r\n"), "{}", first.head);
    assert!(first.head.contains("ratelimit-remaining: 1\r\n"), "{}", first.head);
    let refused = loop {
        let answer = served.get("/default/thoth/api-keys", &head).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, &*refused.code()), (429, "rate_limited"));
    assert!(refused.head.contains("retry-after: 1\r\n"), "{}", refused.head);
    assert!(refused.head.contains("ratelimit-remaining: 0\r\n"), "{}", refused.head);
    let other = format!("x-api-key: {}\r\n", served.key);
    assert_ne!(served.get("/default/thoth/api-keys", &other).await.status, 429);
    assert_eq!(served.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_however_it_is_wrong() {
    let enforcer = Enforcer::new().await;
    let tenant = Tenant::parse("default").unwrap();
    let past = clock::now() - SignedDuration::from_secs(1);
    let new = NewKey {
        name: "old".to_owned(),
        permissions: Permissions::ALL,
        scope: Scope::Organization,
        expires_at: Some(past),
    };
    let expired = keys::issue(&enforcer.app.store, &tenant, &new, past).await.unwrap().key;
    let served = enforcer.serve(Bounds::default()).await;
    let good = &served.admin;
    let other = if good.ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{other}", &good[..good.len() - 1]);
    for head in [
        String::new(),
        format!("x-api-key: {expired}\r\n"),
        format!("authorization: Bearer {forged}\r\n"),
        format!("authorization: Basic {good}\r\n"),
        format!("authorization: Bearer {good}\r\nx-api-key: {}\r\n", served.key),
        format!("x-api-key: {good} \u{e9}\r\n"),
        "x-api-key: \r\n".to_owned(),
        "x-api-key: ' OR 1=1 --\r\n".to_owned(),
    ] {
        let answer = served.get("/default/thoth/api-keys", &head).await;
        assert_eq!((answer.status, &*answer.code()), (401, "unauthenticated"), "{head}");
        assert!(!answer.body.contains("thoth_live"), "{}", answer.body);
    }
    let both = format!("authorization: Bearer {good}\r\nx-api-key: {good}\r\n");
    assert_eq!(served.get("/default/thoth/api-keys", &both).await.status, 200);
}

#[tokio::test]
async fn who_guesses_keys_is_slowed_down_and_slows_down_nobody_known() {
    let served = Served::new().await;
    let known = format!("x-api-key: {}\r\n", served.admin);
    assert_eq!(served.get("/default/thoth/api-keys", &known).await.status, 200);
    let mut stream = served.connect().await;
    let mut last = String::new();
    for guess in 0..40 {
        let request = format!(
            "GET /default/thoth/api-keys HTTP/1.1\r\nhost: e\r\nx-api-key: {guess}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        last = String::from_utf8_lossy(&answer[..length]).to_lowercase();
    }
    assert!(last.starts_with("http/1.1 429"), "{last}");
    assert!(last.contains("retry-after: "), "{last}");
    assert_eq!(served.get("/default/thoth/api-keys", &known).await.status, 200);
}

#[tokio::test]
async fn every_fault_has_the_same_shape_and_every_answer_the_same_guards() {
    let enforcer = Enforcer::new().await;
    let key = enforcer.key("default", Permissions::ALL).await;
    for (method, path, status, code) in [
        (Method::GET, "/nowhere", 404, "not_found"),
        (Method::DELETE, "/healthz", 405, "method_not_allowed"),
        (Method::PUT, "/default/thoth/api-keys", 405, "method_not_allowed"),
        (Method::GET, "/other/thoth/api-keys", 404, "not_found"),
        (Method::GET, "/default/thoth/approvals/a%00b", 400, "malformed_request"),
        (Method::GET, "/default/thoth/endpoints?env=%00", 400, "malformed_request"),
        (Method::POST, "/default/thoth/api-keys", 415, "unsupported_media_type"),
    ] {
        let (found, body) = enforcer.send(method.clone(), path, Some(&key), None).await;
        assert_eq!(
            (found.as_u16(), body["error"]["code"].as_str()),
            (status, Some(code)),
            "{path}"
        );
        assert!(body["error"]["message"].is_string() && body["error"]["requestId"].is_string());
    }
    let (status, body) =
        enforcer.send(Method::POST, "/default/thoth/api-keys", Some(&key), Some(json!([1]))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["code"], "malformed_request");

    let served = Served::new().await;
    for path in ["/healthz", "/nowhere", "/metrics"] {
        let answer = served.get(path, "").await;
        for line in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "referrer-policy: no-referrer",
            "x-frame-options: deny",
        ] {
            assert!(answer.head.contains(line), "{path} lacks {line}: {}", answer.head);
        }
        assert!(!answer.head.contains("\r\nserver:"), "{}", answer.head);
    }
}

#[tokio::test]
async fn figures_are_for_those_who_may_read_them() {
    let enforcer = Enforcer::new().await;
    let ask = async |permissions| {
        let key = enforcer.key("default", permissions).await;
        enforcer.send(Method::GET, "/metrics", Some(&key), None).await.0.as_u16()
    };
    let only = |word| Permissions::read(word).unwrap();
    assert_eq!(ask(only("read")).await, 200);
    assert_eq!(ask(only("execute")).await, 403);
    let (status, _) = enforcer.send(Method::GET, "/metrics", None, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_server_that_is_to_end_ends_what_waits_and_finishes_what_runs() {
    let served = Served::new().await;
    // One that is idle, and one in the middle of a request, whether that has been seen yet or not.
    let idle = served.connect().await;
    let body = r#"{"permissions":["read"]}"#;
    let mut busy = served.connect().await;
    let request = post("/default/thoth/api-keys", &served.admin, body.len());
    busy.write_all(request.as_bytes()).await.unwrap();
    busy.flush().await.unwrap();
    served.app.stop.cancel();
    busy.write_all(body.as_bytes()).await.unwrap();
    let answer = read(&mut busy).await;
    assert!(matches!(answer.status, 0 | 201), "{answer:?}");
    served.serving.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    drop(idle);
}
