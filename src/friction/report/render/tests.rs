//! That nothing of a session breaks out of a report, whatever the format.

use proptest::prelude::*;
use serde_json::{Value, json as value};

use super::*;
use crate::friction::report::text::is_active;
use crate::friction::report::{Limits, Session};

/// Texts that mean something to somebody who reads reports.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "|",
    "```",
    "`` ` ``",
    "`",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></svg></style><style>*{background:url(//e.example)}",
    "[x](javascript:alert(1))",
    "![x](http://e.example/x.png)",
    "a\n# heading\r\n<b>",
    "\u{202e}gpj.exe\u{2066}\u{200b}",
    "\u{1b}[2J\0\u{9b}",
    "\u{2028}\u{2029}",
    "&lt;&amp;&#60;",
    "@everyone www.e.example",
    "\\|\\`\\",
    "-->]]>",
    "  ",
    "",
];

/// A session in which every text is this one.
fn session(text: &str) -> Session {
    let event = |sequence: u64, kind: &str, call: &str, payload: Value| {
        let envelope = value!({
            "event_id": sequence.to_string(), "event_type": kind, "session_id": text,
            "sequence_number": sequence, "captured_at": "2026-01-02T03:04:05Z", "tenant_id": text,
            "vendor_id": text, "sdk_version": text, "agent_runtime": text, "call_id": call,
            "client_observed": {"info": {"name": text, "version": text}}, "payload": payload,
        });
        envelope.to_string()
    };
    let start = value!({"tool_name": text, "params": {text: text}, "call_intent": text, "call_expected": text});
    let error =
        value!({"tool_name": text, "error_type": text, "error_body": text, "duration_ms": 20000});
    let refused = value!({"tool_name": text, "error_type": "-32001", "error_body": text});
    let said = value!({
        "intent": text, "expected_outcome": text, "what_happened": text, "signal_type": text,
        "workflow": text, "suggested_improvement": text, "context": {text: text}, "tool_name": text,
    });
    let lines = [
        event(
            0,
            "surface_snapshot",
            "",
            value!({"surface_hash": text, "server_info": {"name": text, "version": text}, "tools": []}),
        ),
        event(1, "tool_call_start", "1", start.clone()),
        event(2, "tool_call_error", "1", error),
        event(3, "tool_call_start", "2", start),
        event(4, "tool_call_error", "2", refused),
        event(5, "annotation", "", said),
        event(
            6,
            "annotation",
            "",
            value!({"intent": text, "expected_outcome": text, "workflow": text}),
        ),
        event(
            7,
            "resource_read_error",
            "",
            value!({"uri": text, "error_type": text, "error_body": text}),
        ),
    ];
    let mut session = Session::read(lines.iter().map(String::as_bytes), Some(text)).unwrap();
    session.join(|id| {
        let decision = crate::friction::report::Decision {
            decision: text.to_owned(),
            forwarded: id == "1",
            rule_ids: vec![text.to_owned()],
            reason: Some(text.to_owned()),
            reason_code: Some(text.to_owned()),
        };
        Some(decision)
    });
    session
}

/// What is left of Markdown outside of code; `None` where a span of code is not closed on its line.
fn outside_code(line: &str) -> Option<String> {
    let (mut left, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        left.push_str(&rest[..at]);
        let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let inside = &rest[at + run..];
        // The span ends at the next run of the same length.
        let mut from = 0;
        let end = loop {
            let start = from + inside[from..].find('`')?;
            let tail = &inside[start..];
            let length = tail.len() - tail.trim_start_matches('`').len();
            if length == run {
                break start + length;
            }
            from = start + length;
        };
        left.push('C');
        rest = &inside[end..];
    }
    Some(left + rest)
}

/// The report's own words and structure, without the session's.
fn skeleton(markdown: &str) -> Vec<String> {
    let outside = |line: &str| outside_code(line).unwrap_or_else(|| panic!("open code: {line}"));
    markdown.lines().map(outside).collect()
}

/// The tags of a page with their attributes' names, in order; text and values left out.
fn tags(html: &str) -> Vec<String> {
    let (_, body) = html.split_once("</style>").unwrap();
    let mut tags = Vec::new();
    for part in body.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("an open tag: {part}"));
        // Values stand in double quotes, and hold none.
        let names: Vec<_> = tag.split('"').step_by(2).collect();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        tags.push(names.join("…"));
    }
    tags
}

fn check(text: &str) {
    let plain = session("plain");
    let hostile = session(text);
    let limits = Limits::default();

    let page = markdown(&hostile, limits);
    assert_eq!(skeleton(&page), skeleton(&markdown(&plain, limits)), "{text:?}");
    assert!(!page.chars().any(|character| is_active(character) && character != '\n'), "{text:?}");

    let page = html(&hostile, limits);
    assert_eq!(tags(&page), tags(&html(&plain, limits)), "{text:?}");
    assert!(!page.chars().any(|character| is_active(character) && character != '\n'), "{text:?}");

    let page = json(&hostile, limits);
    assert!(!page.chars().any(|character| is_active(character) && character != '\n'), "{text:?}");
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["session"]["id"].as_str(), Some(text));
}

#[test]
fn no_text_of_a_session_breaks_out_of_its_report() {
    // A blank text is no goal, no name and no report; it has another report, which must be whole too.
    for text in HOSTILE.iter().filter(|text| !text.trim().is_empty()) {
        check(text);
    }
    for text in ["", "  "] {
        let blank = session(text);
        skeleton(&markdown(&blank, Limits::default()));
        tags(&html(&blank, Limits::default()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_breaks_out_whatever_it_is(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(HOSTILE).prop_map(str::to_owned),
                "[<>&\"'`|\\\\\\[\\](){}#*_~!@:/ =\n\r\t-]{1,12}",
                "\\PC{1,6}",
                any::<char>().prop_map(String::from),
            ],
            1..6,
        ),
    ) {
        let text = parts.concat();
        prop_assume!(!text.trim().is_empty() && text.chars().count() <= 150 && text != "none");
        // These words have a meaning of their own.
        check(&format!("x{text}"));
    }
}

#[test]
fn a_report_in_markdown_has_a_length() {
    let session = session("`tool`");
    for bytes in [0, 100, 500, 1000, 1500, 100_000] {
        let page = markdown(&session, Limits { bytes, ..Limits::default() });
        assert!(page.len() <= bytes.max(100), "{bytes}: {}", page.len());
        skeleton(&page);
        assert_eq!(page.contains("was cut"), bytes < 100_000);
    }
    assert!(markdown(&session, Limits::in_conversation()).len() <= 16 * 1024);
}

#[test]
fn a_page_needs_nothing_and_runs_nothing() {
    let page = html(&session("x"), Limits::default());
    for word in [
        "<script", "<iframe", "<object", "<img", "@import", "url(", "http://", "https://",
        " style=", " on",
    ] {
        let found = match word {
            " on" => tags(&page).iter().any(|tag| tag.contains(" on")),
            word => page.contains(word),
        };
        assert!(!found, "{word}");
    }
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
}
