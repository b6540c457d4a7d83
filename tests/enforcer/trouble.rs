//! Every way an exchange can go wrong, each against a real server: the table of enforcer trouble.

use std::time::Duration;

use thoth::config::settings;
use tokio::net::TcpListener;

use crate::fake::{
    Certificate, FakeEnforcer, Manner, Script, enforcer, in_short, question, reason,
};

/// Long enough for a request on a warm connection, also on a busy machine; short enough to wait
/// for.
const SHORT: Duration = Duration::from_millis(500);

/// Asks once, over HTTP/2 and over HTTP/1.1, and holds the answer against what is expected.
async fn expect(script: Script, expected: &str, its_reason: &str) {
    for manner in [Manner::Both, Manner::Http1] {
        let fake = FakeEnforcer::with(Certificate::Good, manner).await.scripted([script.clone()]);
        let patience = if matches!(script, Script::Hang | Script::Slow(_)) {
            SHORT
        } else {
            Duration::from_secs(30)
        };
        let enforcer = fake.enforcer_waiting(patience);
        enforcer.probe().await.unwrap();
        let answer = enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), expected, "{manner:?}: {}", reason(&answer));
        assert!(reason(&answer).contains(its_reason), "{}", reason(&answer));
        assert_eq!(fake.seen().len(), 1, "a question is sent once");
    }
}

fn answer(status: u16, body: &str) -> Script {
    Script::Answer(status, body.to_owned())
}

#[tokio::test]
async fn an_enforcer_that_hangs_is_silent() {
    expect(Script::Hang, "silent enforcer_unavailable", "within 0.5 s").await;
}

#[tokio::test]
async fn an_enforcer_whose_answer_does_not_end_is_silent() {
    expect(Script::Slow(200), "silent enforcer_unavailable", "in time").await;
}

#[tokio::test]
async fn a_refusal_counts_even_if_its_body_does_not_end() {
    expect(Script::Slow(401), "said block enforcer_auth_failed", "401").await;
    expect(Script::Slow(503), "silent enforcer_unavailable", "503").await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_blocks() {
    expect(Script::Broken(200), "said block enforcer_malformed_answer", "broke off").await;
}

#[tokio::test]
async fn an_enforcer_that_hangs_up_is_silent() {
    expect(Script::HangUp, "silent enforcer_unavailable", "cannot be reached").await;
}

#[tokio::test]
async fn an_answer_that_is_garbage_blocks() {
    for body in ["", "garbage", "[]", r#"{"decision":"ALLOW""#, "\u{feff}{}"] {
        expect(answer(200, body), "said block enforcer_malformed_answer", "not one JSON object")
            .await;
    }
    expect(answer(200, r#"{"decision":"SURE"}"#), "said block unknown_decision", "no decision")
        .await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_blocks() {
    let padding = "x".repeat(thoth::enforcer::MAX_ANSWER);
    expect(
        answer(200, &format!(r#"{{"decision":"ALLOW","padding":"{padding}"}}"#)),
        "said block enforcer_malformed_answer",
        "longer than 1048576 bytes",
    )
    .await;
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_read() {
    let frame = r#"{"decision":"ALLOW","padding":""}"#;
    let padding = "x".repeat(thoth::enforcer::MAX_ANSWER - frame.len());
    let body = frame.replace(r#""""#, &format!(r#""{padding}""#));
    expect(answer(200, &body), "said allow ", "").await;
}

#[tokio::test]
async fn a_server_that_has_its_own_trouble_is_silent() {
    for status in [500, 502, 503, 504] {
        let text = status.to_string();
        expect(answer(status, r#"{"decision":"ALLOW"}"#), "silent enforcer_unavailable", &text)
            .await;
    }
}

#[tokio::test]
async fn too_many_requests_are_silence_and_say_when_to_come_back() {
    let retry =
        |after: &str| Script::AnswerWith(429, "retry-after", after.to_owned(), String::new());
    expect(retry("7"), "silent enforcer_unavailable", "try again in 7 s").await;
    // The fake's clock stands at noon.
    let date = "Sat, 21 Nov 2026 12:01:00 GMT";
    expect(retry(date), "silent enforcer_unavailable", "try again in 60 s").await;
    expect(answer(429, ""), "silent enforcer_unavailable", "429").await;
}

#[tokio::test]
async fn a_bill_blocks_in_the_enforcer_s_words() {
    expect(
        answer(
            402,
            r#"{"error":{"type":"billing_error","code":"quota_exceeded","message":"Pay up."}}"#,
        ),
        "said block billing_quota_exceeded",
        "Pay up.",
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_not_accepted_blocks() {
    expect(
        answer(401, r#"{"error":{"message":"bad key"}}"#),
        "said block enforcer_auth_failed",
        "bad key",
    )
    .await;
    expect(answer(403, ""), "said block enforcer_auth_failed", "403").await;
}

#[tokio::test]
async fn a_question_that_is_not_accepted_blocks() {
    for status in [400, 404, 405, 408, 413, 422] {
        let text = status.to_string();
        expect(answer(status, r#"{"decision":"ALLOW"}"#), "said block enforcer_rejected", &text)
            .await;
    }
}

#[tokio::test]
async fn a_redirection_is_never_followed() {
    let elsewhere = FakeEnforcer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let target = format!("{}/v1/enforce", elsewhere.url());
        expect(
            Script::AnswerWith(status, "location", target, String::new()),
            "said block enforcer_redirected",
            &status.to_string(),
        )
        .await;
    }
    assert!(elsewhere.seen().is_empty());
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn an_answer_to_another_call_blocks() {
    expect(
        answer(200, r#"{"decision":"ALLOW","action_attestation_id":"b"}"#),
        "said block action_attestation_id_mismatch",
        "another call",
    )
    .await;
    expect(
        answer(200, r#"{"decision":"ALLOW","enforcement_trace_id":"s-2"}"#),
        "said block enforcement_trace_id_mismatch",
        "another call",
    )
    .await;
}

#[tokio::test]
async fn an_enforcer_that_is_not_there_is_silent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let fake = FakeEnforcer::start().await;
    let settings =
        settings::Enforcer { url: format!("https://localhost:{port}"), ..fake.settings() };
    let enforcer = enforcer(&settings, &fake.tls()).unwrap();
    let answer = enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "silent enforcer_unavailable");
    assert!(reason(&answer).contains("refused"), "{}", reason(&answer));
    assert!(enforcer.probe().await.is_err());
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_is_silent() {
    let fake = FakeEnforcer::with(Certificate::Good, Manner::Deaf).await;
    let settings =
        settings::Enforcer { connect_timeout: Duration::from_millis(50), ..fake.settings() };
    let enforcer = enforcer(&settings, &fake.tls()).unwrap();
    let answer = enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "silent enforcer_unavailable");
    let reason = reason(&answer);
    assert!(reason.contains("no connection within 0.05 s"), "{reason}");
    assert!(fake.accepted() > 0);
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_silent() {
    for manner in [Manner::Garbage, Manner::NotHttp] {
        let fake = FakeEnforcer::with(Certificate::Good, manner).await;
        let answer = fake.enforcer().ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), "silent enforcer_unavailable", "{manner:?}");
        assert!(fake.seen().is_empty());
    }
}

#[tokio::test]
async fn trouble_ends() {
    for manner in [Manner::Both, Manner::Http1] {
        let fake = FakeEnforcer::with(Certificate::Good, manner).await.scripted([
            Script::HangUp,
            Script::Broken(200),
            answer(500, ""),
            answer(200, r#"{"decision":"ALLOW"}"#),
        ]);
        let enforcer = fake.enforcer();
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(in_short(&enforcer.ask(question("t", "{}")).await));
        }
        assert_eq!(
            answers,
            [
                "silent enforcer_unavailable",
                "said block enforcer_malformed_answer",
                "silent enforcer_unavailable",
                "said allow ",
            ],
            "{manner:?}"
        );
    }
}

#[tokio::test]
async fn a_question_that_may_have_been_received_is_not_sent_again() {
    for manner in [Manner::Both, Manner::Http1] {
        let fake = FakeEnforcer::with(Certificate::Good, manner).await.scripted([
            answer(200, r#"{"decision":"ALLOW"}"#),
            Script::HangUp,
            answer(200, r#"{"decision":"ALLOW"}"#),
        ]);
        let enforcer = fake.enforcer();
        enforcer.ask(question("t", "{}")).await;
        let answer = enforcer.ask(question("t", "{}")).await; // on a connection used before
        assert_eq!(in_short(&answer), "silent enforcer_unavailable");
        assert_eq!(fake.seen().len(), 2, "{manner:?}");
    }
}

#[tokio::test]
async fn a_connection_that_died_unnoticed_serves_one_question_at_most() {
    for manner in [Manner::Both, Manner::Http1] {
        let fake = FakeEnforcer::with(Certificate::Good, manner)
            .await
            .scripted([Script::Freeze, answer(200, r#"{"decision":"ALLOW"}"#)]);
        let enforcer = fake.enforcer_waiting(Duration::from_secs(2));
        let answer = enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), "silent enforcer_unavailable");
        let answer = enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), "said allow ", "{manner:?}");
    }
}

#[tokio::test]
async fn a_warm_connection_that_was_closed_is_replaced() {
    let fake = FakeEnforcer::with(Certificate::Good, Manner::Impatient).await;
    let enforcer = fake.enforcer();
    enforcer.probe().await.unwrap();
    fake.until_closed(1).await;
    for _ in 0..200 {
        tokio::task::yield_now().await; // until the runtime has heard of it
    }
    let answer = enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said allow ", "{}", reason(&answer));
    assert_eq!(fake.seen()[0].connection, 2);
}
