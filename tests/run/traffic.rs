//! What passes, what is refused, and what is written down.

use std::os::unix::fs::PermissionsExt;

use crate::sidecar::{Setup, answers, call, lines, said};

#[test]
fn each_decision_reaches_the_client_and_only_what_is_allowed_the_server() {
    let setup = Setup::deciding(
        &[
            ("allow", "read"),
            ("block", "rm"),
            ("step_up", "write"),
            ("modify", "query"),
            ("defer", "later"),
        ],
        "block",
    );
    let tools = ["read", "rm", "write", "query", "later", "unknown"];
    let calls: Vec<_> =
        (1..).zip(tools).map(|(id, tool)| call(id, tool, r#"{"limit":5000}"#)).collect();
    let output = setup.pipe((calls.join("\n") + "\n").as_bytes());

    let codes: Vec<_> =
        answers(&output).iter().map(|answer| answer["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [None, Some(-32_001), Some(-32_002), None, Some(-32_001), Some(-32_001)]);
    assert_eq!(
        setup.seen().lines().collect::<Vec<_>>(),
        [&calls[0], &calls[3].replace("5000", "100")]
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    let blocked = &answers(&output)[1]["error"];
    assert_eq!(blocked["data"]["decision"], "BLOCK");
    assert_eq!(blocked["data"]["rule_ids"][0], "block-rm");
    assert_eq!(blocked["data"]["retryable"], false);
    assert!(blocked["message"].as_str().unwrap().contains("block-rm"));
}

#[test]
fn everything_but_calls_passes_byte_for_byte() {
    let setup = Setup::deciding(&[], "block");
    let input = concat!(
        "{\"jsonrpc\":\"2.0\", \"id\":1,\"method\":\"initialize\",\"params\":{\"x\":1.50,\"y\":1e5}}\r\n",
        "{\"method\":\"notifications/initialized\",\"jsonrpc\":\"2.0\"}\n",
        "  {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"server/discover\",\"vendor\":{\"b\":1,\"a\":2}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"resources/read\",\"params\":{\"uri\":\"tools/call\"}}\n",
    );
    let output = setup.pipe(input.as_bytes());
    assert_eq!(setup.seen(), input);
    assert_eq!(answers(&output).len(), 3);
}

#[test]
fn a_piped_session_of_ten_thousand_calls_is_answered_whole() {
    let setup = Setup::deciding(&[("allow", "a")], "block");
    let calls: Vec<_> =
        (0..10_000).map(|id| call(id, if id % 10 == 0 { "b" } else { "a" }, "{}")).collect();
    let output = setup.pipe((calls.join("\n") + "\n").as_bytes());
    let answers = answers(&output);
    assert_eq!(answers.len(), 10_000);
    for (id, answer) in (0..).zip(&answers) {
        assert_eq!(answer["id"], id);
        assert_eq!(answer["error"]["code"] == -32_001, id % 10 == 0);
    }
    assert_eq!(setup.seen().lines().count(), 9_000);
}

#[test]
fn every_decision_is_in_the_journal_and_the_journal_is_whole() {
    let setup = Setup::deciding(&[("allow", "a")], "block");
    setup.pipe(
        (call(1, "a", r#"{"secret":"hunter2"}"#) + "\n" + &call(2, "b", "{}") + "\n{broken\n")
            .as_bytes(),
    );
    let [journal] = &setup.journals()[..] else { panic!("one journal") };
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(journal), mode(journal.parent().unwrap())), (0o600, 0o700));

    let records = lines(journal);
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "decision").count(), 2, "{kinds:?}");
    for kind in ["session", "outcome", "unreadable", "end"] {
        assert_eq!(kinds.iter().filter(|each| **each == kind).count(), 1, "{kinds:?}");
    }
    let text = std::fs::read_to_string(journal).unwrap();
    assert!(!text.contains("hunter2"), "arguments are hashed unless told otherwise");
    assert!(thoth::journal::verify(journal, None).unwrap().is_whole());
}

#[test]
fn a_journal_that_cannot_be_written_refuses_calls_unless_told_otherwise() {
    for (flag, code) in [("required", Some(-32_001)), ("best-effort", None)] {
        let setup = Setup::deciding(&[], "allow").flags(&["--journal", flag]);
        let home = setup.home.path().join("home");
        std::fs::create_dir(&home).unwrap();
        // A file stands where the directory of journals would be.
        std::fs::write(home.join("journal"), "").unwrap();
        let output = setup.pipe((call(1, "a", "{}") + "\n").as_bytes());
        assert_eq!(
            answers(&output)[0]["error"]["code"].as_i64(),
            code,
            "{flag}: {}",
            said(&output)
        );
        assert_eq!(setup.seen().is_empty(), code.is_some(), "{flag}");
        assert!(said(&output).contains("journal"), "{}", said(&output));
    }
}

#[test]
fn an_overlong_line_is_answered_and_the_session_goes_on() {
    let setup = Setup::deciding(&[], "allow").flags(&["--max-message-bytes", "1024"]);
    let long = call(7, "a", &format!(r#"{{"x":"{}"}}"#, "y".repeat(5_000)));
    let output = setup.pipe(format!("{long}\n{}\n", call(8, "a", "{}")).as_bytes());
    let answers = answers(&output);
    assert_eq!(answers[0]["error"]["data"]["reason_code"], "message_too_long");
    assert_eq!(answers[1]["id"], 8);
    assert_eq!(setup.seen().lines().count(), 1);
}

#[test]
fn rules_can_ask_for_the_shape_of_a_refusal() {
    let setup = Setup::deciding(&[], "block").flags(&["--denial", "result"]);
    let output = setup.pipe((call(1, "a", "{}") + "\n").as_bytes());
    let result = &answers(&output)[0]["result"];
    assert_eq!(result["isError"], true);
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["_meta"]["decision"]["decision"], "BLOCK");
}

#[test]
fn observe_forwards_and_records_what_it_would_have_refused() {
    let setup = Setup::deciding(&[], "block").flags(&["--enforcement-mode", "shadow"]);
    let output = setup.pipe((call(1, "a", "{}") + "\n").as_bytes());
    assert!(answers(&output)[0]["result"].is_object());
    let records = lines(&setup.journals()[0]);
    let decision = records.iter().find(|record| record["kind"] == "decision").unwrap();
    assert_eq!((&decision["decision"], &decision["forwarded"]), (&"block".into(), &true.into()));
}
