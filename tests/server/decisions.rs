//! Questions and their answers.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use thoth::server::Tenant;
use thoth::server::bus::Bus;
use thoth::server::caller::{Permissions, Scope};
use thoth::server::decisions::{Recorder, Word, recent};

use crate::world::{World, question, with, word};

#[tokio::test]
async fn every_effect_in_every_mode() {
    let (world, _directory) = World::new().await;
    let tools = ["read", "query", "pay", "batch", "drop"];
    for (mode, expected) in [
        ("observe", ["ALLOW", "ALLOW", "ALLOW", "ALLOW", "ALLOW"]),
        ("shadow", ["ALLOW", "ALLOW", "ALLOW", "ALLOW", "ALLOW"]),
        ("progressive", ["ALLOW", "MODIFY", "STEP_UP", "DEFER", "BLOCK"]),
        ("step_up", ["ALLOW", "MODIFY", "STEP_UP", "DEFER", "STEP_UP"]),
        ("block", ["ALLOW", "MODIFY", "BLOCK", "DEFER", "BLOCK"]),
    ] {
        for (tool, expected) in tools.into_iter().zip(expected) {
            let asked =
                with(question(tool, &json!({"limit": 1})), &json!({"enforcement_mode": mode}));
            let (status, answer) = world.ask(&asked).await;
            assert_eq!(
                (status, &answer["decision"]),
                (StatusCode::OK, &json!(expected)),
                "{asked}"
            );
            assert_eq!(answer["hold_token"].is_string(), expected == "STEP_UP", "{answer}");
            assert_eq!(answer["modified_tool_args"].is_object(), expected == "MODIFY", "{answer}");
        }
    }
}

#[tokio::test]
async fn what_observing_would_have_refused_is_said() {
    let (world, _directory) = World::new().await;
    let observed = |tool| with(question(tool, &json!({})), &json!({"enforcement_mode": "observe"}));
    for (tool, would) in
        [("read", "ALLOW"), ("query", "MODIFY"), ("pay", "STEP_UP"), ("drop", "BLOCK")]
    {
        let (_, answer) = world.ask(&observed(tool)).await;
        assert_eq!(answer["decision"], "ALLOW", "{answer}");
        assert_eq!(answer["authorization_decision"], would, "{answer}");
    }
    let (_, answer) = world.ask(&observed("drop")).await;
    assert_eq!(answer["reason"], "nothing is dropped here");
    assert!(answer["violation_id"].is_string());
    assert_eq!(world.approvals("").await["total"], 0, "nobody is asked while observing");
}

#[tokio::test]
async fn an_answer_says_everything_that_clients_read() {
    let (world, _directory) = World::new().await;
    let ids = json!({"enforcement_trace_id": "t-1", "action_attestation_id": "a-1"});
    let (_, answer) = world.ask(&with(question("drop", &json!({"a": 1})), &ids)).await;
    for (member, expected) in [
        ("decision", json!("BLOCK")),
        ("authorization_decision", json!("BLOCK")),
        ("reason", json!("nothing is dropped here")),
        ("decision_reason_code", json!("rule_matched")),
        ("matched_rule_ids", json!(["no-drops"])),
        ("matched_control_ids", json!(["SOC2 CC6.1"])),
        ("pack_id", json!("shop")),
        ("pack_version", json!("3")),
        ("enforcement_trace_id", json!("t-1")),
        ("action_attestation_id", json!("a-1")),
        ("risk_score", json!(1.0)),
        ("decision_envelope_version", json!("1")),
    ] {
        assert_eq!(answer[member], expected, "{member}");
    }
    assert!(answer["latency_ms"].as_f64().unwrap() >= 0.0);
    let violation = answer["violation_id"].as_str().unwrap();
    let (_, again) = world.ask(&with(question("drop", &json!({"a": 1})), &ids)).await;
    assert_eq!(again["violation_id"], violation, "the same question has the same violation");
    let (_, other) = world.ask(&with(question("drop", &json!({"a": 2})), &ids)).await;
    assert_ne!(other["violation_id"], violation);

    let (_, answer) = world.ask(&question("query", &json!({"limit": 1.50, "q": "x"}))).await;
    assert_eq!(answer["modified_tool_args"], json!({"limit": 100, "q": "x"}));
    assert_eq!(answer["modification_reason"], "a hundred rows at most");
    assert_eq!(answer["violation_id"], Value::Null);

    let (_, answer) = world.ask(&question("batch", &json!({}))).await;
    assert_eq!(answer["defer_timeout_seconds"], 7);
    assert!(answer["defer_reason"].is_string());

    for (tool, expected) in [("pay", Value::Null), ("mail", json!(true)), ("wire", json!(false))] {
        let (_, answer) = world.ask(&question(tool, &json!({}))).await;
        assert_eq!(answer["self_approval"], expected, "{tool}");
        let left = answer["step_up_timeout_seconds"].as_u64().unwrap();
        assert!((890..=900).contains(&left), "{left}");
        assert!(answer["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        let url = answer["approval_url"].as_str().unwrap();
        assert!(url.starts_with("https://127.0.0.1:8443/console/approvals/apr_"), "{url}");
        assert!(answer["hold_token"].as_str().unwrap().len() > 60);
    }
}

#[tokio::test]
async fn a_sidecar_reads_the_answer_as_it_was_meant() {
    use thoth::enforcer::wire::{Expected, read_answer};

    let (world, _directory) = World::new().await;
    let ids = json!({"enforcement_trace_id": "t-1", "action_attestation_id": "a-1"});
    for (tool, expected) in [
        ("read", "allow rule_matched"),
        ("query", "modify rule_matched"),
        ("pay", "step_up rule_matched"),
        ("batch", "defer rule_matched"),
        ("drop", "block rule_matched"),
        ("unheard-of", "block no_rule_matched"),
    ] {
        let (_, answer) = world.ask(&with(question(tool, &json!({})), &ids)).await;
        let expected_ids = Expected { trace: "t-1", attestation: Some("a-1") };
        let verdict = read_answer(answer.to_string().as_bytes(), expected_ids);
        let code = verdict.grounds.reason_code.unwrap_or_default();
        assert_eq!(format!("{} {code}", verdict.effect.word()), expected, "{answer}");
    }
}

#[tokio::test]
async fn both_spellings_and_both_headers_are_read() {
    let (world, _directory) = World::new().await;
    let camel = json!({
        "agentId": "agent", "tenantId": "acme", "toolName": "drop", "sessionId": "s-1",
        "userId": "bob", "approvedScope": [], "enforcementMode": "progressive",
        "sessionToolCalls": [], "toolArgs": {"a": 1}, "unheardOf": {"deep": [1]},
        "enforcementTraceId": "t-1", "actionAttestationId": "a-1",
    });
    let bearer = format!("bearer {}", world.key);
    for header in [("x-api-key", world.key.as_str()), ("authorization", &bearer)] {
        let (status, answer) =
            world.send(Method::POST, "/v1/enforce", &[header], camel.to_string()).await;
        assert_eq!(word(status, &answer), "BLOCK rule_matched");
        assert_eq!(
            (&answer["enforcement_trace_id"], &answer["action_attestation_id"]),
            (&json!("t-1"), &json!("a-1"))
        );
    }
}

#[tokio::test]
async fn the_rules_see_what_the_question_says() {
    let (world, _directory) = World::new().await;
    for (tool, members, expected) in [
        ("hinted", json!({}), "BLOCK"),
        (
            "hinted",
            json!({"metadata": {"mcp_server": "files", "mcp_tool_annotations": {"readOnlyHint": true}}}),
            "ALLOW",
        ),
        (
            "hinted",
            json!({"metadata": {"mcp_server": "other", "mcp_tool_annotations": {"readOnlyHint": true}}}),
            "BLOCK",
        ),
        ("hinted", json!({"metadata": {"mcp_server": "files"}}), "BLOCK"),
        ("twice", json!({"session_tool_calls": ["twice", "read"]}), "ALLOW"),
        ("twice", json!({"session_tool_calls": ["twice", "read", "twice"]}), "BLOCK"),
        ("read", json!({"approved_scope": ["read"]}), "ALLOW"),
        ("read", json!({"approved_scope": ["re*"]}), "ALLOW"),
        ("read", json!({"approved_scope": ["endpoint:checkin"]}), "ALLOW"),
        ("read", json!({"approved_scope": ["query"]}), "BLOCK"),
        ("query", json!({"approved_scope": ["read"], "enforcement_mode": "observe"}), "ALLOW"),
    ] {
        let asked = with(question(tool, &json!({})), &members);
        let (_, answer) = world.ask(&asked).await;
        assert_eq!(answer["decision"], expected, "{asked}: {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_one_way_is_not_decided() {
    let (world, _directory) = World::new().await;
    let whole = question("read", &json!({"a": 1}));
    let mut bodies: Vec<String> = vec![
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        format!("{whole} {whole}"),
        whole.to_string().replacen('{', r#"{"tool_name":"drop","#, 1),
        whole.to_string().replacen('{', r#"{"toolName":"drop","#, 1),
        whole.to_string().replacen('{', r#"{"metadata":{"mcp_server":"a","mcp_server":"b"},"#, 1),
    ];
    for member in [
        "agent_id",
        "tenant_id",
        "tool_name",
        "session_id",
        "user_id",
        "approved_scope",
        "enforcement_mode",
        "session_tool_calls",
    ] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(member);
        bodies.push(body.to_string());
        bodies.push(with(whole.clone(), &json!({member: null})).to_string());
        bodies.push(with(whole.clone(), &json!({member: {"a": 1}})).to_string());
    }
    for members in [
        json!({"tool_name": ""}),
        json!({"tool_name": "re\u{0}ad"}),
        json!({"tool_name": "re\nad"}),
        json!({"user_id": "x".repeat(1025)}),
        json!({"enforcement_mode": "off"}),
        json!({"approved_scope": [1]}),
        json!({"tool_args": [1]}),
        json!({"tool_args": "{}"}),
        json!({"metadata": []}),
        json!({"metadata": {"mcp_server": 7}}),
        json!({"metadata": {"mcp_tool_annotations": [1]}}),
    ] {
        bodies.push(with(whole.clone(), &members).to_string());
    }
    let deep = format!("{}1{}", r#"{"a":"#.repeat(130), "}".repeat(130));
    for arguments in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1e999}"#,
        r#"{"a":NaN}"#,
        &deep,
    ] {
        bodies.push(whole.to_string().replace(r#"{"a":1}"#, arguments));
    }
    let headers = [("x-api-key", world.key.as_str())];
    for body in bodies {
        let (status, answer) =
            world.send(Method::POST, "/v1/enforce", &headers, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert_eq!(answer["error"]["code"], "malformed_request", "{body}");
    }
    let (status, _) = world.ask(&whole).await;
    assert_eq!(status, StatusCode::OK, "the whole of it can be read");
    let huge = question("read", &json!({"a": "x".repeat(5_000_000)}));
    let (status, _) = world.ask(&huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_key_asks_about_what_it_is_good_for_and_nothing_else() {
    let (world, _directory) = World::new().await;
    let asked = with(
        question("read", &json!({})),
        &json!({"endpoint_id": "laptop-1", "fleet_id": "sales"}),
    );
    let none = Permissions { read: true, write: true, execute: false, admin: false };
    let agent = |name: &str| Scope::Agent(name.to_owned());
    for (tenant, permissions, scope, expected) in [
        ("acme", Permissions::SIDECAR, Scope::Organization, 200),
        ("acme", none, Scope::Organization, 403),
        ("other", Permissions::ALL, Scope::Organization, 403),
        ("acme", Permissions::SIDECAR, agent("agent"), 200),
        ("acme", Permissions::SIDECAR, agent("other"), 403),
        ("acme", Permissions::SIDECAR, Scope::Endpoint("laptop-1".to_owned()), 200),
        ("acme", Permissions::SIDECAR, Scope::Endpoint("laptop-2".to_owned()), 403),
        ("acme", Permissions::SIDECAR, Scope::Fleet("sales".to_owned()), 200),
        ("acme", Permissions::SIDECAR, Scope::Fleet("hr".to_owned()), 403),
    ] {
        let row = format!("{tenant} {permissions:?} {scope:?}");
        let key = world.key(tenant, permissions, scope).await;
        for path in ["/v1/enforce", "/v1/explain"] {
            let (status, _) =
                world.send(Method::POST, path, &[("x-api-key", &key)], asked.to_string()).await;
            assert_eq!(status.as_u16(), expected, "{path} {row}");
        }
    }
    for headers in [&[][..], &[("x-api-key", "thoth_live_0")]] {
        let (status, _) = world.send(Method::POST, "/v1/enforce", headers, asked.to_string()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_refusal_is_explained_by_the_rules() {
    let (world, _directory) = World::new().await;
    let asked = with(
        question("drop", &json!({})),
        &json!({"decision": "BLOCK", "violation_id": "vio_1", "risk_score": 1.0}),
    );
    let headers = [("x-api-key", world.key.as_str())];
    let (status, said) = world.send(Method::POST, "/v1/explain", &headers, asked.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(said["violation_id"], "vio_1");
    assert_eq!(said["why_it_was_blocked"], "nothing is dropped here");
    assert_eq!(said["severity"], "high");
    for member in ["what_happened", "what_to_do_next", "business_impact"] {
        assert!(!said[member].as_str().unwrap().is_empty(), "{member}");
    }
    let paid = question("pay", &json!({}));
    world.send(Method::POST, "/v1/explain", &headers, paid.to_string()).await;
    assert_eq!(world.approvals("").await["total"], 0, "explaining asks nobody");
}

#[tokio::test]
async fn recent_decisions_are_written_without_arguments_and_never_waited_for() {
    let (world, _directory) = World::new().await;
    let (recorder, writer) = Recorder::start(world.app.store.clone(), Bus::default());
    let writer = tokio::spawn(writer.run());
    let (one, other) = (Tenant::parse("acme").unwrap(), Tenant::parse("other").unwrap());
    let decided = |n: usize| thoth::server::decisions::Decided {
        at: world.app.now(),
        agent: "agent".to_owned(),
        server: String::new(),
        tool: n.to_string(),
        user: "bob".to_owned(),
        environment: "prod".to_owned(),
        session: "s-1".to_owned(),
        mode: thoth::gate::decide::Mode::Progressive,
        decision: Word::Block,
        authorization: Word::Block,
        rule_ids: vec!["r".to_owned()],
        reason: Some("why".to_owned()),
        reason_code: None,
        violation_id: Some("v".to_owned()),
        approval: None,
        took: std::time::Duration::from_micros(17),
    };
    for n in 0..700 {
        recorder.record(&one, decided(n));
    }
    recorder.record(&other, decided(0));
    recorder.close();
    writer.await.unwrap();

    assert_eq!(recorder.dropped(), 0);
    let found = recent(&world.app, &one, 1000).await.unwrap();
    let tools: Vec<usize> = found.iter().map(|decided| decided.tool.parse().unwrap()).collect();
    assert_eq!(tools, (0..700).rev().collect::<Vec<_>>());
    assert_eq!(found[0], thoth::server::decisions::Decided { at: found[0].at, ..decided(699) });
    assert_eq!(recent(&world.app, &one, 7).await.unwrap().len(), 7);
    assert_eq!(recent(&world.app, &other, 7).await.unwrap().len(), 1);
    recorder.record(&one, decided(0));
    assert_eq!(recorder.dropped(), 1, "nobody writes any more");
}

#[tokio::test]
async fn a_writer_that_does_not_keep_up_costs_decisions_and_no_time() {
    let (world, _directory) = World::new().await;
    // Nobody runs the writer.
    let (recorder, writer) = Recorder::start(world.app.store.clone(), Bus::default());
    let tenant = Tenant::parse("acme").unwrap();
    let decided = thoth::server::decisions::Decided {
        at: world.app.now(),
        agent: String::new(),
        server: String::new(),
        tool: String::new(),
        user: String::new(),
        environment: String::new(),
        session: String::new(),
        mode: thoth::gate::decide::Mode::Block,
        decision: Word::Allow,
        authorization: Word::Allow,
        rule_ids: Vec::new(),
        reason: None,
        reason_code: None,
        violation_id: None,
        approval: None,
        took: std::time::Duration::ZERO,
    };
    for _ in 0..10_000 {
        recorder.record(&tenant, decided.clone());
    }
    assert_eq!(recorder.dropped(), 10_000 - 8192);
    drop(writer);
}
