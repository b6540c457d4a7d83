//! A session under an operation sequence: no call is forwarded without a decision on record that
//! forwards it, none twice, and the forbidden tool never; every beginning that is told has one end,
//! and what thoth adds stays thoth's.
//!
//! The first byte says what kind of session it is; each bit is one switch.
//! Each line of the input is one thing that happens: `>` the client says the rest, `<` the server
//! does, `a` to `f` the enforcer or the desk answers the oldest question, `w` a person does, `r` a report
//! is made, `x` the journal breaks or mends, `.` time passes. In a line of either side, `@0` to `@9` stand
//! for the latest names that thoth has made: of its own requests, of what it asks back, and of states.

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
            "stepped" => Verdict {
                effect: Verb::StepUp(None),
                grounds: Grounds { self_approval: Some(true), ..Grounds::default() },
            },
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
    /// The names that thoth has made, the latest first.
    names: Vec<(MadeFor, String)>,
    /// Whether what is going on began with a line of the server.
    from_server: bool,
}

/// What a name of thoth's own was made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MadeFor {
    Input,
    Request,
    State,
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
        step_up: match (flags & 1 == 1, flags & 16 == 16) {
            (false, false) => StepUp::Return,
            (true, false) => StepUp::Wait,
            (false, true) => StepUp::Elicit,
            (true, true) => StepUp::Auto,
        },
        ..Rules::default()
    };
    let (remote, tells, adds) = (flags & 2 == 2, flags & 4 == 4, flags & 8 == 8);
    let desk = flags & 32 == 32;
    let settings = Settings { remote, desk, tells, rules, ..Settings::default() };
    let mut session = Session::new(settings, Some(Box::new(Forbids))).eliciting([5; 16]);
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
            b'>' => line(&named(rest, &paper)).map(|line| Input::Client(Ok(line))),
            b'<' => line(&named(rest, &paper)).map(|line| Input::Server(Ok(line))),
            b'a'..=b'f' if !asked.is_empty() => Some(Input::Asked(asked.remove(0), answer(*what))),
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
        paper.from_server = *what == b'<';
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
            Effect::ToClient(line) => {
                assert!(line.ends_with(b"\n"));
                remember(&line, paper);
            }
            Effect::Hold(stepped_up) => asked.push(stepped_up.question.ticket),
            Effect::CloseServer
            | Effect::EndServer
            | Effect::Note(_)
            | Effect::Record(_)
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
    own(text, paper);
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

/// Nothing of thoth's own goes to the server, used as what it was made for.
fn own(text: &str, paper: &Paper) {
    let value: Value = serde_json::from_str(text).expect("what is forwarded is JSON");
    for (made_for, name) in &paper.names {
        let is_said = |part: &Value| part.as_str().is_some_and(|text| text == name);
        match made_for {
            MadeFor::Request => {
                assert!(!is_said(&value["id"]) || value["method"].is_string(), "{text}");
            }
            _ if value["method"] != "tools/call" => {}
            MadeFor::State => assert!(!is_said(&value["params"]["requestState"]), "{text}"),
            MadeFor::Input => {
                assert_eq!(value["params"]["inputResponses"].get(name), None, "{text}");
            }
        }
    }
}

/// The names that thoth has made in a line to the client.
fn remember(line: &[u8], paper: &mut Paper) {
    let is_servers = paper.from_server;
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return };
    let asks = &value["result"]["inputRequests"];
    let keys = asks.as_object().into_iter().flat_map(|asks| asks.keys().cloned());
    let text = |part: &Value| part.as_str().map(str::to_owned);
    let made = keys
        .map(|key| (MadeFor::Input, key))
        .chain(text(&value["result"]["requestState"]).map(|state| (MadeFor::State, state)))
        .chain(text(&value["id"]).map(|id| (MadeFor::Request, id)));
    for made in made {
        // What the server has made up that looks like one is its own.
        if made.1.starts_with("thoth-ask-") && !is_servers && !paper.names.contains(&made) {
            paper.names.insert(0, made);
        }
    }
    paper.names.truncate(64);
}

/// The line with the names it stands for.
fn named(line: &[u8], paper: &Paper) -> Vec<u8> {
    let mut named = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let which = tail.first().filter(|digit| *first == b'@' && digit.is_ascii_digit());
        match which.and_then(|digit| paper.names.get(usize::from(digit - b'0'))) {
            Some((_, name)) => {
                named.extend_from_slice(name.as_bytes());
                rest = &tail[1..];
            }
            None => named.push(*first),
        }
    }
    named
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
        b'f' => {
            let hold = Hold {
                token: "t".to_owned(),
                approval_url: Some("https://thoth.example/a".to_owned()),
                expires_at: None,
                timeout: None,
                keeper: Keeper::Sidecar,
            };
            let grounds = Grounds { self_approval: Some(true), ..Grounds::default() };
            return Answer::Said(Verdict { effect: Verb::StepUp(Some(hold)), grounds });
        }
        _ => return Answer::Silent(Grounds::default()),
    };
    Answer::Said(Verdict { effect, grounds: Grounds::default() })
}
