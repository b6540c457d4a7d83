//! Sessions from lines: of every generation, in any order, whole or not.

use std::fmt::Write as _;

use super::*;

/// An event of the newest generation.
fn event(session: &str, sequence: u64, kind: &str, call: Option<&str>, payload: &str) -> String {
    let call = call.map(|id| format!(r#","call_id":"{id}""#)).unwrap_or_default();
    let second = sequence % 60;
    format!(
        r#"{{"event_id":"{session}/{sequence}","event_type":"{kind}","session_id":"{session}","sequence_number":{sequence},"captured_at":"2026-01-02T03:04:{second:02}.000000Z","tenant_id":"t","vendor_id":"v","consent_token":"local","sdk_version":"thoth/0","agent_runtime":"agent"{call},"payload":{payload}}}"#
    )
}

fn read(lines: &[String]) -> Option<Session> {
    Session::read(lines.iter().map(String::as_bytes), None)
}

#[test]
fn both_events_of_a_call_make_one_call() {
    let lines = [
        event(
            "s",
            0,
            "tool_call_start",
            Some("1"),
            r#"{"tool_name":"a","params":{"x":1,"y":[2.0]}}"#,
        ),
        event(
            "s",
            1,
            "tool_call_start",
            Some("2"),
            r#"{"tool_name":"a","params":{"y":[2e0], "\u0078":1}}"#,
        ),
        event(
            "s",
            2,
            "tool_call_error",
            Some("2"),
            r#"{"tool_name":"a","error_type":"-32050","error_body":"no","duration_ms":7,"failure_kind":"unknown_tool"}"#,
        ),
        event(
            "s",
            3,
            "tool_call_end",
            Some("1"),
            r#"{"tool_name":"a","result":{},"duration_ms":3000}"#,
        ),
        event("s", 4, "tool_call_start", Some("3"), r#"{"tool_name":"a","params":{"x":2}}"#),
    ];
    let session = read(&lines).unwrap();
    let calls = &session.calls;
    let ends: Vec<_> = calls.iter().map(|call| (call.sequence, call.ended, call.end)).collect();
    assert_eq!(
        ends,
        [(0, Some(3), End::Succeeded), (1, Some(2), End::Failed), (4, None, End::Open)]
    );
    assert_eq!(calls[0].arguments, calls[1].arguments, "spelling and order do not matter");
    assert_ne!(calls[0].arguments, calls[2].arguments);
    assert_eq!((calls[0].took_ms, calls[1].took_ms), (Some(3000), Some(7)));
    assert_eq!(calls[1].error_type.as_deref(), Some("-32050"));
    assert_eq!(calls[1].error_body.as_ref().map(Excerpt::as_str), Some("no"));
    assert_eq!(calls[1].failure_kind.as_deref(), Some("unknown_tool"));
    assert_eq!((calls[0].at_ms, calls[2].at_ms, session.lasted_ms()), (0, 4000, 4000));
}

#[test]
fn the_order_of_lines_and_repeated_lines_do_not_matter() {
    let lines: Vec<_> = (0..6)
        .map(|nth| {
            let kind = if nth % 2 == 0 { "tool_call_start" } else { "tool_call_end" };
            event("s", nth, kind, Some(&(nth / 2).to_string()), r#"{"tool_name":"a"}"#)
        })
        .collect();
    let mut mixed = lines.clone();
    mixed.reverse();
    mixed.extend(lines.clone());
    let (plain, mixed) = (read(&lines).unwrap(), read(&mixed).unwrap());
    assert_eq!(plain.reading, Reading { events: 6, ..Reading::default() });
    assert_eq!(mixed.reading, Reading { events: 6, duplicates: 6, ..Reading::default() });
    assert_eq!(format!("{:?}", plain.calls), format!("{:?}", mixed.calls));
}

#[test]
fn what_is_no_event_is_counted_and_passed_over() {
    let mut text = String::new();
    for line in [
        "",
        "  ",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"session_id":"s"}"#,
        r#"{"session_id":"s","event_type":"annotation","sequence_number":-1}"#,
        r#"{"session_id":7,"event_type":"annotation","sequence_number":0}"#,
        r#"{"session_id":"s","event_type":"annotation","sequence_number":0,"payload":{"intent":"#,
    ] {
        writeln!(text, "{line}").unwrap();
    }
    text += &event("s", 0, "tool_call_start", Some("1"), r#"{"tool_name":"a"}"#);
    text += "\r\n";
    text += &event("s", 1, "something_new", None, "7");
    let lines: Vec<_> = text.split('\n').map(str::as_bytes).chain([&b"\xff\0"[..]]).collect();
    let session = Session::read(lines, Some("s")).unwrap();
    assert_eq!(session.reading, Reading { events: 2, malformed: 9, ..Reading::default() });
    assert_eq!(session.calls.len(), 1);
}

#[test]
fn members_of_another_kind_count_as_absent() {
    let lines = [
        r#"{"event_id":1,"event_type":"tool_call_start","session_id":"s","sequence_number":0,"captured_at":"yesterday","vendor_id":null,"call_id":null,"runtime_meta":[],"client_observed":"x","payload":{"tool_name":["a"],"params":7,"call_intent":{}}}"#.to_owned(),
        r#"{"event_type":"tool_call_error","session_id":"s","sequence_number":1,"payload":{"error_body":null,"duration_ms":-1}}"#.to_owned(),
        r#"{"event_type":"annotation","session_id":"s","sequence_number":2,"payload":{"context":3,"signal_type":[]}}"#.to_owned(),
        r#"{"event_type":"surface_snapshot","session_id":"s","sequence_number":3,"payload":null}"#.to_owned(),
        r#"{"event_type":"tool_list_end","session_id":"s","sequence_number":4}"#.to_owned(),
    ];
    let session = read(&lines).unwrap();
    assert_eq!(session.reading.events, 5);
    let call = &session.calls[0];
    assert_eq!((&*call.tool, call.at, call.end), ("", None, End::Failed));
    assert_eq!(call.error_type.as_deref(), Some("unknown"));
    assert!(session.window.is_none() && session.vendor.is_none() && session.client.is_none());
}

#[test]
fn without_an_id_it_is_the_session_that_began_last() {
    let at = |session: &str, time: &str| {
        format!(
            r#"{{"event_type":"tool_list_start","session_id":"{session}","sequence_number":0,"captured_at":"{time}","payload":{{}}}}"#
        )
    };
    let lines = [
        at("first", "2026-01-01T00:00:00Z"),
        at("last", "2026-01-03T00:00:00Z"),
        at("first", "2026-01-04T00:00:00Z"),
        at("middle", "2026-01-02T00:00:00Z"),
        at("last", "2026-01-03T00:00:01Z"),
        "no event".to_owned(),
    ];
    let last = read(&lines).unwrap();
    assert_eq!((&*last.id, last.reading.events, last.reading.malformed), ("last", 2, 1));
    let named = Session::read(lines.iter().map(String::as_bytes), Some("first")).unwrap();
    assert_eq!((&*named.id, named.reading.events), ("first", 2));
    assert!(Session::read(lines.iter().map(String::as_bytes), Some("none")).is_none());
    assert!(Session::read([], None).is_none());
}

#[test]
fn an_end_whose_beginning_is_in_a_file_that_is_gone_is_a_call() {
    let lines = [
        event("s", 41, "tool_call_end", Some("x"), r#"{"tool_name":"a","duration_ms":1000}"#),
        event(
            "s",
            45,
            "tool_call_error",
            Some("y"),
            r#"{"tool_name":"b","error_type":"tool_error","error_body":"","duration_ms":3000}"#,
        ),
    ];
    let session = read(&lines).unwrap();
    // 1 to 40, and 42 to 44.
    assert_eq!(session.reading.missing, 43);
    let shown: Vec<_> = session
        .calls
        .iter()
        .map(|call| (call.sequence, call.ended, call.arguments, call.at_ms, call.end))
        .collect();
    assert_eq!(
        shown,
        [(41, Some(41), None, 0, End::Succeeded), (45, Some(45), None, 1000, End::Failed)]
    );
}

#[test]
fn an_end_is_what_its_error_says() {
    let table = [
        ("tool_error", "no", End::Failed),
        ("-32602", "Unknown tool", End::Failed),
        ("proxy_client_cancelled", "", End::Cancelled),
        ("proxy_upstream_closed", "", End::Unanswered),
        ("proxy_request_id_reused", "", End::Failed),
        ("-32001", "`a` was blocked by rule r: no.", End::Refused),
        ("-32002", "`a` was not run: …", End::Refused),
        ("-32001", "Request timed out", End::Failed),
        ("-32001", "MCP error -32001: Request timed out", End::Failed),
    ];
    for (error_type, body, end) in table {
        let payload =
            format!(r#"{{"tool_name":"a","error_type":"{error_type}","error_body":"{body}"}}"#);
        let session = read(&[event("s", 0, "tool_call_error", Some("1"), &payload)]).unwrap();
        assert_eq!(session.calls[0].end, end, "{error_type} {body}");
    }
}

#[test]
fn the_journal_knows_better_who_refused() {
    let error = |id: &str, sequence, code: &str| {
        let payload = format!(r#"{{"tool_name":"a","error_type":"{code}","error_body":"x"}}"#);
        event("s", sequence, "tool_call_error", Some(id), &payload)
    };
    let lines = [error("1", 0, "-32001"), error("2", 1, "tool_error"), error("3", 2, "-32001")];
    let mut session = read(&lines).unwrap();
    session.join(|id| {
        let forwarded = id == "1";
        (id != "3").then(|| Decision { forwarded, ..Decision::default() })
    });
    let ends: Vec<_> = session.calls.iter().map(|call| call.end).collect();
    assert_eq!(ends, [End::Failed, End::Refused, End::Refused]);
    assert!(session.calls[2].decision.is_none());
}

#[test]
fn streams_without_call_ids_are_paired_by_the_client_or_in_order() {
    let meta = |line: String, id: &str| {
        line.replace(
            r#","payload""#,
            &format!(r#","runtime_meta":{{"claudecode/toolUseId":"{id}"}},"payload""#),
        )
    };
    let start = |sequence| event("s", sequence, "tool_call_start", None, r#"{"tool_name":"a"}"#);
    let end = |sequence| event("s", sequence, "tool_call_end", None, r#"{"tool_name":"a"}"#);
    let pairs = |lines: &[String]| -> Vec<_> {
        read(lines).unwrap().calls.iter().map(|call| (call.sequence, call.ended)).collect()
    };
    assert_eq!(pairs(&[start(0), start(1), end(2), end(3)]), [(0, Some(2)), (1, Some(3))]);
    let named = [meta(start(0), "x"), meta(start(1), "y"), meta(end(2), "y"), meta(end(3), "x")];
    assert_eq!(pairs(&named), [(0, Some(3)), (1, Some(2))]);
}

#[test]
fn what_was_scrubbed_is_counted_by_category() {
    let payload = r#"{"tool_name":"a","params":{"x":"[REDACTED:email] [REDACTED:email]","y":"[REDACTED:field-password] [REDACTED:] [REDACTED:a b] [REDACTED:open"}}"#;
    let session = read(&[event("s", 0, "tool_call_start", Some("1"), payload)]).unwrap();
    let counts: Vec<_> = session.scrubbed.iter().map(|(name, count)| (&**name, *count)).collect();
    assert_eq!(counts, [("email", 2), ("field-password", 1)]);
}

#[test]
fn others_text_is_kept_up_to_a_length() {
    let long = "ä".repeat(5000);
    let payload =
        format!(r#"{{"tool_name":"{long}","params":{{"x":"{long}"}},"call_intent":"{long}"}}"#);
    let session = read(&[event("s", 0, "tool_call_start", Some("1"), &payload)]).unwrap();
    let call = &session.calls[0];
    assert!(call.tool.chars().count() < 250);
    assert_eq!(call.params.as_ref().unwrap().as_str().chars().count(), 300);
    assert_eq!(call.intent.as_ref().unwrap().as_str().chars().count(), 1000);
}
