//! The emitter with a story of its own and a file: what is told, in which order, and what is not.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::config::settings::{Friction, SinkPlace, Tls};
use crate::friction::event::payload::{CallStep, Intent, Payload};
use crate::friction::event::{Origin, Stamp, Stream, Wire};
use crate::friction::raw::{Raw, RawObject};
use crate::gate::happening::{CallMade, Ended};
use crate::gate::record::Ticket;
use crate::machine::clock;
use crate::spool::{Limits, MAX_EVENT};

/// Tells calls, and nothing else.
struct Calls {
    stream: Stream,
    open: Vec<u64>,
}

impl Calls {
    fn new() -> Self {
        let origin = Origin {
            session: "s".to_owned(),
            session_minted: true,
            tenant: "local".to_owned(),
            vendor: "local".to_owned(),
            consent: "local".to_owned(),
            software: "thoth/0".to_owned(),
            principal: None,
        };
        Self { stream: Stream::new(Wire::W3, origin), open: Vec::new() }
    }

    fn draft(
        &mut self,
        call: u64,
        step: CallStep<'_>,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let stamp = Stamp { id: Uuid::from_u128(random()), at: moment.at };
        let payload = Payload::Call { call_id: &call.to_string(), tool: "echo", step };
        self.stream.draft(stamp, None, &payload).into_iter().collect()
    }
}

impl Story<Happening> for Calls {
    fn tell(
        &mut self,
        what: &Happening,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        match what {
            Happening::CallMade(made) => {
                assert!(&*made.tool != "panic", "told to");
                self.open.push(made.ticket.0);
                let params = RawObject::read(&made.arguments).unwrap();
                let step = CallStep::Start { params, intent: Intent::default() };
                self.draft(made.ticket.0, step, moment, random)
            }
            Happening::CallEnded(ticket, Ended::Result { result, .. }) => {
                self.open.retain(|open| open != &ticket.0);
                let step = CallStep::End { result: Raw::read(result), duration_ms: None };
                self.draft(ticket.0, step, moment, random)
            }
            other @ (Happening::CallEnded(..)
            | Happening::RequestMade { .. }
            | Happening::RequestEnded { .. }
            | Happening::Noted { .. }) => panic!("nobody tells {other:?} here"),
        }
    }

    fn end(&mut self, moment: Moment, random: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for call in mem::take(&mut self.open) {
            let step = CallStep::End { result: None, duration_ms: None };
            drafts.extend(self.draft(call, step, moment, random));
        }
        drafts
    }
}

/// Says whose beginnings it is told.
struct Says(mpsc::Sender<u64>);
impl Story<Happening> for Says {
    fn tell(&mut self, what: &Happening, _: Moment, _: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        let Place::Begins(Key::Call(call)) = what.place() else { panic!("a call") };
        self.0.send(call).unwrap();
        Vec::new()
    }

    fn end(&mut self, _: Moment, _: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        Vec::new()
    }
}

fn begin(ticket: u64) -> Happening {
    called("echo", ticket, "{}")
}

fn called(tool: &str, ticket: u64, arguments: &'static str) -> Happening {
    Happening::CallMade(CallMade {
        ticket: Ticket(ticket),
        tool: tool.into(),
        arguments: arguments.into(),
        said: None,
        meta: None,
    })
}

fn end(ticket: u64, result: impl Into<Bytes>) -> Happening {
    Happening::CallEnded(Ticket(ticket), Ended::Result { is_error: false, result: result.into() })
}

fn sinks(place: SinkPlace, home: &Path) -> Sinks {
    let settings = Friction {
        principal: None,
        scrub: crate::friction::scrub::custom::Custom::default(),
        sinks: vec![place],
        tenant_id: "local".to_owned(),
        vendor_id: "local".to_owned(),
        consent_token: "local".to_owned(),
        api_key: None,
        wire: Wire::W3,
        additions: None,
    };
    let (sinks, errors) =
        Sinks::open(&settings, &Tls::default(), home, Limits::default(), clock::now);
    assert!(errors.is_empty());
    sinks
}

fn to_file(home: &Path) -> Emitter {
    let home = home.to_owned();
    Emitter::new(clock::now, move || {
        let sinks = sinks(SinkPlace::File(home.join("e.jsonl")), &home);
        Means::new(Calls::new(), Scrubber::default(), sinks)
    })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn events(home: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(home.join("e.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Type and call of each.
fn told(events: &[Value]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|event| (event["event_type"].as_str().unwrap(), event["call_id"].as_str().unwrap()))
        .collect()
}

#[test]
fn everything_is_told_in_order_and_what_is_open_is_closed() {
    let home = tempfile::tempdir().unwrap();
    let emitter = to_file(home.path());
    let handle = emitter.handle();
    for what in [begin(1), begin(2), end(1, "7"), begin(3), end(3, "[]")] {
        handle.happened(what);
    }
    emitter.close_blocking(soon());

    let events = events(home.path());
    let (start, end) = ("tool_call_start", "tool_call_end");
    let expected = [(start, "1"), (start, "2"), (end, "1"), (start, "3"), (end, "3"), (end, "2")];
    assert_eq!(told(&events), expected);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert!(events.is_sorted_by_key(|event| event["captured_at"].as_str().unwrap()));
    assert_eq!(handle.telling().events, 6);
    assert_eq!(handle.telling().dropped, 0);
}

#[test]
fn nothing_is_made_before_something_happens() {
    static IS_OPEN: AtomicBool = AtomicBool::new(false);
    let emitter: Emitter = Emitter::new(clock::now, || {
        IS_OPEN.store(true, Ordering::Relaxed);
        panic!("nothing happened")
    });
    let handle = emitter.handle();
    assert_eq!(handle.telling(), Telling::default());
    emitter.close_blocking(soon());
    handle.happened(begin(1)); // too late
    assert_eq!(handle.telling().dropped, 1);
    assert!(!IS_OPEN.load(Ordering::Relaxed));
}

#[tokio::test]
async fn what_is_flushed_is_in_the_file() {
    let home = tempfile::tempdir().unwrap();
    let emitter = to_file(home.path());
    let handle = emitter.handle();
    handle.flushed(soon()).await; // of nothing
    for round in 1..20 {
        handle.happened(begin(round));
        handle.happened(end(round, "1"));
        handle.flushed(soon()).await;
        assert_eq!(events(home.path()).len() as u64, 2 * round);
    }
    emitter.close(soon()).await;
}

#[test]
fn happenings_are_told_without_being_asked_for() {
    let (told, tells) = mpsc::channel();
    let emitter = Emitter::new(clock::now, move || {
        let sinks = sinks(SinkPlace::Stderr, Path::new("/"));
        Means::new(Says(told), Scrubber::default(), sinks)
    });
    let handle = emitter.handle();
    for call in 0..5 {
        handle.happened(begin(call));
        assert_eq!(tells.recv_timeout(Duration::from_secs(60)), Ok(call));
    }
    emitter.close_blocking(soon());
}

#[tokio::test]
async fn a_panic_costs_telemetry_and_hangs_nobody() {
    let home = tempfile::tempdir().unwrap();
    let emitter = to_file(home.path());
    let handle = emitter.handle();
    handle.happened(begin(1));
    handle.happened(called("panic", 2, "{}"));
    handle.happened(begin(3));
    handle.flushed(soon()).await;
    handle.happened(begin(4));
    emitter.close(soon()).await;
    assert_eq!(told(&events(home.path())), [("tool_call_start", "1")]);

    let emitter: Emitter = Emitter::new(clock::now, || panic!("nothing to open"));
    let handle = emitter.handle();
    handle.happened(begin(1));
    handle.flushed(soon()).await;
    emitter.close(soon()).await;
    assert_eq!(handle.telling().events, 0);
}

#[test]
fn an_event_that_is_too_long_goes_without_its_result() {
    let home = tempfile::tempdir().unwrap();
    let emitter = to_file(home.path());
    let handle = emitter.handle();
    // Each byte that is no character becomes three.
    let grows = [b"\"".as_slice(), &vec![0xff; MAX_EVENT / 3], b"\""].concat();
    handle.happened(begin(1));
    handle.happened(end(1, grows));
    handle.happened(begin(2));
    handle.happened(end(2, "2"));
    emitter.close_blocking(soon());
    let events = events(home.path());
    assert_eq!(events.len(), 4);
    assert_eq!(events[1]["payload"]["result_capture"], "off");
    assert_eq!(events[3]["payload"]["result"], 2);
    assert_eq!(handle.telling().dropped, 1);
}
