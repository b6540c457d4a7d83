//! The emitter with a story of its own and a file: what is told, in which order, and what is not.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::config::settings::{Friction, SinkPlace, Tls};
use crate::friction::event::payload::{CallStep, Intent, Payload};
use crate::friction::event::{Origin, Stamp, Stream, Wire};
use crate::friction::raw::{Raw, RawObject};
use crate::friction::tale::Tale;
use crate::gate::happening::{CallMade, Ended};
use crate::gate::message::client::Method;
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
        Self { stream: Stream::new(Wire::W3, origin()), open: Vec::new() }
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

fn origin() -> Origin {
    Origin {
        session: "s".to_owned(),
        session_minted: true,
        tenant: "local".to_owned(),
        vendor: "local".to_owned(),
        consent: "local".to_owned(),
        software: "thoth/0".to_owned(),
        principal: None,
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

/// Does not come back before the other end is dropped.
struct Hangs(mpsc::Receiver<()>);
impl Story<Happening> for Hangs {
    fn tell(&mut self, _: &Happening, _: Moment, _: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        let _ = self.0.recv();
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
    Instant::now() + Duration::from_mins(1)
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
        assert_eq!(tells.recv_timeout(Duration::from_mins(1)), Ok(call));
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

/// Whatever happens: beginnings without ends, ends without beginnings, both twice.
fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let text = prop::sample::select(vec![2_usize, 300, 9_000, 70_000]);
    let one = (0_u8..8, 1_u64..8, text).prop_map(|(kind, number, len)| {
        let text = Bytes::from(format!("\"{}\"", "x".repeat(len)));
        let arguments = Bytes::from(format!(r#"{{"a":"{}"}}"#, "x".repeat(len)));
        let ended = match number % 3 {
            0 => Ended::Error { code: Some(-7), error: text.clone() },
            1 => Ended::Cancelled,
            _ => Ended::Result { is_error: number % 2 == 0, result: text.clone() },
        };
        match kind {
            0..3 => Happening::CallMade(CallMade {
                ticket: Ticket(number),
                tool: "t".into(),
                arguments,
                said: None,
                meta: None,
            }),
            3..6 => Happening::CallEnded(Ticket(number), ended),
            6 => Happening::RequestMade {
                number,
                method: Method::ListTools { first: true },
                params: Bytes::from_static(b"{}"),
            },
            _ => Happening::RequestEnded { number, end: ended, added: 0 },
        }
    });
    prop::collection::vec(one, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_little_room_numbers_have_no_gap_and_every_beginning_one_end(
        happenings in happenings(),
        count in 1_usize..20,
        bytes in prop::sample::select(vec![0, 1_000, 100_000, 1_000_000]),
        gives in prop::collection::vec(any::<bool>(), 60),
    ) {
        let mut room = Room::new(Bounds { count, bytes });
        let mut tale = Tale::new(Stream::new(Wire::W3, origin()), None);
        let mut drafts = Vec::new();
        let mut random = || Uuid::new_v4().as_u128();
        let moment = Moment { at: clock::now(), since_start: Duration::ZERO };
        for (what, give) in happenings.into_iter().zip(gives) {
            room.put(what, moment);
            if give {
                for taken in room.give(5) {
                    drafts.extend(tale.tell(&taken.what, taken.moment, &mut random));
                }
                room.settle();
            }
        }
        for taken in room.give(usize::MAX) {
            drafts.extend(tale.tell(&taken.what, taken.moment, &mut random));
        }
        drafts.extend(tale.end(moment, &mut random));

        let (scrubber, mut counts) = (Scrubber::default(), Counts::default());
        let (mut open, mut lists) = (Vec::new(), 0);
        for (number, draft) in drafts.into_iter().enumerate() {
            let event = draft.scrub(&scrubber, &mut counts);
            let event: Value = serde_json::from_str(event.as_str()).unwrap();
            prop_assert_eq!(&event["sequence_number"], number);
            let call = event["call_id"].clone();
            match event["event_type"].as_str().unwrap() {
                "tool_call_start" => open.push(call),
                "tool_call_end" | "tool_call_error" => {
                    let at = open.iter().position(|open| *open == call);
                    prop_assert!(at.is_some());
                    open.remove(at.unwrap());
                }
                "tool_list_start" => lists += 1,
                "tool_list_end" | "tool_list_error" => lists -= 1,
                "surface_snapshot" => {}
                other => prop_assert!(false, "{}", other),
            }
        }
        prop_assert!(open.is_empty());
        prop_assert_eq!(lists, 0);
    }
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

#[test]
fn whatever_hangs_is_left_behind() {
    let (hangs, hung) = mpsc::channel::<()>();
    let emitter = Emitter::new(clock::now, move || {
        let sinks = sinks(SinkPlace::Stderr, Path::new("/"));
        Means::new(Hangs(hung), Scrubber::default(), sinks)
    });
    emitter.handle().happened(begin(1));
    emitter.close_blocking(Instant::now() + Duration::from_millis(50));
    drop(hangs);
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let home = tempfile::tempdir().unwrap();
    let emitter = {
        let home = home.path().to_owned();
        Emitter::new(clock::now, move || {
            let sinks = sinks(SinkPlace::Http(url), &home);
            Means::new(Calls::new(), Scrubber::default(), sinks)
        })
    };
    let handle = emitter.handle();
    handle.happened(begin(1));
    let _connection = silent.accept().unwrap(); // it is being sent
    emitter.close_blocking(Instant::now() + Duration::from_millis(50));
    assert!(handle.telling().events >= 1);
}

#[test]
fn what_there_is_no_time_for_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let emitter = to_file(home.path());
    let handle = emitter.handle();
    for call in 1..=10 {
        handle.happened(begin(call));
        handle.happened(end(call, "[1,2,3]"));
    }
    emitter.close_blocking(Instant::now());
    while Arc::strong_count(&handle.shared) > 1 {
        std::thread::yield_now(); // the thread has gone on by itself, and ends
    }
    let telling = handle.telling();
    assert_eq!(telling.events + telling.dropped, 20);
}
