//! Replays what others found: the adversarial corpus of the peers suite, and the fuzz corpora.
//!
//! No fuzzer, no Node and no Python is needed here; `tests/peers` sends the same cases to real
//! servers, and `tests/fuzz` looks for new ones.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]
#![expect(clippy::expect_used, reason = "a test says what broke by panicking")]

#[path = "fuzz/harness/approval.rs"]
mod approval;
#[path = "fuzz/harness/documents.rs"]
mod documents;
#[path = "fuzz/harness/framing.rs"]
mod framing;
#[path = "fuzz/harness/message.rs"]
mod message;
#[path = "fuzz/harness/policy.rs"]
mod policy;
#[path = "fuzz/harness/scrub.rs"]
mod scrub;
#[path = "fuzz/harness/session.rs"]
mod session;
#[path = "fuzz/harness/sse.rs"]
mod sse;

use std::fs;
use std::path::Path;
use std::time::Instant;

use bytes::BufMut;
use serde_json::Value;
use thoth::gate::framing::Framer;
use thoth::gate::message::client;
use thoth::gate::record::{Record, Recorder};
use thoth::gate::session::{Effect, Input, Session, Settings};
use thoth::gate::verdict::{Facts, Judge, Verdict};

/// What the corpus means by oversized: a longer line than this, in bytes.
const LIMIT: usize = 1024 * 1024;

/// Allows the tool `allowed` and blocks every other.
struct OnlyAllowed;

impl Judge for OnlyAllowed {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        match facts.tool {
            "allowed" => Verdict::allow(),
            _ => Verdict::block("not_allowed", "this tool is not allowed"),
        }
    }
}

struct Blank;

impl Recorder for Blank {
    fn record(&mut self, _: &Record) -> bool {
        true
    }
}

#[test]
fn each_adversarial_line_is_taken_for_what_it_is() {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut framer = Framer::new(LIMIT);
        for write in &case.writes {
            framer.space().put_slice(write);
        }
        let mut readings = case.lines.iter();
        while let Some(line) = framer.last_line() {
            let said = match line.map(client::read) {
                Ok(Ok(client::Message::Call(_))) => "call",
                // Whether an answer passes or is dropped is not a matter of its line alone.
                Ok(Ok(client::Message::Answer(..))) => "either",
                Ok(Ok(_)) => "passes",
                Ok(Err(_)) | Err(_) => "refused",
            };
            let expected =
                readings.next().unwrap_or_else(|| panic!("{}: one line too many", case.name));
            let alike = said == expected
                || expected == "either"
                || (said == "either" && matches!(expected.as_str(), "passes" | "dropped"))
                // An unreadable answer does not pass either way; this one is told so.
                || (said == "refused" && expected == "dropped");
            if !alike {
                wrong.push(format!("{}: {said}, but {expected} is right", case.name));
            }
        }
        assert_eq!(readings.next(), None, "{}: a line is missing", case.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_adversarial_line_calls_the_forbidden_tool_and_each_allowed_one_gets_through() {
    let mut wrong = Vec::new();
    for case in cases() {
        let calls = forwarded_calls(&case.writes);
        assert!(
            calls.iter().all(|call| call["params"]["name"] == "allowed"),
            "{}: {calls:?}",
            case.name
        );
        let sent = || serde_json::from_slice::<Value>(&case.arguments).unwrap();
        match &calls[..] {
            _ if case.expect == "refuse" => {}
            [call] if case.expect == "allow" => {
                let none = || Value::Object(serde_json::Map::default());
                let arguments = call["params"].get("arguments").cloned().unwrap_or_else(none);
                assert_eq!(arguments, sent(), "{}", case.name);
            }
            calls => wrong.push(format!("{}: {} calls", case.name, calls.len())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_fuzz_corpora_hold() {
    for (name, check) in [
        ("approval", approval::check as fn(&[u8])),
        ("documents", documents::check),
        ("framing", framing::check),
        ("message", message::check),
        ("policy", policy::check),
        ("scrub", scrub::check),
        ("session", session::check),
        ("sse", sse::check),
    ] {
        let folder = Path::new("tests/fuzz/corpus").join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            check(&fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{}: no inputs", folder.display());
    }
}

#[test]
fn what_holds_for_any_rule_file_holds_for_the_packs() {
    let packs = fs::read_dir("policies").unwrap().map(|entry| entry.unwrap().path());
    assert!(packs.map(|path| policy::check(&fs::read(path).unwrap())).count() >= 5);
}

/// The calls that a session would write to the server, parsed.
#[expect(clippy::disallowed_methods, reason = "the session only compares it")]
fn forwarded_calls(writes: &[Vec<u8>]) -> Vec<Value> {
    let mut session = Session::new(Settings::default(), Some(Box::new(OnlyAllowed)));
    let (now, mut framer, mut calls) = (Instant::now(), Framer::new(LIMIT), Vec::new());
    for write in writes {
        framer.space().put_slice(write);
    }
    while let Some(line) = framer.last_line() {
        session.handle(Input::Client(line), now, &mut Blank);
        while let Some(effect) = session.poll_effect() {
            let Effect::ToServer(line) = effect else { continue };
            let message: Value = serde_json::from_slice(line.as_wire()).unwrap_or_default();
            if message["method"] == "tools/call" {
                calls.push(message);
            }
        }
    }
    calls
}

/// One sequence of bytes, and what must come of it; `tests/peers/README.md` describes the file.
struct Case {
    name: String,
    expect: String,
    writes: Vec<Vec<u8>>,
    lines: Vec<String>,
    arguments: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string("tests/peers/adversarial/cases.json").unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(entries.len() > 100, "{} cases", entries.len());
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().unwrap().clone();
    entries
        .iter()
        .map(|entry| Case {
            name: word(&entry["name"]),
            expect: word(&entry["expect"]),
            writes: list(&entry["writes"]).iter().map(octets).collect(),
            lines: list(&entry["lines"]).iter().map(word).collect(),
            arguments: entry.get("arguments").map(octets).unwrap_or_default(),
        })
        .collect()
}

/// The bytes of a string whose every character is one byte, or of a list of such parts.
fn octets(written: &Value) -> Vec<u8> {
    match written {
        Value::String(text) => {
            text.chars().map(|each| u8::try_from(u32::from(each)).unwrap()).collect()
        }
        Value::Array(parts) => parts.iter().flat_map(octets).collect(),
        part @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            let times = usize::try_from(part["times"].as_u64().unwrap()).unwrap();
            match part.get("repeat") {
                Some(repeated) => octets(repeated).repeat(times),
                None => numbered(&octets(&part["each"]), times),
            }
        }
    }
}

/// The same bytes again and again, each `#` replaced by the number of the time.
fn numbered(each: &[u8], times: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for number in 0..times {
        for byte in each {
            match byte {
                b'#' => all.extend_from_slice(number.to_string().as_bytes()),
                other => all.push(*other),
            }
        }
    }
    all
}
