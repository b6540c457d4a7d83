//! `thoth report`, as people and scripts run it.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use thoth::spool::{Event, Limits, Spool, Writer};

const STUCK: &str = "tests/report/stuck.jsonl";
const HOSTILE: &str = "tests/report/hostile.jsonl";

/// Runs it in a profile, with nothing of this process's environment.
fn report(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thoth"))
        .arg("report")
        .args(arguments)
        .env_clear()
        .env("THOTH_HOME_DIR", home)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&told(output)).unwrap()
}

/// An event of a session, at a second of one day.
fn event(session: &str, sequence: u64, second: u64, kind: &str, payload: &str) -> String {
    format!(
        r#"{{"event_id":"{session}-{sequence}","event_type":"{kind}","session_id":"{session}","sequence_number":{sequence},"captured_at":"2026-01-01T00:00:{second:02}Z","vendor_id":"v","call_id":"{session}-1","payload":{payload}}}"#
    )
}

fn call(session: &str, sequence: u64, second: u64) -> String {
    event(session, sequence, second, "tool_call_start", r#"{"tool_name":"a"}"#)
}

fn write(home: &Path, name: &str, lines: &[String]) {
    let directory = home.join("friction");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), lines.join("\n") + "\n").unwrap();
}

#[test]
fn the_json_is_as_its_schema_says() {
    let home = tempfile::tempdir().unwrap();
    let schema: Value =
        serde_json::from_str(&fs::read_to_string("docs/report.schema.json").unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for file in [STUCK, HOSTILE] {
        let report = json(&report(home.path(), &["--file", file, "--format", "json"]));
        let wrong: Vec<_> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
        assert_eq!(wrong, Vec::<String>::new(), "{file}");
    }
}

#[test]
fn every_kind_of_finding_is_told_of_a_session_that_has_it() {
    let home = tempfile::tempdir().unwrap();
    let report = json(&report(home.path(), &["--file", STUCK, "--format", "json"]));
    let findings: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["signal"].as_str().unwrap(), finding["tool"].as_str()))
        .collect();
    assert_eq!(
        findings,
        [
            ("failure", Some("update_ticket")),
            ("failure", None),
            ("parameter_confusion", Some("update_ticket")),
            ("blocked_then_gave_up", Some("send_email")),
            ("slow_performance", Some("export_report")),
        ]
    );
    assert_eq!(report["session"]["client"]["name"], "claude-code");
    assert_eq!(report["session"]["scrubbed"]["email"], 6);
}

#[test]
fn the_last_session_in_which_anything_was_done_is_found_in_rotated_files() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "events.jsonl.10", &[call("oldest", 0, 1)]);
    write(home.path(), "events.jsonl.2", &[call("older", 0, 2), call("last", 0, 3)]);
    write(home.path(), "events.jsonl.1", &["half a li".to_owned()]);
    let end = event("last", 1, 5, "tool_call_end", r#"{"tool_name":"a","duration_ms":7}"#);
    let idle = event("idle", 0, 9, "tool_list_start", "{}");
    write(home.path(), "events.jsonl", &[end, idle]);
    write(home.path(), "events.jsonl.bak", &[call("other", 0, 59)]);

    let report_ = json(&report(home.path(), &["--format", "json"]));
    assert_eq!(report_["session"]["id"], "last");
    assert_eq!(report_["session"]["calls"]["succeeded"], 1);
    assert_eq!(report_["session"]["reading"]["malformed"], 1);
    let named = json(&report(home.path(), &["--session", "idle", "--format", "json"]));
    assert_eq!(named["session"]["id"], "idle");

    let list = told(&report(home.path(), &["--list"]));
    let ids: Vec<_> =
        list.lines().skip(1).map(|line| line.split_whitespace().nth(2).unwrap()).collect();
    assert_eq!(ids, ["oldest", "older", "last", "idle"]);
    let list = json(&report(home.path(), &["--list", "--format", "json"]));
    assert_eq!(list[2]["events"], 2);
}

#[test]
fn what_was_decided_comes_from_the_journal() {
    let home = tempfile::tempdir().unwrap();
    let error = event(
        "s",
        1,
        2,
        "tool_call_error",
        r#"{"tool_name":"a","error_type":"-32001","error_body":"no"}"#,
    );
    write(home.path(), "events.jsonl", &[call("s", 0, 1), error]);
    let journal = home.path().join("journal/agent");
    fs::create_dir_all(&journal).unwrap();
    let record = |call: &str| {
        format!(
            "{{\"seq\":1,\"kind\":\"session\",\"session\":\"s\"}}\nnothing\n{{\"seq\":2,\"kind\":\"decision\",{call},\"decision\":\"block\",\"forwarded\":false,\"rule_ids\":[\"r-1\"],\"reason\":\"private\",\"reason_code\":\"policy\"}}\n"
        )
    };
    // By the id of its own, and by the ticket that it is made of.
    for call in ["\"call\":9,\"call_id\":\"s-1\"", "\"call\":1"] {
        fs::write(journal.join("s.jsonl"), record(call)).unwrap();
        let report = json(&report(home.path(), &["--format", "json"]));
        let refusal = &report["refusals"][0];
        assert_eq!(
            (&refusal["rule_ids"][0], &refusal["reason"]),
            (&"r-1".into(), &"private".into())
        );
        assert_eq!(report["calls"][0]["decision"]["reason_code"], "policy");
    }
}

#[test]
fn without_a_file_what_lies_in_the_spool_is_told_and_left_there() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("thoth");
    let spool = Spool::open(&home, "sink", Limits::default()).unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut writer = Writer::new(spool.clone());
    let event = Event::new(uuid(), call("s", 0, 1).into()).unwrap();
    writer.append(&[event], now).unwrap();
    let stock = spool.stock();

    let output = report(&home, &["--format", "json"]);
    assert_eq!(json(&output)["session"]["id"], "s");
    let aside = String::from_utf8(output.stderr).unwrap();
    assert!(aside.contains("were not sent yet"), "{aside}");
    assert_eq!(spool.stock(), stock);
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(7)
}

#[test]
fn exit_codes_are_as_documented() {
    let home = tempfile::tempdir().unwrap();
    let gone = home.path().join("gone.jsonl");
    let directory = home.path().to_str().unwrap();
    let table: [(&[&str], i32, &str); 6] = [
        (&[], 1, "no events in "),
        (&["--file", STUCK, "--session", "none"], 1, "no session none in "),
        (&["--file", gone.to_str().unwrap()], 2, "cannot read "),
        (&["--file", directory], 2, "cannot read "),
        (&["--file", STUCK, "--output", directory], 2, "cannot write "),
        (&["--last", "--session", "s"], 64, "cannot be used with"),
    ];
    for (arguments, code, said) in table {
        let output = report(home.path(), arguments);
        let aside = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {aside}");
        assert!(aside.contains(said) && output.stdout.is_empty(), "{arguments:?}: {aside}");
    }
}

#[test]
fn a_files_name_says_which_form_it_has_and_nobody_else_can_read_it() {
    let home = tempfile::tempdir().unwrap();
    for (name, start) in
        [("r.html", "<!doctype html>"), ("r.json", "{"), ("r.md", "# "), ("r", "# ")]
    {
        let path = home.path().join(name);
        let output = report(home.path(), &["--file", STUCK, "-o", path.to_str().unwrap()]);
        assert_eq!(told(&output), "");
        assert!(fs::read_to_string(&path).unwrap().starts_with(start), "{name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
