//! With a remote enforcer: a real TLS server, a real sidecar between real processes.

use serde_json::json;

use crate::fake::{FakeEnforcer, KEY, Script};
use crate::sidecar::{Setup, answers, call, said};

/// A sidecar that asks this enforcer, verified by its authority and by a pin.
pub(crate) fn asking(fake: &FakeEnforcer) -> Setup {
    Setup::new()
        .flags(&[
            "--enforcer-url",
            &fake.url(),
            "--tenant-id",
            "acme",
            "--user-id",
            "ada@example.com",
        ])
        .variable("THOTH_API_KEY", KEY)
        .variable("THOTH_TLS_CA_BUNDLE", fake.ca().to_str().unwrap())
        .variable("THOTH_TLS_PINNED_CERT_SHA256", &fake.leaf_pin().to_string())
}

pub(crate) fn decision(members: &serde_json::Value) -> Script {
    Script::Answer(200, members.to_string())
}

/// Sends calls 1 to `count`, one after the other is answered, and gives the answers.
async fn converse(setup: Setup, count: u32) -> (Setup, Vec<serde_json::Value>) {
    let talk = tokio::task::spawn_blocking(move || {
        let mut sidecar = setup.start();
        let mut answers = Vec::new();
        for id in 1..=count {
            sidecar.says(&call(id, "a", r#"{"limit":5000}"#));
            answers.push(sidecar.reads());
        }
        assert_eq!(sidecar.ends(), 0);
        (setup, answers)
    });
    talk.await.unwrap()
}

#[tokio::test]
async fn each_verdict_of_the_enforcer_is_carried_out() {
    let fake = FakeEnforcer::start().await.scripted([
        decision(&json!({"decision": "ALLOW"})),
        decision(&json!({"decision": "DENY", "reason": "no", "violation_id": "v-1", "risk_score": 93.7})),
        decision(&json!({"decision": "STEP_UP", "hold_token": "tok", "approval_url": "https://a.example"})),
        decision(&json!({"decision": "MODIFY", "modified_tool_args": {"limit": 7}})),
        decision(&json!({"decision": "DEFER", "defer_timeout_seconds": 9})),
        decision(&json!({"decision": "SHRUG"})),
    ]);
    let (setup, answers) = converse(asking(&fake), 6).await;

    let codes: Vec<_> = answers.iter().map(|answer| answer["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [None, Some(-32_001), Some(-32_002), None, Some(-32_001), Some(-32_001)]);
    assert_eq!(answers[1]["error"]["data"]["violation_id"], "v-1");
    assert_eq!(answers[2]["error"]["data"]["hold_token"], "tok");
    assert_eq!(answers[4]["error"]["data"]["retry_after_seconds"], 9);
    let sent = [call(1, "a", r#"{"limit":5000}"#), call(4, "a", r#"{"limit":7}"#)];
    assert_eq!(setup.seen().lines().collect::<Vec<_>>(), sent);

    let seen = fake.seen();
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[0].body["tenant_id"], "acme");
    assert_eq!(seen[0].body["tool_args"]["limit"], 5000);
    assert_eq!(seen[5].body["session_tool_calls"], json!(["a", "a"]), "those that were forwarded");
    assert_eq!(fake.accepted(), 1, "one warm connection");
}

#[tokio::test]
async fn a_held_call_waits_for_a_person_and_then_goes_on() {
    let fake = FakeEnforcer::start()
        .await
        .scripted([decision(&json!({"decision": "STEP_UP", "hold_token": "tok"}))])
        .holding([
            decision(&json!({"resolved": false, "resolution": null})),
            decision(&json!({"resolved": true, "resolution": "ALLOW"})),
        ]);
    let (setup, answers) = converse(asking(&fake).flags(&["--step-up", "wait"]), 1).await;
    assert!(answers[0]["result"].is_object(), "{answers:?}");
    assert_eq!(setup.seen().lines().count(), 1);
}

#[tokio::test]
async fn an_enforcer_with_the_wrong_certificate_is_asked_nothing_and_blocks() {
    let fake = FakeEnforcer::start().await.answering(200, r#"{"decision":"ALLOW"}"#);
    let wrong = "ab".repeat(32);
    let setup = asking(&fake)
        .variable("THOTH_TLS_PINNED_CERT_SHA256", &wrong)
        .variable("THOTH_ENFORCER_FAILURE_DECISION", "allow");
    let (setup, answers) = converse(setup, 1).await;
    assert_eq!(answers[0]["error"]["data"]["reason_code"], "enforcer_pin_mismatch");
    assert!(setup.seen().is_empty() && fake.seen().is_empty());
}

#[tokio::test]
async fn in_prod_a_wrong_pin_keeps_the_server_from_being_started() {
    let fake = FakeEnforcer::start().await.answering(200, r#"{"decision":"ALLOW"}"#);
    let setup = asking(&fake)
        .variable("THOTH_TLS_PINNED_CERT_SHA256", &"ab".repeat(32))
        .variable("THOTH_ENV", "prod")
        .variable("THOTH_REQUIRE_NON_ROOT", "false");
    let talk = tokio::task::spawn_blocking(move || {
        let output = setup.pipe((call(1, "a", "{}") + "\n").as_bytes());
        assert!(setup.seen().is_empty());
        output
    });
    let output = talk.await.unwrap();
    assert_eq!(output.status.code(), Some(77), "{}", said(&output));
    assert!(said(&output).contains("pin"), "{}", said(&output));
}

#[tokio::test]
async fn an_outage_is_decided_by_the_failure_decision() {
    for (setting, code) in [("block", Some(-32_001)), ("step_up", Some(-32_002)), ("allow", None)] {
        let fake = FakeEnforcer::start().await.answering(503, "away");
        let setup = asking(&fake).variable("THOTH_ENFORCER_FAILURE_DECISION", setting);
        let (_, answers) = converse(setup, 1).await;
        assert_eq!(answers[0]["error"]["code"].as_i64(), code, "{setting}");
        if code.is_some() {
            let data = &answers[0]["error"]["data"];
            assert_eq!(data["reason_code"], "enforcer_unavailable");
            assert_eq!(data["retryable"], true);
        }
    }
}

#[tokio::test]
async fn what_was_piped_in_is_answered_although_the_input_has_ended() {
    let fake = FakeEnforcer::start().await.answering(200, r#"{"decision":"ALLOW"}"#);
    let setup = asking(&fake);
    let talk = tokio::task::spawn_blocking(move || {
        let calls: Vec<_> = (1..=200).map(|id| call(id, "a", "{}")).collect();
        let output = setup.pipe((calls.join("\n") + "\n").as_bytes());
        (answers(&output), setup.seen().lines().count())
    });
    let (answers, seen) = talk.await.unwrap();
    assert_eq!((answers.len(), seen), (200, 200));
    assert!(answers.iter().all(|answer| answer["result"].is_object()));
}
