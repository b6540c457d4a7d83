//! Whatever happens, and whatever a client or a server sends.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::friction::inject::Mode;
use crate::friction::inject::words::Words;

/// One thing that happens, or should have been told.
#[derive(Clone, Debug)]
enum Step {
    Call {
        arguments: Vec<u8>,
        said: Option<Vec<u8>>,
        meta: Option<Vec<u8>>,
        is_lost: bool,
    },
    Request {
        method: Method,
        params: Vec<u8>,
        is_lost: bool,
    },
    /// The end of one of the last four; of a call, or of a request.
    End {
        back: u64,
        of_call: bool,
        end: Ended,
    },
    Note {
        arguments: Vec<u8>,
        meta: Option<Vec<u8>>,
    },
}

/// Names that some reader of these texts looks for.
const NAMES: [&str; 24] = [
    "_meta",
    "arguments",
    "capabilities",
    "clientInfo",
    "code",
    "content",
    "context",
    "cursor",
    "instructions",
    "io.modelcontextprotocol/clientInfo",
    "isError",
    "message",
    "name",
    "nextCursor",
    "prompts",
    "resources",
    "serverInfo",
    "text",
    "token",
    "tools",
    "uri",
    "user_goal",
    "version",
    "what_happened",
];

const LEAVES: [&[u8]; 17] = [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"4155551234123456789012345678901234567890",
    b"0.1e-400",
    b"null",
    b"true",
    b"\"\"",
    b"\"2\"",
    b"\"\\ud800\"",
    b"\"\\ud83d\\ude00\"",
    b"\"\xff\xfe\"",
    b"\"\xed\xa0\x80\"",
    b"\"a\xe2\x80\xa8b\"",
    b"\"a@example.com\"",
    b"\"{\\\"password\\\":\\\"x\\\"}\"",
];

/// The text of a value as some server sends it.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        6 => prop::sample::select(&LEAVES[..]).prop_map(<[u8]>::to_vec),
        1 => (1..3000_usize).prop_map(|deep| [vec![b'['; deep], vec![b']'; deep]].concat()),
        1 => any::<String>().prop_map(|text| serde_json::to_vec(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let member = (prop::sample::select(&NAMES[..]), inner.clone())
            .prop_map(|(name, value)| [format!("\"{name}\": ").as_bytes(), &value].concat());
        prop_oneof![
            vec(inner, 0..4).prop_map(|all| [b"[", &all.join(&b","[..])[..], b"]"].concat()),
            vec(member, 0..5).prop_map(|all| [b"{", &all.join(&b" ,"[..])[..], b"}"].concat()),
        ]
    })
}

/// Such a text, or none at all.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => value(), 1 => vec(any::<u8>(), 0..20)]
}

/// An answer that some reader of answers looks into.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(&["tools", "content", "resources", "serverInfo"][..]);
    let cursor = prop::sample::select(&["null", "\"2\"", "\"\""][..]);
    let listed = (name, vec(value(), 0..3), cursor).prop_map(|(name, all, cursor)| {
        let all = all.join(&b","[..]);
        let (start, end) = (format!("{{\"{name}\":["), format!("],\"nextCursor\":{cursor}}}"));
        [start.as_bytes(), &all, end.as_bytes()].concat()
    });
    prop_oneof![listed, text()]
}

fn end() -> impl Strategy<Value = Ended> {
    prop_oneof![
        4 => (any::<bool>(), answer())
            .prop_map(|(is_error, result)| Ended::Result { is_error, result: result.into() }),
        2 => (any::<Option<i64>>(), text())
            .prop_map(|(code, error)| Ended::Error { code, error: error.into() }),
        1 => any::<(i64, String, Option<String>)>().prop_map(|(code, message, reason_code)| {
            Ended::Refused { code, message, reason_code }
        }),
        1 => Just(Ended::Cancelled),
        1 => Just(Ended::Unanswered),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let methods = [
        Method::Discover,
        Method::GetPrompt,
        Method::Initialize,
        Method::Listen,
        Method::ListPrompts,
        Method::ListResources,
        Method::ListTools { first: true },
        Method::Other,
        Method::ReadResource,
    ];
    let meta = || prop::option::of(text());
    let is_lost = || prop::bool::weighted(0.1);
    prop_oneof![
        2 => (text(), prop::option::of(text()), meta(), is_lost()).prop_map(
            |(arguments, said, meta, is_lost)| Step::Call { arguments, said, meta, is_lost }
        ),
        3 => (prop::sample::select(methods.to_vec()), text(), is_lost())
            .prop_map(|(method, params, is_lost)| Step::Request { method, params, is_lost }),
        6 => (0..4_u64, any::<bool>(), end()).prop_map(|(back, of_call, end)| Step::End {
            back,
            of_call,
            end
        }),
        1 => (text(), meta()).prop_map(|(arguments, meta)| Step::Note { arguments, meta }),
    ]
}

/// The happenings of some steps; calls and requests are numbered in their order.
fn happenings(steps: Vec<Step>) -> Vec<Happening> {
    let (mut calls, mut requests) = (0, 0);
    let mut told = Vec::new();
    for step in steps {
        match step {
            Step::Call { arguments, said, meta, is_lost } => {
                calls += 1;
                let call = CallMade {
                    ticket: Ticket(calls),
                    tool: "t".into(),
                    arguments: arguments.into(),
                    said: said.map(Into::into),
                    meta: meta.map(Into::into),
                };
                told.extend((!is_lost).then_some(Happening::CallMade(call)));
            }
            Step::Request { method, params, is_lost } => {
                requests += 1;
                let params = params.into();
                let request = Happening::RequestMade { number: requests, method, params };
                told.extend((!is_lost).then_some(request));
            }
            Step::End { back, of_call: true, end } => {
                told.push(Happening::CallEnded(Ticket(calls.saturating_sub(back)), end));
            }
            Step::End { back, of_call: false, end } => {
                told.push(answered(requests.saturating_sub(back), end, 1));
            }
            Step::Note { arguments, meta } => told
                .push(Happening::Noted { arguments: arguments.into(), meta: meta.map(Into::into) }),
        }
    }
    told
}

proptest! {
    /// That each is valid JSON of its type's shape is checked wherever events are told here.
    #[test]
    fn whatever_happens_is_told_in_order_and_every_beginning_has_one_end(
        steps in vec(step(), 0..32),
        wire in prop::sample::select(vec![Wire::W1, Wire::W2, Wire::W3]),
        is_added in any::<bool>(),
    ) {
        let additions = Additions {
            words: Words::default(),
            mode: Mode::Required,
            proactive: false,
            report: true,
        };
        let mut story = Story::new(wire, is_added.then_some(additions));
        for happening in happenings(steps) {
            story.tell(1, &happening);
        }
        story.end(1);
        prop_assert!(story.end(1).is_empty());

        let numbers = story.events.iter().map(|event| event["sequence_number"].as_u64().unwrap());
        prop_assert!(numbers.eq(0..story.events.len() as u64));
        let mut ids: Vec<_> =
            story.events.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
        let count = ids.len();
        prop_assert!(ids.is_sorted());
        ids.dedup();
        prop_assert_eq!(ids.len(), count);

        let mut open: BTreeMap<String, i32> = BTreeMap::new();
        for event in &story.events {
            let kind = event["event_type"].as_str().unwrap();
            let call = event["call_id"].as_str().unwrap_or_default();
            if let Some((kind, step)) = kind.rsplit_once('_').filter(|_| kind != "surface_snapshot") {
                let open = open.entry(format!("{kind} {call}")).or_default();
                *open += if step == "start" { 1 } else { -1 };
                prop_assert!(*open >= 0, "an end before its beginning");
                prop_assert!(call.is_empty() || *open <= 1, "a call that began twice");
            }
        }
        prop_assert!(open.values().all(|open| *open == 0), "{:?}", open);
    }
}
