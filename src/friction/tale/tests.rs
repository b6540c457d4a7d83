//! Stories, told whole.

mod any;
mod offers;
mod requests;
mod shape;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::friction::event::{Origin, Wire};
use crate::friction::scrub::{Counts, Scrubber};

/// A story as it is told, and the events so far.
struct Story {
    wire: Wire,
    tale: Tale,
    millis: u64,
    random: u128,
    events: Vec<Value>,
}

// === impl Story ===

impl Story {
    fn new(wire: Wire, additions: Option<Additions>) -> Self {
        let origin = Origin {
            session: "s".to_owned(),
            session_minted: true,
            tenant: "t".to_owned(),
            vendor: "v".to_owned(),
            consent: "c".to_owned(),
            software: "thoth/0".to_owned(),
            principal: None,
        };
        let tale = Tale::new(Stream::new(wire, origin), additions);
        Self { wire, tale, millis: 0, random: 0, events: Vec::new() }
    }

    /// Tells one happening, so many milliseconds after the one before; the new events.
    fn tell(&mut self, after: u64, happening: &Happening) -> Vec<Value> {
        let moment = self.moment(after);
        let random = &mut self.random;
        let drafts = self.tale.tell(happening, moment, &mut || {
            *random += 1;
            *random
        });
        self.take(drafts)
    }

    fn end(&mut self, after: u64) -> Vec<Value> {
        let moment = self.moment(after);
        let drafts = self.tale.end(moment, &mut || 0);
        self.take(drafts)
    }

    fn moment(&mut self, after: u64) -> Moment {
        self.millis += after;
        Moment {
            at: Timestamp::from_millisecond(
                1_800_000_000_000 + i64::try_from(self.millis).unwrap(),
            )
            .unwrap(),
            since_start: Duration::from_micros(self.millis * 1000 + 999),
        }
    }

    fn take(&mut self, drafts: Vec<Draft>) -> Vec<Value> {
        let events: Vec<Value> = drafts
            .into_iter()
            .map(|draft| draft.scrub(&Scrubber::default(), &mut Counts::default()))
            .map(|event| serde_json::from_str(event.as_str()).unwrap())
            .collect();
        for event in &events {
            shape::check(event, self.wire);
        }
        self.events.extend(events.iter().cloned());
        events
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn made(ticket: u64, tool: &str) -> Happening {
    Happening::CallMade(CallMade {
        ticket: Ticket(ticket),
        tool: tool.into(),
        arguments: bytes(r#"{"a":1}"#),
        said: None,
        meta: None,
    })
}

fn ended(ticket: u64, end: Ended) -> Happening {
    Happening::CallEnded(Ticket(ticket), end)
}

fn result(text: &str) -> Ended {
    Ended::Result { is_error: false, result: bytes(text) }
}

fn refused(code: i64, reason_code: Option<&str>) -> Ended {
    let message = "rule `r` blocks it".to_owned();
    Ended::Refused { code, message, reason_code: reason_code.map(str::to_owned) }
}

fn asked(number: u64, method: Method, params: &str) -> Happening {
    Happening::RequestMade { number, method, params: bytes(params) }
}

fn answered(number: u64, end: Ended, added: usize) -> Happening {
    Happening::RequestEnded { number, end, added }
}

/// An event without what the envelope says in all of them.
fn brief(event: &Value) -> Value {
    json!([event["event_type"], event["call_id"], event["payload"]])
}

fn briefs(events: &[Value]) -> Vec<Value> {
    events.iter().map(brief).collect()
}

#[test]
fn a_call_is_its_start_and_its_end() {
    let mut story = Story::new(Wire::W3, None);
    let start = story.tell(5, &made(1, "echo"));
    let end = story.tell(7, &ended(1, result(r#"{"content":[]}"#)));
    assert_eq!(
        briefs(&[start, end].concat()),
        [
            json!(["tool_call_start", "s-1", {"tool_name": "echo", "params": {"a": 1}}]),
            json!(["tool_call_end", "s-1",
                {"tool_name": "echo", "result": {"content": []}, "duration_ms": 7}]),
        ]
    );
    assert!(story.end(1).is_empty());
}

#[test]
fn every_way_to_end_is_told() {
    let error = || bytes(r#"{"code":-32602,"message":"Unknown tool: t"}"#);
    let failed = |error_type: &str, body: &str| json!({"tool_name": "t", "error_type": error_type, "error_body": body, "duration_ms": 3});
    let with = |mut payload: Value, name: &str, value: Value| {
        payload[name] = value;
        payload
    };
    let tool_error = bytes(r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#);
    let table = [
        (
            Ended::Error { code: Some(-32602), error: error() },
            with(failed("-32602", "Unknown tool: t"), "failure_kind", json!("unknown_tool")),
        ),
        (
            Ended::Result { is_error: true, result: tool_error },
            with(
                failed("tool_error", "no"),
                "result",
                json!({"content": [{"type": "text", "text": "no"}], "isError": true}),
            ),
        ),
        // What waited too long went without its text.
        (Ended::Result { is_error: true, result: Bytes::new() }, failed("tool_error", "")),
        (
            Ended::Cancelled,
            failed(
                "proxy_client_cancelled",
                "the client cancelled the request before it was answered",
            ),
        ),
        (refused(-32001, Some("rule_blocked")), failed("-32001", "rule `r` blocks it")),
        (
            refused(-32600, Some("id_in_use")),
            failed("proxy_request_id_reused", "the id belongs to a request that is still open"),
        ),
        (
            refused(-32600, Some("bad_id")),
            failed(
                "proxy_request_id_invalid",
                "the request's id is not one that can be forwarded: a string, or a whole number",
            ),
        ),
        (
            refused(-32600, Some("call_without_id")),
            failed(
                "proxy_request_id_invalid",
                "the request's id is not one that can be forwarded: a string, or a whole number",
            ),
        ),
        (refused(-32603, None), failed("-32603", "rule `r` blocks it")),
        (
            Ended::Unanswered,
            failed("proxy_upstream_closed", "the session ended before the server answered"),
        ),
    ];
    for (end, payload) in table {
        let mut story = Story::new(Wire::W3, None);
        story.tell(0, &made(1, "t"));
        let told = story.tell(3, &ended(1, end));
        assert_eq!(briefs(&told), [json!(["tool_call_error", "s-1", payload])]);
        assert!(story.tell(0, &ended(1, Ended::Cancelled)).is_empty(), "it ended before");
    }
}

#[test]
fn a_result_without_its_text_is_an_end_that_says_so() {
    let mut story = Story::new(Wire::W3, None);
    story.tell(0, &made(1, "t"));
    let told = story.tell(0, &ended(1, result("")));
    let payload = json!({"tool_name": "t", "result_capture": "off", "duration_ms": 0});
    assert_eq!(briefs(&told), [json!(["tool_call_end", "s-1", payload])]);
}

#[test]
fn what_is_open_is_closed_at_the_end_in_its_order() {
    let mut story = Story::new(Wire::W3, None);
    for ticket in 1..=300 {
        story.tell(0, &made(ticket, "t"));
    }
    story.tell(0, &ended(7, result("{}")));
    let closed = story.end(2);
    assert_eq!(closed.len(), 299);
    assert!(closed.iter().all(|event| event["payload"]["error_type"] == "proxy_upstream_closed"));
    let sequence: Vec<_> = story.events.iter().map(|event| &event["sequence_number"]).collect();
    assert!(sequence.iter().enumerate().all(|(nth, number)| **number == nth));
    assert!(story.end(0).is_empty());
}

#[test]
fn an_end_whose_beginning_was_lost_is_not_told() {
    let mut story = Story::new(Wire::W3, None);
    assert!(story.tell(0, &ended(1, result("{}"))).is_empty());
    story.tell(0, &made(1, "t"));
    assert!(story.tell(0, &made(1, "again")).is_empty(), "one call, one beginning");
    assert_eq!(story.tell(0, &ended(1, result("{}"))).len(), 1);
}

#[test]
fn what_was_said_with_a_call_is_told_at_its_start() {
    let table = [
        (
            r#"{"user_goal":"g","expected_result":"e","overall_task":"w"}"#,
            json!({"call_intent": "g", "call_expected": "e", "call_workflow": "w",
                "intent_source": "injected_param"}),
        ),
        (r#"{"overall_task":"w"}"#, json!({"call_workflow": "w"})),
        (r#"{"user_goal":[1],"expected_result":" "}"#, json!({})),
        ("{", json!({})),
    ];
    for (said, members) in table {
        let mut story = Story::new(Wire::W3, None);
        let Happening::CallMade(call) = made(1, "t") else { unreachable!("it is one") };
        let call = CallMade { said: Some(bytes(said)), ..call };
        let mut told = story.tell(0, &Happening::CallMade(call));
        let payload = told[0]["payload"].as_object_mut().unwrap();
        payload.remove("tool_name");
        payload.remove("params");
        assert_eq!(Value::Object(payload.clone()), members, "{said}");
    }
}

#[test]
fn both_ends_of_a_call_carry_its_meta_unless_it_is_very_long() {
    for (length, kept) in [(10, true), (LONGEST_META, false)] {
        let mut story = Story::new(Wire::W3, None);
        let meta = json!({"claudecode/toolUseId": "x".repeat(length)});
        let Happening::CallMade(call) = made(1, "t") else { unreachable!("it is one") };
        let call = CallMade { meta: Some(bytes(&meta.to_string())), ..call };
        let start = story.tell(0, &Happening::CallMade(call)).remove(0);
        let end = story.tell(0, &ended(1, result("{}"))).remove(0);
        assert_eq!(
            (&start["runtime_meta"], &start["agent_runtime"]),
            (&meta, &json!("claude-code"))
        );
        assert_eq!(end["runtime_meta"] == meta, kept);
        assert_eq!(end["agent_runtime"] == "claude-code", kept);
    }
}

#[test]
fn a_note_is_one_annotation() {
    let mut story = Story::new(Wire::W3, None);
    let noted = |arguments: &str| Happening::Noted {
        arguments: bytes(arguments),
        meta: Some(bytes(r#"{"k":1}"#)),
    };
    let told = story.tell(0, &noted(r#"{"user_goal":"g","what_happened":"h","tool_name":"none"}"#));
    let payload = json!({"intent": "g", "what_happened": "h", "tool_name": "none"});
    assert_eq!(briefs(&told), [json!(["annotation", null, payload])]);
    assert_eq!(told[0]["runtime_meta"], json!({"k": 1}));
    assert!(story.tell(0, &noted("[]")).is_empty());
}
