//! Every type of event in every generation, and what the envelope says.

use super::failure::{Failure, FailureKind, Unanswered};
use super::payload::{
    Added, AddedParams, Annotation, CallStep, FetchStep, Intent, IntentSource, ListStep, Listed,
    Surface,
};
use super::*;
use crate::friction::raw::{Raw, RawObject};

const WIRES: [Wire; 3] = [Wire::W1, Wire::W2, Wire::W3];

fn origin() -> Origin {
    Origin {
        session: "s-1".to_owned(),
        session_minted: true,
        tenant: "t".to_owned(),
        vendor: "v".to_owned(),
        consent: "c".to_owned(),
        software: "thoth/0".to_owned(),
        principal: None,
    }
}

fn stamp() -> Stamp {
    Stamp {
        id: Uuid::from_u128(0x019f_edb9_89f5_724a_8e26_e31b_08fd_3557),
        at: "2026-11-21T00:32:58.43Z".parse().unwrap(),
    }
}

fn object(text: &str) -> RawObject<'_> {
    RawObject::read(text.as_bytes()).unwrap()
}

fn raw(text: &str) -> Option<Raw<'_>> {
    let raw = Raw::read(text.as_bytes());
    assert!(raw.is_some(), "{text}");
    raw
}

/// The payload's text in one generation; `None` where it does not admit the event.
fn payload(wire: Wire, payload: &Payload<'_>) -> Option<String> {
    let event = event(&mut Stream::new(wire, origin()), None, payload)?;
    let (_, rest) = event.split_once(r#""payload":"#).unwrap();
    Some(rest[..rest.len() - 1].to_owned())
}

fn event(
    stream: &mut Stream,
    meta: Option<RawObject<'_>>,
    payload: &Payload<'_>,
) -> Option<String> {
    let draft = stream.draft(stamp(), meta, payload)?;
    Some(draft.scrub(&Scrubber::default(), &mut Counts::default()).as_str().to_owned())
}

fn call(step: CallStep<'_>) -> Payload<'_> {
    Payload::Call { call_id: "k", tool: "echo", step }
}

fn failure() -> Failure<'static> {
    Failure {
        error_type: "-32602".into(),
        body: "b".into(),
        kind: Some(FailureKind::InvalidArgument),
    }
}

/// Every type of event, with its payload in each generation.
#[expect(clippy::too_many_lines, reason = "a table of twenty types in three generations")]
fn table() -> Vec<(&'static str, Payload<'static>, [Option<&'static str>; 3])> {
    let intent = Intent {
        goal: Some("g"),
        expected: Some("e"),
        workflow: Some("w"),
        source: IntentSource::InjectedParam,
    };
    let params = RawObject::read(br#"{"a": 1.0}"#).unwrap();
    let start = |intent| call(CallStep::Start { params, intent });
    let bare = Some(r#"{"tool_name":"echo","params":{"a": 1.0}}"#);
    let mut table = vec![
        (
            "tool_call_start",
            start(intent),
            [
                bare,
                Some(
                    r#"{"tool_name":"echo","params":{"a": 1.0},"call_intent":"g","call_expected":"e","call_workflow":"w","intent_source":"injected_param"}"#,
                ),
                Some(
                    r#"{"tool_name":"echo","params":{"a": 1.0},"call_intent":"g","call_expected":"e","call_workflow":"w","intent_source":"injected_param"}"#,
                ),
            ],
        ),
        ("tool_call_start", start(Intent::default()), [bare; 3]),
        (
            "tool_call_start",
            start(Intent { goal: Some(" "), expected: None, ..intent }),
            [
                bare,
                Some(r#"{"tool_name":"echo","params":{"a": 1.0},"call_workflow":"w"}"#),
                Some(r#"{"tool_name":"echo","params":{"a": 1.0},"call_workflow":"w"}"#),
            ],
        ),
        (
            "tool_call_end",
            call(CallStep::End { result: raw(r#"{"content":[]}"#), duration_ms: Some(7) }),
            [Some(r#"{"tool_name":"echo","result":{"content":[]},"duration_ms":7}"#); 3],
        ),
        (
            "tool_call_end",
            call(CallStep::End { result: None, duration_ms: None }),
            [
                Some(r#"{"tool_name":"echo"}"#),
                Some(r#"{"tool_name":"echo"}"#),
                Some(r#"{"tool_name":"echo","result_capture":"off"}"#),
            ],
        ),
        (
            "tool_call_error",
            call(CallStep::Error { failure: failure(), result: raw("{}"), duration_ms: Some(0) }),
            [
                Some(
                    r#"{"tool_name":"echo","error_type":"-32602","error_body":"b","duration_ms":0}"#,
                ),
                Some(
                    r#"{"tool_name":"echo","error_type":"-32602","error_body":"b","duration_ms":0}"#,
                ),
                Some(
                    r#"{"tool_name":"echo","error_type":"-32602","error_body":"b","duration_ms":0,"result":{},"failure_kind":"invalid_argument"}"#,
                ),
            ],
        ),
        (
            "tool_call_error",
            call(CallStep::Error {
                failure: Failure::refused(-32001, "rule r: no"),
                result: None,
                duration_ms: None,
            }),
            [Some(r#"{"tool_name":"echo","error_type":"-32001","error_body":"rule r: no"}"#); 3],
        ),
        (
            "annotation",
            Payload::Annotation(Annotation {
                intent: Some("i"),
                expected_outcome: Some("e"),
                what_happened: Some("h"),
                signal_type: Some("dead_end"),
                workflow: Some("w"),
                suggested_improvement: Some("s"),
                context: RawObject::read(br#"{"plan":[1]}"#),
                tool_name: Some("echo"),
            }),
            [
                Some(
                    r#"{"intent":"i","expected_outcome":"e","signal_type":"dead_end","workflow":"w","suggested_improvement":"s","context":{"what_happened":"h","tool":"echo","plan":[1]}}"#,
                ),
                Some(
                    r#"{"intent":"i","expected_outcome":"e","signal_type":"dead_end","workflow":"w","suggested_improvement":"s","context":{"what_happened":"h","plan":[1]},"tool_name":"echo"}"#,
                ),
                Some(
                    r#"{"intent":"i","expected_outcome":"e","what_happened":"h","signal_type":"dead_end","workflow":"w","suggested_improvement":"s","context":{"plan":[1]},"tool_name":"echo"}"#,
                ),
            ],
        ),
        (
            "annotation",
            Payload::Annotation(Annotation { what_happened: Some("h"), ..Annotation::default() }),
            [
                Some(r#"{"signal_type":"other","context":{"what_happened":"h"}}"#),
                Some(r#"{"signal_type":"other","context":{"what_happened":"h"}}"#),
                Some(r#"{"what_happened":"h"}"#),
            ],
        ),
        (
            "annotation",
            Payload::Annotation(Annotation { intent: Some("i"), ..Annotation::default() }),
            [Some(r#"{"intent":"i"}"#); 3],
        ),
        (
            "surface_snapshot",
            Payload::Surface(Surface {
                hash: "sha256:0",
                server_info: RawObject::read(br#"{"name":"x"}"#),
                capabilities: None,
                instructions: Some("i"),
                tools: &[],
                added: Added {
                    tools: &["baton_annotate"],
                    params: Some(AddedParams {
                        names: &["expected_result", "user_goal"],
                        required: &["user_goal"],
                        mode: "required",
                    }),
                    instructions: true,
                },
            }),
            [
                None,
                Some(
                    r#"{"surface_hash":"sha256:0","server_info":{"name":"x"},"instructions":"i","tools":[],"seam_augmentations":{"injected_tools":["baton_annotate"],"intent_param":{"names":["expected_result","user_goal"],"mode":"required"},"instructions_suffix":true}}"#,
                ),
                Some(
                    r#"{"surface_hash":"sha256:0","server_info":{"name":"x"},"instructions":"i","tools":[],"seam_augmentations":{"injected_tools":["baton_annotate"],"intent_param":{"names":["expected_result","user_goal"],"required_names":["user_goal"],"mode":"required"},"instructions_suffix":true}}"#,
                ),
            ],
        ),
    ];
    let lists = [
        (Listed::Tools, ["tool_list_start", "tool_list_end", "tool_list_error"]),
        (Listed::Resources, ["resource_list_start", "resource_list_end", "resource_list_error"]),
        (Listed::Prompts, ["prompt_list_start", "prompt_list_end", "prompt_list_error"]),
    ];
    for (of, [start, end, error]) in lists {
        table.push((start, Payload::List { of, step: ListStep::Start }, newest("{}")));
        let step = ListStep::End { count: 9, duration_ms: Some(1) };
        table.push((end, Payload::List { of, step }, newest(r#"{"count":9,"duration_ms":1}"#)));
        let step = ListStep::Error { failure: failure(), duration_ms: None };
        let said = newest(r#"{"error_type":"-32602","error_body":"b"}"#);
        table.push((error, Payload::List { of, step }, said));
    }
    let read = |step| Payload::Read { uri: "mem://a", step };
    let get = |step| Payload::Prompt { name: "p", step };
    table.extend([
        (
            "resource_read_start",
            read(FetchStep::Start { params: RawObject::read(br#"{"uri":"mem://a"}"#) }),
            newest(r#"{"uri":"mem://a","params":{"uri":"mem://a"}}"#),
        ),
        (
            "resource_read_end",
            read(FetchStep::End { duration_ms: Some(3) }),
            newest(r#"{"uri":"mem://a","duration_ms":3}"#),
        ),
        (
            "resource_read_error",
            read(FetchStep::Error {
                failure: Failure::unanswered(Unanswered::Closed),
                duration_ms: Some(3),
            }),
            newest(
                r#"{"uri":"mem://a","error_type":"proxy_upstream_closed","error_body":"the session ended before the server answered","duration_ms":3}"#,
            ),
        ),
        (
            "prompt_get_start",
            get(FetchStep::Start { params: None }),
            newest(r#"{"name":"p"}"#),
        ),
        (
            "prompt_get_end",
            get(FetchStep::End { duration_ms: None }),
            newest(r#"{"name":"p"}"#),
        ),
        (
            "prompt_get_error",
            get(FetchStep::Error { failure: failure(), duration_ms: Some(0) }),
            newest(r#"{"name":"p","error_type":"-32602","error_body":"b","duration_ms":0}"#),
        ),
    ]);
    table
}

fn newest(payload: &'static str) -> [Option<&'static str>; 3] {
    [None, None, Some(payload)]
}

#[test]
fn every_type_says_what_its_generation_admits() {
    let table = table();
    for (event_type, said, expected) in &table {
        assert_eq!(said.event_type(), *event_type);
        for (wire, expected) in WIRES.into_iter().zip(expected) {
            assert_eq!(payload(wire, said).as_deref(), *expected, "{event_type} in {wire:?}");
        }
    }
    let mut types: Vec<_> = table.iter().map(|(event_type, ..)| event_type).collect();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), 20);
}

#[test]
fn the_envelope_is_that_of_its_generation() {
    let table = [
        (
            Wire::W1,
            r#"{"event_id":"019fedb9-89f5-724a-8e26-e31b08fd3557","event_type":"tool_call_end","session_id":"s-1","sequence_number":0,"captured_at":"2026-11-21T00:32:58.430000Z","tenant_id":"t","consent_token":"c","sdk_version":"thoth/0","agent_runtime":"lab","payload":{"tool_name":"echo","result":1},"runtime_meta":{"progressToken":5}}"#,
        ),
        (
            Wire::W2,
            r#"{"event_id":"019fedb9-89f5-724a-8e26-e31b08fd3557","event_type":"tool_call_end","session_id":"s-1","sequence_number":0,"captured_at":"2026-11-21T00:32:58.430000Z","tenant_id":"t","vendor_id":"v","consent_token":"c","sdk_version":"thoth/0","user_id":"h1:00","agent_runtime":"lab","payload":{"tool_name":"echo","result":1},"runtime_meta":{"progressToken":5}}"#,
        ),
        (
            Wire::W3,
            r#"{"event_id":"019fedb9-89f5-724a-8e26-e31b08fd3557","event_type":"tool_call_end","session_id":"s-1","sequence_number":0,"captured_at":"2026-11-21T00:32:58.430000Z","tenant_id":"t","vendor_id":"v","consent_token":"c","sdk_version":"thoth/0","call_id":"k","principal":{"id":"h1:00","source":"asserted","form":"hashed"},"session_id_origin":"minted","agent_runtime":"lab","payload":{"tool_name":"echo","result":1},"runtime_meta":{"progressToken":5},"client_observed":{"info":{"name":"Lab","version":"2"}}}"#,
        ),
    ];
    for (wire, expected) in table {
        let principal = Principal::new("h1:00", Form::Hashed);
        let mut stream = Stream::new(wire, Origin { principal, ..origin() });
        stream.client(object(r#"{"name":"Lab","version":"2"}"#));
        stream.client(object(r#"{"name":"Other"}"#));
        let end = call(CallStep::End { result: raw("1"), duration_ms: None });
        let said = event(&mut stream, Some(object(r#"{"progressToken":5}"#)), &end).unwrap();
        assert_eq!(said, expected);
    }
}

#[test]
fn what_is_unknown_is_left_out() {
    let end = call(CallStep::End { result: raw("1"), duration_ms: None });
    let said = event(&mut Stream::new(Wire::W3, origin()), Some(object(" { } ")), &end).unwrap();
    for absent in ["null", "runtime_meta", "principal", "client_observed", "duration_ms"] {
        assert!(!said.contains(absent), "{absent} in {said}");
    }
    assert!(said.contains(r#""agent_runtime":"mcp-proxy""#));
}

#[test]
fn a_raw_id_does_not_become_a_pseudonym() {
    let principal = Principal::new("jane@example.com", Form::Raw);
    let mut stream = Stream::new(Wire::W2, Origin { principal, ..origin() });
    let end = call(CallStep::End { result: None, duration_ms: None });
    assert!(!event(&mut stream, None, &end).unwrap().contains("user_id"));

    for bad in ["", "  ", "a\0b"] {
        assert_eq!(Principal::new(bad, Form::Raw), None);
    }
}

#[test]
fn only_what_is_admitted_takes_a_number() {
    let list = Payload::List { of: Listed::Tools, step: ListStep::Start };
    let end = call(CallStep::End { result: None, duration_ms: None });
    for (wire, numbers) in [
        (Wire::W1, [None, Some(0), None, Some(1)]),
        (Wire::W3, [Some(0), Some(1), Some(2), Some(3)]),
    ] {
        let mut stream = Stream::new(wire, origin());
        let said = [&list, &end, &list, &end]
            .map(|payload| stream.draft(stamp(), None, payload).map(|draft| draft.sequence));
        assert_eq!(said, numbers);
        assert_eq!(stream.len(), numbers.iter().flatten().count() as u64);
    }
}

#[test]
fn what_others_sent_cannot_break_out_and_is_made_valid() {
    let result =
        "{\"a\":NaN,\"b\":1e999,\"c\":\"\\ud800\",\"d\":\"x\u{2028}y\",\r\n\"e\":[-Infinity]}";
    let end = call(CallStep::End { result: raw(result), duration_ms: None });
    let said = event(&mut Stream::new(Wire::W3, origin()), None, &end).unwrap();
    let value: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        value["payload"]["result"],
        serde_json::json!({"a": null, "b": null, "c": "\u{fffd}", "d": "x\u{2028}y", "e": [null]})
    );
    assert!(!said.contains(['\n', '\r', '\u{2028}']));
}

#[test]
fn everything_of_others_is_scrubbed_and_nothing_of_ours() {
    let origin = Origin { tenant: "4155551234".to_owned(), ..origin() };
    let mut stream = Stream::new(Wire::W3, origin);
    stream.client(object(r#"{"name":"a@example.com"}"#));
    let meta = object(r#"{"user":"b@example.com","deep":[[{"token":"x"}]]}"#);
    let end = call(CallStep::Error {
        failure: Failure::refused(-32001, "for c@example.com"),
        result: raw(r#"{"d@example.com":"e@example.com"}"#),
        duration_ms: None,
    });
    let draft = stream.draft(stamp(), Some(meta), &end).unwrap();
    let mut counts = Counts::default();
    let event = draft.scrub(&Scrubber::default(), &mut counts);
    assert!(!event.as_str().contains("@example.com"), "{}", event.as_str());
    assert!(event.as_str().contains(r#""tenant_id":"4155551234""#));
    // The client's name is said twice.
    assert_eq!((counts.of("email"), counts.of("field:token")), (6, 1));
}

#[test]
fn a_generation_is_named_in_either_case() {
    for (word, wire) in
        [("w1", Some(Wire::W1)), ("W2", Some(Wire::W2)), ("w3", Some(Wire::W3)), ("3", None)]
    {
        assert_eq!(Wire::parse(word), wire);
    }
}
