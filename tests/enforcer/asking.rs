//! What is sent, on which connections, and how an answer comes back.

use hyper::Version;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use serde_json::json;
use thoth::config::settings::{self, RequestContext, Tls};
use thoth::enforcer::{EnforcerError, MAX_IN_FLIGHT};
use thoth::gate::verdict::{Answer, Effect, Verdict};

use crate::fake::{
    Certificate, FakeEnforcer, KEY, Manner, Script, enforcer, in_short, question, reason,
};

#[tokio::test]
async fn a_question_holds_exactly_what_the_wire_asks_for() {
    let fake = FakeEnforcer::start().await;
    let mut asked = question("read_file", r#"{ "path" : "/a", "n": 1.00 }"#);
    asked.calls_so_far = vec!["list".into(), "read_file".into()];

    let answer = fake.enforcer().ask(asked).await;

    assert_eq!(in_short(&answer), "said allow ");
    let seen = &fake.seen()[0];
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/v1/enforce"));
    let uuid = |name: &str| {
        let text = seen.body[name].as_str().unwrap();
        assert_eq!(uuid::Uuid::parse_str(text).unwrap().get_version_num(), 4);
        text
    };
    assert_eq!(
        seen.body,
        json!({
            "agent_id": "test-agent", "tenant_id": "default", "user_id": "system",
            "session_id": "s-1", "tool_name": "read_file", "approved_scope": [],
            "enforcement_mode": "progressive", "session_tool_calls": ["list", "read_file"],
            "request_id": uuid("request_id"), "occurred_at": "2026-11-21T12:00:00Z",
            "environment": "dev", "enforcement_trace_id": "s-1",
            "action_attestation_id": uuid("action_attestation_id"),
            "identity_binding":
                {"agent_id": "test-agent", "tenant_id": "default", "user_id": "system"},
            "tool_args": {"path": "/a", "n": 1.00}, "metadata": {"mcp_server": "files"},
        })
    );
    assert!(seen.text.contains(r#""tool_args":{ "path" : "/a", "n": 1.00 }"#));
}

#[tokio::test]
async fn both_authentication_headers_are_sent() {
    let fake = FakeEnforcer::start().await;
    fake.enforcer().ask(question("t", "{}")).await;

    let headers = &fake.seen()[0].headers;
    assert_eq!(headers[AUTHORIZATION], format!("Bearer {KEY}"));
    assert_eq!(headers["x-api-key"], KEY);
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    assert_eq!(headers[ACCEPT], "application/json");
    assert_eq!(headers[USER_AGENT], concat!("thoth/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn without_a_key_no_header_is_sent() {
    let fake = FakeEnforcer::start().await;
    let settings = settings::Enforcer { api_key: None, ..fake.settings() };
    let enforcer = enforcer(&settings, &fake.tls()).unwrap();
    enforcer.ask(question("t", "{}")).await;

    let headers = &fake.seen()[0].headers;
    assert!(!headers.contains_key(AUTHORIZATION) && !headers.contains_key("x-api-key"));
}

#[tokio::test]
async fn the_key_does_not_show_in_the_client() {
    let fake = FakeEnforcer::start().await;
    assert!(!format!("{:?}", fake.enforcer()).contains(KEY));
}

#[tokio::test]
async fn each_question_has_ids_of_its_own_unless_they_are_configured() {
    let fake = FakeEnforcer::start().await;
    let enforcer = fake.enforcer();
    enforcer.ask(question("t", "{}")).await;
    enforcer.ask(question("t", "{}")).await;
    let configured = settings::Enforcer {
        context: RequestContext {
            action_attestation_id: Some("att".to_owned()),
            enforcement_trace_id: Some("trace".to_owned()),
            ..RequestContext::default()
        },
        ..fake.settings()
    };
    let answer =
        crate::fake::enforcer(&configured, &fake.tls()).unwrap().ask(question("t", "{}")).await;

    let seen = fake.seen();
    let id = |index: usize, name: &str| seen[index].body[name].clone();
    for name in ["request_id", "action_attestation_id"] {
        assert_ne!(id(0, name), id(1, name), "{name}");
    }
    assert_eq!(id(2, "action_attestation_id"), "att");
    assert_eq!(id(2, "enforcement_trace_id"), "trace");
    let Answer::Said(verdict) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(verdict.grounds.trace_id.as_deref(), Some("trace"));
}

#[tokio::test]
async fn an_answer_that_carries_the_question_s_ids_is_its_answer() {
    let fake = FakeEnforcer::start().await.answering(
        200,
        r#"{"decision":"ALLOW","action_attestation_id":"att","enforcement_trace_id":"s-1"}"#,
    );
    let settings = settings::Enforcer {
        context: RequestContext {
            action_attestation_id: Some("att".to_owned()),
            ..RequestContext::default()
        },
        ..fake.settings()
    };
    let ours = enforcer(&settings, &fake.tls()).unwrap();
    assert_eq!(in_short(&ours.ask(question("t", "{}")).await), "said allow ");

    let another = fake.enforcer().ask(question("t", "{}")).await;
    assert_eq!(in_short(&another), "said block action_attestation_id_mismatch");
}

#[tokio::test]
async fn new_arguments_come_back_as_they_were_written() {
    let fake = FakeEnforcer::start()
        .await
        .answering(200, r#"{"decision":"MODIFY","modified_tool_args":{ "limit": 100.0 }}"#);
    let answer = fake.enforcer().ask(question("query", "{}")).await;
    let Answer::Said(Verdict { effect: Effect::Modify(arguments), .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(arguments.as_str(), r#"{ "limit": 100.0 }"#);
}

#[tokio::test]
async fn two_questions_use_one_connection() {
    for (manner, version) in [(Manner::Both, Version::HTTP_2), (Manner::Http1, Version::HTTP_11)] {
        let fake = FakeEnforcer::with(Certificate::Good, manner).await;
        let enforcer = fake.enforcer();
        for _ in 0..2 {
            let answer = enforcer.clone().ask(question("t", "{}")).await;
            assert_eq!(in_short(&answer), "said allow ");
        }
        let seen = fake.seen();
        assert_eq!([seen[0].version, seen[1].version], [version; 2]);
        assert_eq!(fake.accepted(), 1, "{manner:?}");
    }
}

#[tokio::test]
async fn a_warm_connection_is_the_one_the_first_question_uses() {
    for manner in [Manner::Both, Manner::Http1] {
        let fake = FakeEnforcer::with(Certificate::Good, manner).await;
        let enforcer = fake.enforcer();
        enforcer.warm_up();
        let answer = enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), "said allow ");
        assert_eq!(fake.seen()[0].connection, 1);

        let fake = FakeEnforcer::with(Certificate::Good, manner).await;
        let enforcer = fake.enforcer();
        enforcer.probe().await.unwrap();
        assert!(fake.seen().is_empty(), "a probe asks nothing");
        enforcer.ask(question("t", "{}")).await;
        assert_eq!(fake.accepted(), 1, "{manner:?}");
    }
}

#[tokio::test]
async fn a_plain_enforcer_on_loopback_is_asked_without_tls() {
    let fake = FakeEnforcer::plain().await;
    let enforcer = fake.enforcer();
    enforcer.probe().await.unwrap();
    for _ in 0..2 {
        let answer = enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), "said allow ", "{}", reason(&answer));
    }
    assert_eq!(fake.accepted(), 1);
}

#[tokio::test]
async fn pins_without_a_certificate_to_hold_them_against_are_refused() {
    let fake = FakeEnforcer::plain().await;
    let tls = Tls { pins: vec!["00".repeat(32).parse().unwrap()], ..Tls::default() };
    let error = enforcer(&fake.settings(), &tls).unwrap_err();
    assert!(matches!(error, EnforcerError::PinsWithoutTls), "{error}");
}

#[tokio::test]
async fn a_base_path_is_kept() {
    let fake = FakeEnforcer::start().await;
    let settings =
        settings::Enforcer { url: format!("{}/gateway/a", fake.url()), ..fake.settings() };
    let enforcer = enforcer(&settings, &fake.tls()).unwrap();
    enforcer.ask(question("t", "{}")).await;
    assert_eq!(fake.seen()[0].path, "/gateway/a/v1/enforce");
}

#[tokio::test]
async fn at_most_64_questions_are_under_way() {
    let fake = FakeEnforcer::start().await.scripted([Script::Hang]);
    let enforcer = fake.enforcer();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..MAX_IN_FLIGHT {
        let enforcer = enforcer.clone();
        asking.spawn(async move { enforcer.ask(question("t", "{}")).await });
    }
    fake.until_seen(MAX_IN_FLIGHT).await;

    // One more finds no place, and its wait for one counts towards its time.
    let mut late = Box::pin(enforcer.ask(question("late", "{}")));
    for _ in 0..1_000 {
        assert!(futures_poll(&mut late).await.is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.seen().len(), MAX_IN_FLIGHT);

    // It gets the first place that is free.
    asking.abort_all();
    tokio::select! {
        () = fake.until_seen(MAX_IN_FLIGHT + 1) => {}
        answer = late => panic!("{answer:?}"),
    }
    assert_eq!(fake.seen().last().unwrap().body["tool_name"], "late");
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_dropped_question_frees_its_place() {
    let fake = FakeEnforcer::start()
        .await
        .scripted([Script::Hang, Script::Answer(200, r#"{"decision":"ALLOW"}"#.to_owned())]);
    let enforcer = fake.enforcer();
    tokio::select! {
        answer = enforcer.ask(question("t", "{}")) => panic!("{answer:?}"),
        () = fake.until_seen(1) => {}
    }
    let answer = enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said allow ");
}
