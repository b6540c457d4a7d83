//! A session under an operation sequence: no call is forwarded without a decision on record that
//! forwards it, none twice, and the forbidden tool never.
//!
//! Each line of the input is one thing that happens: `>` the client says the rest, `<` the server
//! does, `a` to `e` the enforcer answers the oldest question, `w` a person does, `x` the journal
//! breaks or mends, `.` time passes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::BufMut;
use serde_json::Value;
use thoth::gate::decide::Rules;
use thoth::gate::framing::Framer;
use thoth::gate::record::{Record, Recorder, Ticket};
use thoth::gate::session::{Effect, Input, Session, Settings};
use thoth::gate::verdict::{
    Answer, Arguments, Effect as Verb, Facts, Grounds, Hold, Judge, Verdict,
};

struct Forbids;

impl Judge for Forbids {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        match facts.tool {
            "forbidden" => Verdict::block("no", "no"),
            _ => Verdict::allow(),
        }
    }
}

#[derive(Default)]
struct Paper {
    broken: bool,
    /// How many calls with this id and tool may be forwarded.
    permits: BTreeMap<(String, String), u32>,
}

impl Recorder for Paper {
    fn record(&mut self, record: &Record) -> bool {
        if let (false, Record::Decision(decided)) = (self.broken, record)
            && decided.forwarded
        {
            let key = (decided.id.clone(), decided.tool.clone());
            *self.permits.entry(key).or_default() += 1;
        }
        !self.broken
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let [flags, script @ ..] = bytes else { return };
    let rules = Rules { wait: flags & 1 == 1, ..Rules::default() };
    let settings = Settings { remote: flags & 2 == 2, rules, ..Settings::default() };
    let mut session = Session::new(settings, Some(Box::new(Forbids)));
    #[allow(clippy::disallowed_methods, reason = "the session only compares it")]
    let mut now = Instant::now();
    let mut paper = Paper::default();
    let mut asked: Vec<Ticket> = Vec::new();
    let mut waits: Vec<Ticket> = Vec::new();

    for step in script.split(|byte| *byte == b'\n') {
        let Some((what, rest)) = step.split_first() else { continue };
        let input = match what {
            b'>' => line(rest).map(|line| Input::Client(Ok(line))),
            b'<' => line(rest).map(|line| Input::Server(Ok(line))),
            b'a'..=b'e' if !asked.is_empty() => Some(Input::Asked(asked.remove(0), answer(*what))),
            b'w' if !waits.is_empty() => {
                let verdict = rest.first().copied().unwrap_or(b'a');
                Some(Input::Waited(waits.remove(0), answer(verdict)))
            }
            b'x' => {
                paper.broken = !paper.broken;
                None
            }
            b'.' => {
                now += Duration::from_secs(6);
                session.handle_timeout(now);
                None
            }
            b'c' => Some(Input::ClientClosed),
            b's' => Some(Input::Stop),
            _ => None,
        };
        if let Some(input) = input {
            session.handle(input, now, &mut paper);
        }
        settle(&mut session, &mut paper, &mut asked, &mut waits);
    }
    session.handle(Input::ServerClosed, now, &mut paper);
    settle(&mut session, &mut paper, &mut asked, &mut waits);
}

fn settle(
    session: &mut Session,
    paper: &mut Paper,
    asked: &mut Vec<Ticket>,
    waits: &mut Vec<Ticket>,
) {
    while let Some(effect) = session.poll_effect() {
        match effect {
            Effect::Ask(question) => asked.push(question.ticket),
            Effect::Wait(ticket, _) => waits.push(ticket),
            Effect::ToServer(line) => forwarded(line.as_wire(), paper),
            Effect::ToClient(line) => assert!(line.ends_with(b"\n")),
            Effect::CloseServer
            | Effect::EndServer
            | Effect::Note(_)
            | Effect::Record(_)
            | Effect::Report(_)
            | Effect::Tell(_)
            | Effect::Withdraw(_) => {}
        }
    }
}

fn forwarded(wire: &[u8], paper: &mut Paper) {
    let text = std::str::from_utf8(wire).expect("what is forwarded is UTF-8");
    let value: Value = serde_json::from_str(text).expect("what is forwarded is JSON");
    if value["method"] != "tools/call" {
        return;
    }
    let tool = value["params"]["name"].as_str().expect("a call names its tool");
    assert_ne!(tool, "forbidden", "the forbidden tool was called");
    let id = raw_id(text);
    let left = paper.permits.get_mut(&(id, tool.to_owned())).expect("a decision is on record");
    assert!(*left > 0, "forwarded twice: {text}");
    *left -= 1;
}

/// The id as it was spelled.
fn raw_id(text: &str) -> String {
    let members: BTreeMap<String, &serde_json::value::RawValue> =
        serde_json::from_str(text).expect("an object");
    members["id"].get().to_owned()
}

fn line(bytes: &[u8]) -> Option<thoth::gate::framing::Line> {
    let mut framer = Framer::new(1 << 16);
    framer.space().put_slice(bytes);
    framer.last_line()?.ok()
}

fn answer(which: u8) -> Answer {
    let effect = match which {
        b'a' => Verb::Allow,
        b'b' => Verb::Block,
        b'c' => Verb::StepUp(Some(Hold {
            token: "t".to_owned(),
            approval_url: None,
            expires_at: None,
            timeout: None,
        })),
        b'd' => Verb::Modify(Arguments::parse("{\"new\":1}").expect("an object")),
        _ => return Answer::Silent(Grounds::default()),
    };
    Answer::Said(Verdict { effect, grounds: Grounds::default() })
}
