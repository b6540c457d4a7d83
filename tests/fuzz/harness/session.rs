//! A session under an operation sequence: no call is forwarded without a decision on record that
//! forwards it, none twice, and the forbidden tool never; every beginning that is told has one end,
//! and what thoth adds stays thoth's.
//!
//! The first byte says what kind of session it is; each bit is one switch.
//! Each line of the input is one thing that happens: `>` the client says the rest, `<` the server
//! does, `a` to `e` the enforcer answers the oldest question, `w` a person does, `r` a report is made,
//! `x` the journal breaks or mends, `.` time passes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::BufMut;
use serde_json::Value;
use thoth::gate::decide::{Rules, StepUp};
use thoth::gate::extras::{Called, Extras, Listed, Own};
use thoth::gate::framing::Framer;
use thoth::gate::happening::Happening;
use thoth::gate::record::{Record, Recorder, Ticket};
use thoth::gate::session::{Effect, Input, Session, Settings};
use thoth::gate::verdict::{
    Answer, Arguments, Effect as Verb, Facts, Grounds, Hold, Judge, Keeper, Verdict,
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

/// Adds the tool `own` to lists and takes the member `added` out of all calls.
struct Adds;

impl Extras for Adds {
    fn greeted(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        Some(b"{\"added\":1}".to_vec())
    }

    fn listed(&mut self, _: &[u8], first: bool) -> Option<Listed> {
        let result = b"{\"tools\":[{\"name\":\"own\"}]}".to_vec();
        first.then_some(Listed { result, added: 1 })
    }

    fn called(&self, tool: &str, arguments: &[u8]) -> Called {
        let mut own: serde_json::Map<String, Value> =
            serde_json::from_slice(arguments).expect("the arguments are an object");
        if tool == "own" {
            return Called::Own(match own.len() {
                0 => Own::Report,
                1 => Own::Noted("thank you".to_owned()),
                _ => Own::Refused("no".to_owned()),
            });
        }
        match own.remove("added") {
            None => Called::Nothing,
            Some(said) => Called::Arguments {
                own: Value::Object(own).to_string().into_bytes(),
                said: said.to_string().into_bytes(),
            },
        }
    }
}

/// What is going on in a session, as it was told.
#[derive(Default)]
struct Story {
    calls: BTreeSet<u64>,
    requests: BTreeSet<u64>,
}

#[derive(Default)]
struct Paper {
    broken: bool,
    /// How many calls with this id and tool may be forwarded.
    permits: BTreeMap<(String, String), u32>,
    story: Story,
    /// Whether the session adds anything.
    adds: bool,
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

    fn happened(&mut self, happening: Happening) {
        let Story { calls, requests } = &mut self.story;
        match happening {
            Happening::CallMade(made) => assert!(calls.insert(made.ticket.0), "begun twice"),
            Happening::CallEnded(ticket, _) => assert!(calls.remove(&ticket.0), "ended unbegun"),
            Happening::RequestMade { number, .. } => {
                assert!(requests.insert(number), "begun twice");
            }
            Happening::RequestEnded { number, .. } => {
                assert!(requests.remove(&number), "ended unbegun");
            }
            Happening::Noted { .. } => {}
        }
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let [flags, script @ ..] = bytes else { return };
    let rules = Rules {
        step_up: if flags & 1 == 1 { StepUp::Wait } else { StepUp::Return },
        ..Rules::default()
    };
    let (remote, tells, adds) = (flags & 2 == 2, flags & 4 == 4, flags & 8 == 8);
    let settings = Settings { remote, tells, rules, ..Settings::default() };
    let mut session = Session::new(settings, Some(Box::new(Forbids)));
    if adds {
        session = session.adding(Box::new(Adds));
    }
    #[allow(clippy::disallowed_methods, reason = "the session only compares it")]
    let mut now = Instant::now();
    let mut paper = Paper { adds, ..Paper::default() };
    let mut asked: Vec<Ticket> = Vec::new();
    let mut waits: Vec<Ticket> = Vec::new();
    let mut reports: Vec<Ticket> = Vec::new();

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
            b'r' if !reports.is_empty() => {
                Some(Input::Reported(reports.remove(0), "so far".to_owned()))
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
        settle(&mut session, &mut paper, &mut asked, &mut waits, &mut reports);
    }
    session.handle(Input::ServerClosed, now, &mut paper);
    settle(&mut session, &mut paper, &mut asked, &mut waits, &mut reports);
    assert!(paper.story.calls.is_empty() && paper.story.requests.is_empty(), "never ended");
}

fn settle(
    session: &mut Session,
    paper: &mut Paper,
    asked: &mut Vec<Ticket>,
    waits: &mut Vec<Ticket>,
    reports: &mut Vec<Ticket>,
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
            | Effect::Hold(_)
            | Effect::Release(_)
            | Effect::Reply(..)
            | Effect::Withdraw(_) => {}
            Effect::Report(ticket) => reports.push(ticket),
            Effect::Tell(happening) => paper.happened(*happening),
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
    if paper.adds {
        assert_ne!(tool, "own", "an own tool was called");
        let added = value["params"]["arguments"].get("added");
        assert_eq!(added, None, "what was added was sent");
    }
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
            keeper: Keeper::Enforcer,
        })),
        b'd' => Verb::Modify(Arguments::parse("{\"new\":1}").expect("an object")),
        _ => return Answer::Silent(Grounds::default()),
    };
    Answer::Said(Verdict { effect, grounds: Grounds::default() })
}
