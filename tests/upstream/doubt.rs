//! What may have been executed is never sent again; what cannot have been, once more.

use serde_json::Value;

use crate::client::{Client, Setup};
use crate::server::{Answers, Fault, Server, Stage};

/// One call that goes wrong so, between two that do not: it is answered with an error of thoth's
/// own, was executed once, and the session goes on.
async fn goes_wrong(server: Server, setup: Setup, fault: Fault) -> Value {
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    server.with(|state| state.fails("tools/call", fault));
    let answer = client.call(2).await;
    client.succeeds(3).await;
    is_told_once(&server, &setup, client, &answer).await;
    answer
}

async fn is_told_once(server: &Server, setup: &Setup, client: Client, answer: &Value) {
    let error = &answer["error"];
    assert!(error["code"].is_i64(), "{answer}");
    assert!(error["data"]["reason_code"].as_str().is_some_and(|it| it.starts_with("upstream_")));
    assert_ne!(error["data"]["retryable"], true, "it may have been executed: {answer}");
    assert!(![-32_001, -32_002].contains(&error["code"].as_i64().unwrap()), "{answer}");
    let ended = client.ends().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.errors().len(), 1);
    assert_eq!(server.executed(), [1, 2, 3], "each exactly once");
    let audit = setup.audit();
    audit.has(3);
    assert_eq!(audit.attempts(), 3);
}

#[tokio::test]
async fn a_call_whose_connection_breaks_after_it_was_sent_is_not_sent_again() {
    for fault in [Fault::ClosesBeforeHeaders, Fault::ClosesAfterHeaders, Fault::ClosesMidway] {
        let server = Server::start().await;
        let setup = Setup::new(&server);
        goes_wrong(server, setup, fault).await;
    }
}

#[tokio::test]
async fn a_call_whose_connection_breaks_over_tls_is_not_sent_again_either() {
    for fault in [Fault::ClosesBeforeHeaders, Fault::ClosesAfterHeaders, Fault::ClosesMidway] {
        let server = Server::over_tls().await;
        let ca = server.ca().to_str().unwrap().to_owned();
        let setup = Setup::new(&server).variable("THOTH_TLS_CA_BUNDLE", &ca);
        goes_wrong(server, setup, fault).await;
    }
}

#[tokio::test]
async fn a_call_that_ends_in_an_error_of_the_servers_is_not_sent_again() {
    for status in [500, 502, 503, 504] {
        let server = Server::start().await;
        let setup = Setup::new(&server);
        let later = vec![("retry-after", "0".to_owned())];
        let page = "<h1>s3cret page</h1>".to_owned();
        let answer = goes_wrong(server, setup, Fault::Status(status, later, page)).await;
        assert!(!answer.to_string().contains("s3cret"), "{answer}");
        assert_eq!(answer["error"]["data"]["http_status"], status, "{answer}");
    }
}

#[tokio::test]
async fn a_call_that_is_never_answered_is_given_up_and_not_sent_again() {
    let server = Server::start().await;
    let setup = Setup::new(&server).flags(&["--upstream-timeout", "1"]);
    let answer = goes_wrong(server, setup, Fault::Hangs).await;
    assert_eq!(answer["error"]["data"]["reason_code"], "upstream_timeout");
}

/// Too many requests: it was not executed, and who made it is told that it may come again.
#[tokio::test]
async fn a_call_that_came_too_often_is_not_sent_again_by_thoth() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    server.with(|state| state.fails("tools/call", Fault::Status(429, Vec::new(), String::new())));
    let answer = client.call(1).await;
    assert_eq!(answer["error"]["data"]["http_status"], 429, "{answer}");
    client.succeeds(2).await;
    let _ = client.ends().await;
    assert_eq!(server.look(|state| state.requests("tools/call").count()), 2);
    setup.audit().has(2);
}

/// The same for an answer that has begun: 2026-07-28 and streams without ids cannot be resumed.
#[tokio::test]
async fn a_stream_without_ids_that_breaks_is_not_asked_for_again() {
    let server = Server::start().await;
    server.with(|state| state.stop(Stage::Done, "slow"));
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    let id = client.calls("slow", 2).await;
    let stream = server.stopped().await.streams().without_ids();
    stream.raw(": thinking\n\n").until_heard().await;
    stream.breaks();
    let answer = client.answer(id).await;
    client.succeeds(3).await;
    is_told_once(&server, &setup, client, &answer).await;
}

/// A redirection is an answer: whoever gave it may have executed the call.
#[tokio::test]
async fn a_call_that_is_redirected_is_not_sent_again() {
    for status in [301, 302, 307, 308] {
        let server = Server::start().await;
        let setup = Setup::new(&server);
        let elsewhere = vec![("location", format!("{}/elsewhere", server.origin()))];
        goes_wrong(server, setup, Fault::Status(status, elsewhere, String::new())).await;
    }
}

/// An answer that is no answer.
#[tokio::test]
async fn a_call_that_is_answered_with_something_else_is_not_sent_again() {
    let wrong: [(&str, &str); 6] = [
        ("text/html", "<h1>welcome</h1>"),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", ""),
        ("application/json", r#"{"jsonrpc":"2.0","id":"another","result":{}}"#),
        ("text/event-stream", "data: {\"jsonrpc\":\"2.0\"\n\n"),
    ];
    for (kind, body) in wrong {
        let server = Server::start().await;
        let setup = Setup::new(&server);
        let kind = vec![("content-type", kind.to_owned())];
        goes_wrong(server, setup, Fault::Status(200, kind, body.to_owned())).await;
    }
}

/// Nobody was there: nothing can have been executed.
#[tokio::test]
async fn a_call_that_found_no_connection_may_be_made_again() {
    let server = Server::start().await;
    server.with(|state| state.sessionless = true);
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.all_succeed(1..=2).await;
    let address = server.stops().await;
    for n in 1..=2 {
        let answer = client.call(n).await;
        let data = &answer["error"]["data"];
        assert_eq!(data["reason_code"], "upstream_unreachable", "{answer}");
        assert_eq!(data["retryable"], true, "{answer}");
    }
    let server = Server::start_at(address).await;
    server.with(|state| state.sessionless = true);
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    assert_eq!((ended.code, ended.errors().len()), (0, 2), "{}", ended.stderr);
    assert_eq!(server.executed(), [1, 2, 3]);
    setup.audit().has(7);
}

/// One connection that breaks before anything was sent on it is made again; two are enough.
#[tokio::test]
async fn a_connection_that_breaks_before_a_call_is_sent_is_made_once_more() {
    let server = Server::over_tls().await;
    let ca = server.ca().to_str().unwrap().to_owned();
    let setup = Setup::new(&server).variable("THOTH_TLS_CA_BUNDLE", &ca);
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    for n in 2..=5 {
        server.close_idle().await;
        server.with(|state| state.shuts_out = 1);
        client.succeeds(n).await;
    }
    server.close_idle().await;
    server.with(|state| state.shuts_out = 2);
    let answer = client.call(6).await;
    assert_eq!(answer["error"]["data"]["reason_code"], "upstream_unreachable", "{answer}");
    assert_eq!(server.look(|state| state.shuts_out), 0, "no third attempt was needed to know");
    client.succeeds(6).await;
    let _ = client.ends().await;
    assert_eq!(server.executed(), [1, 2, 3, 4, 5, 6]);
    let audit = setup.audit();
    audit.has(7);
    assert_eq!(audit.attempts(), 7 + 4 + 1);
}

/// A connection that the server closed while nobody used it is not a failure of the next call.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_no_call() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    for n in 1..=10 {
        client.succeeds(n).await;
        server.close_idle().await;
    }
    let ended = client.ends().await;
    setup.holds(&server, &ended, 10);
}

#[tokio::test]
async fn a_refused_session_that_breaks_while_it_is_opened_again_executes_nothing_twice() {
    let server = Server::start().await;
    server.with(|state| state.answers = Answers::Sse);
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    server.drop_sessions().with(|state| state.fails("initialize", Fault::ClosesBeforeHeaders));
    let answer = client.call(2).await;
    assert!(answer["error"].is_object() || answer["result"].is_object(), "{answer}");
    let failed = u64::from(answer["error"].is_object());
    client.succeeds(3).await;
    let _ = client.ends().await;
    let executed = server.executed();
    assert_eq!(executed.len() as u64, 3 - failed, "{executed:?}");
    setup.audit().has(3);
}
