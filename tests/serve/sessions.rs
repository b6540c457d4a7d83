//! Sessions: begun, told apart, ended.

use serde_json::{Value, json};

use crate::launch::{Setup, call, initialize, request, text};

#[test]
fn a_call_goes_through_and_is_answered() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut response = served.send(
        &served.within(&session, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
    );
    assert_eq!((response.status, response.text()), (202, String::new()));
    let mut response = served.call(&session, 1, "echo");
    assert_eq!(response.status, 200);
    assert!(text(&response.json()).starts_with("pid "));
    let lines = served.setup.seen();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[2], call(1, "echo").to_string());
}

#[test]
fn a_refusal_of_thoth_is_an_answer_and_no_status() {
    let served = Setup::new().start();
    let session = served.initialize();
    for (tool, code) in [("forbidden", -32_001), ("dangerous", -32_002)] {
        let mut response = served.call(&session, 1, tool);
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["error"]["code"], code);
    }
    assert_eq!(served.setup.seen().len(), 1, "the greeting alone");
}

#[test]
fn each_session_has_a_server_and_a_journal_of_its_own() {
    let served = Setup::new().start();
    let (one, other) = (served.initialize(), served.initialize());
    assert_ne!(one, other);
    assert!(one.len() == 43 && one.bytes().all(|byte| byte.is_ascii_graphic()), "{one}");
    // The same id in both, and answers of different processes.
    let pids: Vec<_> = [&one, &other, &one]
        .iter()
        .map(|session| text(&served.call(session, 7, "echo").json()).to_owned())
        .collect();
    assert_eq!(pids[0], pids[2]);
    assert_ne!(pids[0], pids[1]);
    let (status, said, setup) = served.closes();
    assert!(status.success(), "{said}");
    assert_eq!(setup.starts().len(), 2);
    let journals = setup.journals();
    assert_eq!(journals.len(), 2);
    for journal in journals {
        assert!(thoth::journal::verify(&journal, None).unwrap().is_whole());
    }
}

#[test]
fn a_session_ends_when_it_is_told_to_and_its_server_with_it() {
    let served = Setup::new().start();
    let (session, other) = (served.initialize(), served.initialize());
    let mut listening = served.send(&served.listening(&session));
    let mut hanging = served.call(&session, 1, "hang");
    let delete = served.listening(&session).to("DELETE", "/mcp");
    assert_eq!(served.send(&delete).status, 200);
    let answer = hanging.message();
    assert_eq!(answer["error"]["data"]["reason_code"], "server_gone", "{answer}");
    assert_eq!(listening.event(), None);
    for request in [delete, served.listening(&session), served.within(&session, &call(2, "echo"))] {
        assert_eq!(served.send(&request).status, 404);
    }
    assert!(text(&served.call(&other, 2, "echo").json()).starts_with("pid"), "the other goes on");
    let pid = served.setup.starts()[0].parse().unwrap();
    assert!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err());
}

#[test]
fn a_session_that_nobody_uses_ends_and_one_that_somebody_listens_to_does_not() {
    let served = Setup::new().flags(&["--idle-timeout", "1"]).start();
    let (unused, listened) = (served.initialize(), served.initialize());
    let busy = served.initialize();
    let listening = served.send(&served.listening(&listened));
    let hanging = served.call(&busy, 1, "hang");
    while served.send(&served.within(&unused, &json!({"jsonrpc": "2.0", "method": "x"}))).status
        != 404
    {
        std::thread::sleep(std::time::Duration::from_millis(1500));
    }
    for session in [&listened, &busy] {
        assert!(text(&served.call(session, 2, "echo").json()).starts_with("pid"));
    }
    drop((listening, hanging));
}

#[test]
fn beyond_so_many_sessions_none_begins() {
    let served = Setup::new().flags(&["--max-sessions", "2"]).start();
    let sessions = [served.initialize(), served.initialize()];
    let response = served.send(&served.post(&initialize()));
    assert_eq!((response.status, response.header("retry-after")), (503, Some("5")));
    assert_eq!(served.setup.starts().len(), 2);
    served.send(&served.listening(&sessions[0]).to("DELETE", "/mcp"));
    while served.send(&served.post(&initialize())).status != 200 {
        std::thread::yield_now();
    }
}

#[test]
fn beyond_so_many_requests_none_is_taken() {
    let served = Setup::new().start();
    let session = served.initialize();
    let streams: Vec<_> = (1..=256).map(|id| served.call(&session, id, "hang")).collect();
    let mut response = served.call(&session, 257, "echo");
    assert_eq!(response.status, 503);
    assert_eq!(response.json()["error"]["data"]["reason_code"], "too_many_in_flight");
    drop(streams);
}

#[test]
fn a_greeting_that_fails_begins_no_session() {
    let served = Setup::new()
        .server(&["sh", "-c", r#"read -r line; echo '{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"no"}}'; read -r line"#])
        .start();
    let mut response = served.send(&served.post(&initialize()));
    assert_eq!((response.status, response.header("mcp-session-id")), (200, None));
    assert_eq!(response.json()["error"]["code"], -32_602);
}

#[test]
fn a_version_that_nobody_knows_is_refused() {
    let served = Setup::new().start();
    let session = served.initialize();
    for (version, status) in [
        ("2025-11-25", 200),
        ("2025-06-18", 200),
        ("2025-03-26", 200),
        ("2024-11-05", 200),
        ("2024-01-01", 400),
        ("1.0", 400),
        ("2026-07-28", 400),
    ] {
        let ping =
            served.within(&session, &request(1, "ping")).with("mcp-protocol-version", version);
        assert_eq!(served.send(&ping).status, status, "{version}");
    }
    let ping = served.within(&session, &request(1, "ping")).without("mcp-protocol-version");
    assert_eq!(served.send(&ping).status, 200);
}

#[test]
fn what_the_gate_cannot_read_is_answered_by_the_gate_and_written_down() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut hanging = served.call(&session, 1, "hang");
    for (body, id, reason_code) in [
        ("[]".to_owned(), Value::Null, "batch"),
        (format!("[{}]", call(2, "echo")), Value::Null, "batch"),
        ("{".to_owned(), Value::Null, "not_json"),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"ping","method":"ping"}"#.to_owned(),
            json!(3),
            "repeated_member",
        ),
        (r#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#.to_owned(), json!(3), "bad_version"),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"pi\nng\"}".to_owned(),
            Value::Null,
            "carriage_return",
        ),
    ] {
        let mut response = served.send(&served.within(&session, &Value::Null).saying(body.clone()));
        assert_eq!(response.status, 400, "{body}");
        let answer = response.json();
        assert_eq!(answer["id"], id, "{body}: {answer}");
        assert_eq!(answer["error"]["data"]["reason_code"], reason_code, "{body}: {answer}");
    }
    // A message on several lines is one message.
    let spaced = serde_json::to_string_pretty(&call(4, "echo")).unwrap().replace('\n', "\r\n");
    let mut response = served.send(&served.within(&session, &Value::Null).saying(spaced));
    assert!(text(&response.json()).starts_with("pid"));
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    served.send(&served.within(&session, &cancel));
    hanging.event();
    let (_, _, setup) = served.closes();
    let journal = std::fs::read_to_string(&setup.journals()[0]).unwrap();
    assert_eq!(journal.matches(r#""kind":"unreadable""#).count(), 6, "{journal}");
}
