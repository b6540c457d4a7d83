//! Makes calls and requests of the events that begin and end them.
//!
//! The two events of a call are told by its id; where a stream has none, by what the client calls it
//! (`claudecode/toolUseId`); else by the tool, the first that began being the first that ended. A
//! beginning without an end stays open. An end without a beginning, which a rotated file leaves, is a
//! call whose arguments are not known.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::detect::End;
use super::line::{CallEnd, CallStart, Ending, Subject, Told, What};
use super::session::{Call, Request, Session, since};

/// What is open: places in the lists of calls and requests.
#[derive(Default)]
struct Open {
    /// By id and tool: an id that two tools share is not one call's.
    keyed: HashMap<(String, String), usize>,
    by_tool: HashMap<String, VecDeque<usize>>,
    requests: BTreeMap<Subject, VecDeque<usize>>,
}

/// Fills in what the events tell, in the order of their numbers.
pub(super) fn tell(session: &mut Session, events: Vec<Told>) {
    let mut open = Open::default();
    let mut surfaces = HashSet::new();
    let began = session.window.map(|(first, _)| first);
    for event in events {
        session.label(event.labels);
        let moment = Moment { sequence: event.sequence, at: event.at, began };
        match event.what {
            What::CallStart(start) => open.start(&mut session.calls, moment, event.key, start),
            What::CallEnd(end) => open.end(&mut session.calls, moment, event.key, end),
            What::RequestStart(subject) => open.ask(&mut session.requests, moment, subject),
            What::RequestEnd(subject, ending) => {
                open.answer(&mut session.requests, moment, subject, ending);
            }
            What::Annotation(mut annotation) => {
                annotation.sequence = event.sequence;
                annotation.at = event.at;
                session.annotations.push(*annotation);
            }
            What::Surface(surface) => {
                surfaces.insert(surface.hash.clone());
                session.surface = Some(surface);
            }
            What::Other => {}
        }
    }
    session.surfaces = surfaces.len();
}

/// Where in the session an event stands.
#[derive(Clone, Copy)]
struct Moment {
    sequence: u64,
    at: Option<Timestamp>,
    began: Option<Timestamp>,
}

// === impl Moment ===

impl Moment {
    fn ms(self) -> u64 {
        self.at.zip(self.began).map_or(0, |(at, began)| since(began, at))
    }

    /// The moment that is so much earlier.
    fn before(self, ms: Option<u64>) -> Self {
        let back =
            SignedDuration::from_millis(ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0));
        let at = self.at.map(|at| at.checked_sub(back).unwrap_or(at));
        Self { at: at.zip(self.began).map(|(at, began)| at.max(began)), ..self }
    }
}

// === impl Open ===

impl Open {
    fn start(&mut self, calls: &mut Vec<Call>, at: Moment, key: Option<String>, start: CallStart) {
        let place = calls.len();
        match key.clone() {
            Some(key) => drop(self.keyed.insert((key, start.tool.clone()), place)),
            None => self.by_tool.entry(start.tool.clone()).or_default().push_back(place),
        }
        let mut call = Call::unknown(at, key, start.tool);
        call.arguments = Some(start.arguments);
        call.params = Some(start.params);
        call.intent = start.intent;
        call.expected = start.expected;
        calls.push(call);
    }

    fn end(&mut self, calls: &mut Vec<Call>, at: Moment, key: Option<String>, end: CallEnd) {
        let CallEnd { tool, ending } = end;
        let place = match key.clone() {
            Some(key) => self.keyed.remove(&(key, tool.clone())),
            None => self.by_tool.get_mut(&tool).and_then(VecDeque::pop_front),
        };
        let place = place.unwrap_or_else(|| {
            calls.push(Call::unknown(at.before(ending.took_ms), key, tool));
            calls.len() - 1
        });
        let call = &mut calls[place];
        call.ended = Some(at.sequence);
        call.took_ms = ending.took_ms.or_else(|| {
            let began = call.at.filter(|_| call.sequence < at.sequence)?;
            at.at.map(|ended| since(began, ended))
        });
        call.end = ending.end(true);
        if let Some(wrong) = ending.error {
            call.error_type = Some(wrong.error_type);
            call.error_body = Some(wrong.body);
            call.failure_kind = wrong.kind;
        }
    }

    fn ask(&mut self, requests: &mut Vec<Request>, at: Moment, subject: Subject) {
        self.requests.entry(subject.clone()).or_default().push_back(requests.len());
        requests.push(Request::unknown(at, subject));
    }

    fn answer(
        &mut self,
        requests: &mut Vec<Request>,
        at: Moment,
        subject: Subject,
        ending: Ending,
    ) {
        let place = self.requests.get_mut(&subject).and_then(VecDeque::pop_front);
        let place = place.unwrap_or_else(|| {
            requests.push(Request::unknown(at.before(ending.took_ms), subject));
            requests.len() - 1
        });
        let request = &mut requests[place];
        request.took_ms = ending.took_ms;
        request.end = ending.end(false);
        if let Some(wrong) = ending.error {
            request.error_type = Some(wrong.error_type);
            request.error_body = Some(wrong.body);
        }
    }
}

// === impl Ending ===

impl Ending {
    /// How it ended, as far as the event alone can tell.
    fn end(&self, is_call: bool) -> End {
        let Some(wrong) = &self.error else { return End::Succeeded };
        match &*wrong.error_type {
            "proxy_client_cancelled" => End::Cancelled,
            "proxy_upstream_closed" => End::Unanswered,
            // thoth's own codes; TypeScript servers have the first one for what took them too long.
            "-32001" | "-32002" if is_call && !is_timeout(wrong.body.as_str()) => End::Refused,
            _ => End::Failed,
        }
    }
}

fn is_timeout(body: &str) -> bool {
    let body = body.trim_start().trim_start_matches("MCP error -32001: ");
    body.starts_with("Request timed out") || body.starts_with("Maximum total timeout exceeded")
}

// === impl Call ===

impl Call {
    /// A call of which only the tool and an event are known.
    fn unknown(at: Moment, id: Option<String>, tool: String) -> Self {
        Self {
            sequence: at.sequence,
            ended: None,
            id,
            tool,
            arguments: None,
            params: None,
            intent: None,
            expected: None,
            at: at.at,
            at_ms: at.ms(),
            took_ms: None,
            end: End::Open,
            error_type: None,
            error_body: None,
            failure_kind: None,
            decision: None,
        }
    }
}

// === impl Request ===

impl Request {
    fn unknown(at: Moment, subject: Subject) -> Self {
        let (method, name) = match subject {
            Subject::List(method) => (method, String::new()),
            Subject::Resource(uri) => ("resources/read", uri),
            Subject::Prompt(name) => ("prompts/get", name),
        };
        Self {
            sequence: at.sequence,
            method,
            name,
            at: at.at,
            at_ms: at.ms(),
            took_ms: None,
            end: End::Open,
            error_type: None,
            error_body: None,
        }
    }
}
