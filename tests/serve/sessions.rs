//! Sessions: begun, told apart, ended.

use serde_json::{Value, json};

use crate::launch::{Setup, call, initialize, request, text};

#[test]
fn a_call_goes_through_and_is_answered_as_json() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut response = served.send(
        &served.within(&session, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
    );
    assert_eq!((response.status, response.text()), (202, String::new()));
    let mut response = served.call(&session, 1, "echo");
    assert_eq!((response.status, response.is_stream()), (200, false));
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
