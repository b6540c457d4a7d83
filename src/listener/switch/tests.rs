//! Whom each line is for, and what is kept of it.

use bytes::BufMut;

use super::*;
use crate::gate::framing::Framer;
use crate::listener::message::{Message, MessageKind};

fn switch() -> Switch {
    Switch::new(Rc::default())
}

fn now() -> Instant {
    Instant::now()
}

fn id(number: u64) -> RequestId {
    let ping = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"ping"}}"#);
    let kind = Message::read(ping.as_bytes()).unwrap().kind;
    let MessageKind::Request(id) = kind else { panic!("{kind:?}") };
    id
}

fn asks(number: u64) -> Purpose {
    let token = Some(number.to_string());
    Purpose { id: Some(id(number)), token, answer_only: false, lists: false }
}

fn doubts() -> Purpose {
    Purpose { id: None, token: None, answer_only: false, lists: false }
}

fn says(switch: &mut Switch, text: &str) {
    let mut framer = Framer::new(text.len());
    framer.space().put_slice(text.as_bytes());
    switch.take(&framer.last_line().unwrap().unwrap());
}

fn answer(number: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#)
}

/// What a reader can have at once.
fn reads(switch: &mut Switch, (number, reader): (Number, u64)) -> Vec<String> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut read = Vec::new();
    while let Poll::Ready(Some(event)) = switch.poll_next(number, reader, &mut cx) {
        read.push(String::from_utf8(event.text.to_vec()).unwrap());
    }
    read
}

const LOG: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
const ROOTS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#;
const ERROR: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#;

#[test]
fn each_line_goes_to_one_stream() {
    let mut switch = switch();
    let listening = (LISTENING, switch.attach(LISTENING).unwrap());
    let (one, two) = (switch.open(asks(1)), switch.open(asks(2)));
    let doubtful = switch.open(doubts());
    let progress = r#"{"method":"notifications/progress","params":{"progressToken":1}}"#;
    let stray = r#"{"method":"notifications/progress","params":{"progressToken":7}}"#;
    for line in [LOG, CHANGED, ROOTS, progress, stray, ERROR, "banner", &answer(9), &answer(1), LOG]
    {
        says(&mut switch, line);
    }
    says(&mut switch, &answer(1));
    assert_eq!(reads(&mut switch, one), [progress, &answer(1)]);
    assert_eq!(reads(&mut switch, two), [LOG, ROOTS, LOG]);
    assert_eq!(reads(&mut switch, doubtful), [ERROR]);
    assert_eq!(reads(&mut switch, listening), [CHANGED]);
}

#[test]
fn who_takes_the_answer_alone_is_told_nothing_else() {
    let mut switch = switch();
    let alone = switch.open(Purpose { answer_only: true, ..asks(1) });
    for line in [LOG, CHANGED, &answer(1)] {
        says(&mut switch, line);
    }
    assert_eq!(reads(&mut switch, alone), [answer(1)]);
    let listening = (LISTENING, switch.attach(LISTENING).unwrap());
    assert_eq!(reads(&mut switch, listening), [LOG, CHANGED]);
}

#[test]
fn what_is_given_up_is_never_answered_and_takes_no_room_for_ever() {
    let (mut switch, begin) = (switch(), now());
    for number in 0..=GIVEN_UP as u64 {
        let (stream, reader) = switch.open(asks(number));
        let at = begin + Duration::from_millis(number);
        if number % 2 == 0 {
            switch.cancelled(&id(number), at);
            assert!(reads(&mut switch, (stream, reader)).is_empty());
        } else {
            assert!(switch.leave(stream, reader, at).is_some());
        }
    }
    assert_eq!((switch.waiting(), switch.given_up.len()), (0, GIVEN_UP), "the oldest is forgotten");
    assert!(switch.has_room_for(&id(0), None, begin));
    let since = begin + Duration::from_millis(7);
    assert!(!switch.has_room_for(&id(7), None, since + LATE - Duration::from_millis(1)));
    assert!(switch.has_room_for(&id(7), None, since + LATE));

    let again = switch.open(asks(7));
    says(&mut switch, &answer(7));
    assert_eq!(reads(&mut switch, again), [answer(7)]);
}

#[test]
fn an_answer_to_somebody_who_left_is_nobodys() {
    let mut switch = switch();
    let (number, reader) = switch.open(asks(1));
    assert!(switch.leave(number, reader, now()).is_some(), "to be cancelled, in the era for that");
    assert!(
        !switch.has_room_for(&id(1), None, now()),
        "another request of that id would be given it"
    );
    says(&mut switch, &answer(1));
    assert!(switch.has_room_for(&id(1), None, now()));

    let (number, reader) = switch.open(asks(2));
    switch.promise(number);
    assert_eq!(switch.leave(number, reader, now()), None, "it may come again");
    says(&mut switch, &answer(2));
    let again = switch.resume(number, 0).unwrap();
    assert_eq!(reads(&mut switch, (number, again)), [answer(2)]);
    assert_eq!(switch.resume(number, 2), None, "nobody was ever told of that event");
}

#[test]
fn ids_and_tokens_in_use_are_told_apart_from_others() {
    let mut switch = switch();
    let (number, _) = switch.open(asks(1));
    for (other, token, room) in
        [(1, None, false), (2, Some("1"), false), (2, Some("\"1"), true), (2, None, true)]
    {
        assert_eq!(switch.has_room_for(&id(other), token, now()), room, "{other} {token:?}");
    }
    switch.promise(number);
    says(&mut switch, &answer(1));
    assert!(switch.has_room_for(&id(1), Some("1"), now()));
}

#[test]
fn what_nobody_reads_is_bounded_but_for_answers() {
    let mut switch = switch();
    let long = format!(
        r#"{{"method":"notifications/message","params":{{"data":"{}"}}}}"#,
        "x".repeat(50_000)
    );
    for _ in 0..200 {
        says(&mut switch, &long);
    }
    for _ in 0..10_000 {
        says(&mut switch, CHANGED);
    }
    let held = |switch: &Switch| switch.streams.values().map(Stream::kept).sum::<usize>();
    assert!(held(&switch) <= KEPT);
    assert!(switch.streams[&LISTENING].events.len() <= EVENTS);

    // Streams that ended go, the oldest first; those whose request still waits do not.
    let waiting = switch.open(asks(0));
    switch.promise(waiting.0);
    switch.leave(waiting.0, waiting.1, now());
    for number in 1..200 {
        let (stream, reader) = switch.open(asks(number));
        switch.promise(stream);
        switch.leave(stream, reader, now());
        says(&mut switch, &answer(number));
    }
    assert!(switch.streams.len() <= ENDED + 2, "{}", switch.streams.len());
    says(&mut switch, &answer(0));
    let again = switch.resume(waiting.0, 0).unwrap();
    assert_eq!(reads(&mut switch, (waiting.0, again)), [answer(0)]);
}

#[test]
fn everybody_who_waits_is_answered_at_the_end() {
    let mut switch = switch();
    let (one, doubtful) = (switch.open(asks(1)), switch.open(doubts()));
    let listening = (LISTENING, switch.attach(LISTENING).unwrap());
    switch.close(|id| Bytes::from(format!("over {:?}", id.map(RequestId::literal))));
    assert_eq!(reads(&mut switch, one), ["over Some(\"1\")"]);
    assert_eq!(reads(&mut switch, doubtful), ["over None"]);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(switch.poll_next(LISTENING, listening.1, &mut cx), Poll::Ready(None)));
    assert_eq!(switch.waiting(), 0);
}
