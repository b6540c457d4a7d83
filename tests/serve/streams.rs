//! Streams of events: what goes to whom, at once, and again after a lost connection.

use std::fs;

use serde_json::{Value, json};

use crate::http::Event;
use crate::launch::{Setup, call, initialize, request, text};

/// The method of a notification or a request.
fn method(message: &Value) -> &str {
    message["method"].as_str().unwrap_or_else(|| panic!("{message}"))
}

#[test]
fn progress_comes_at_once_and_on_the_stream_of_its_request() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut one = served.call(&session, 1, "progress");
    let mut other = served.call(&session, 2, "progress");
    // Before the answers can: the gate is still closed.
    for (stream, token) in [(&mut one, 1), (&mut other, 2)] {
        let message = stream.message();
        assert_eq!(
            (method(&message), &message["params"]["progressToken"]),
            ("notifications/progress", &json!(token))
        );
    }
    served.open_gate();
    for (mut stream, token) in [(one, 1), (other, 2)] {
        assert_eq!(stream.message()["params"], json!({"progressToken": token, "progress": 2}));
        let answer = stream.message();
        assert_eq!((&answer["id"], text(&answer)), (&json!(token), "after progress"));
        assert_eq!(stream.event(), None, "the answer is the last");
    }
}

#[test]
fn an_answer_that_takes_its_time_is_a_stream_with_a_first_event() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut stream = served.call(&session, 1, "wait");
    assert_eq!(stream.header("x-accel-buffering"), Some("no"));
    let first = stream.event().unwrap();
    assert_eq!((first.id.is_some(), &*first.data), (true, ""), "by which it can be resumed");
    served.open_gate();
    assert_eq!(text(&stream.message()), "waited");
}

#[test]
fn clients_of_older_revisions_get_no_event_without_a_message() {
    let served = Setup::new().server(&["sh", "-c", r#"
        read -r line; echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"sh"}}}'
        read -r line; sleep 0.3; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; read -r line"#]).start();
    let session = served.initialize();
    let mut stream = served.call(&session, 1, "slow");
    assert!(stream.is_stream());
    let Event { id, data } = stream.event().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap()["id"], 1, "{id:?}");
}

#[test]
fn a_client_gets_the_form_it_takes() {
    let served = Setup::new().start();
    let session = served.initialize();
    let ask = |accept: &str, tool: &str| {
        served.send(&served.within(&session, &call(1, tool)).with("accept", accept))
    };
    let mut stream = ask("text/event-stream", "echo");
    assert!(text(&stream.message()).starts_with("pid"));
    for accept in ["application/json", "application/json;q=0.9, text/event-stream;q=0"] {
        let mut response = ask(accept, "news");
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(text(&response.json()), "told");
    }
    // What such a client could not be told waits for whoever listens.
    let mut listening = served.send(&served.listening(&session));
    let told: Vec<_> = (0..4).map(|_| listening.message()).collect();
    let methods: Vec<_> = told.iter().map(method).collect();
    let (said, changed) = ("notifications/message", "notifications/tools/list_changed");
    assert_eq!(methods, [said, changed, said, changed]);
}

#[test]
fn news_goes_to_whom_it_is_for() {
    let served = Setup::new().start();
    let session = served.initialize();
    // Nobody listens: with the answer.
    let mut stream = served.call(&session, 1, "news");
    let methods: Vec<_> = (0..2).map(|_| method(&stream.message()).to_owned()).collect();
    assert_eq!(methods, ["notifications/message", "notifications/tools/list_changed"]);
    assert_eq!(text(&stream.message()), "told");
    // Somebody does: what has changed goes there, and nowhere else.
    let mut listening = served.send(&served.listening(&session));
    let mut stream = served.call(&session, 2, "news");
    assert_eq!(method(&stream.message()), "notifications/message");
    assert_eq!(text(&stream.message()), "told");
    assert_eq!(method(&listening.message()), "notifications/tools/list_changed");
}

#[test]
fn what_the_server_asks_is_asked_and_answered() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut stream = served.call(&session, 1, "ask");
    assert_eq!(method(&stream.message()), "roots/list");
    let answer = json!({"jsonrpc": "2.0", "id": "ask-1", "result": {"roots": []}});
    assert_eq!(served.send(&served.within(&session, &answer)).status, 202);
    assert_eq!(text(&stream.message()), "asked");
}

#[test]
fn what_is_no_message_reaches_no_client_and_a_raw_line_end_makes_no_second_event() {
    let served = Setup::new().start();
    let session = served.initialize();
    let message = served.within(&session, &call(1, "banner")).with("accept", "text/event-stream");
    let mut stream = served.send(&message);
    let answer = stream.message();
    assert_eq!((&answer["id"], &answer["result"]), (&json!(1), &json!({"content": []})));
    assert_eq!(stream.event(), None);
}

#[test]
fn a_lost_stream_is_resumed_where_it_was_lost_and_the_call_goes_on() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut stream = served.call(&session, 1, "progress");
    let lost = loop {
        let event = stream.event().unwrap();
        if !event.data.is_empty() {
            break event;
        }
    };
    drop(stream);
    served.open_gate();
    // Another call, so that what is between the two comes through the same pipe.
    served.call(&session, 2, "echo").text();
    let again = |id: &str| served.send(&served.listening(&session).and("last-event-id", id));
    for _ in 0..2 {
        let mut resumed = again(lost.id.as_deref().unwrap());
        assert_eq!(resumed.message()["params"]["progress"], 2);
        assert_eq!(text(&resumed.message()), "after progress", "a lost connection cancels nothing");
        assert_eq!(resumed.event(), None);
    }
    assert!(!served.setup.seen().iter().any(|line| line.contains("cancelled")));
    for unknown in ["99-1", "1-99", "x", "", "1", "-"] {
        assert_eq!(again(unknown).status, 400, "{unknown:?}");
    }
}

#[test]
fn who_listens_again_takes_the_place_of_who_listened() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut first = served.send(&served.listening(&session));
    served.call(&session, 1, "news").text();
    let event = first.event().unwrap();
    let mut second = served.send(&served.listening(&session));
    assert_eq!(first.event(), None, "one of them only");
    served.call(&session, 2, "news").text();
    assert_eq!(method(&second.message()), "notifications/tools/list_changed");
    drop(second);
    // What was said once is said again to whoever says from where.
    let id = event.id.unwrap();
    let mut third = served.send(&served.listening(&session).and("last-event-id", &id));
    let again = third.event().unwrap();
    assert!(again.data.contains("list_changed") && again.id.as_deref() != Some(&id));
}

#[test]
fn a_request_that_is_cancelled_is_not_waited_for() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut stream = served.call(&session, 1, "hang");
    stream.event().unwrap();
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(served.send(&served.within(&session, &cancel)).status, 202);
    assert_eq!(stream.event(), None);
    served.until_seen("notifications/cancelled");
}

#[test]
fn a_large_answer_arrives_whole_on_a_stream_that_nobody_hurries_to_read() {
    let served = Setup::new().start();
    let session = served.initialize();
    let streams: Vec<_> = (1..=20)
        .map(|id| {
            let message = served.within(&session, &call(id, "big"));
            served.send(&message.with("accept", "text/event-stream"))
        })
        .collect();
    for (mut stream, id) in streams.into_iter().zip(1..) {
        let answer = stream.message();
        assert_eq!((&answer["id"], text(&answer).len()), (&json!(id), 200_000));
    }
}

#[test]
fn a_server_that_dies_answers_everybody_by_thoths_mouth() {
    let served = Setup::new().start();
    let session = served.initialize();
    let mut hanging = served.call(&session, 1, "hang");
    let mut listening = served.send(&served.listening(&session));
    let mut dying = served.call(&session, 2, "die");
    assert_eq!(dying.status, 200);
    for answer in [hanging.message(), dying.json()] {
        assert_eq!(answer["error"]["data"]["reason_code"], "server_gone", "{answer}");
    }
    assert_eq!(listening.event(), None);
    assert_eq!(served.call(&session, 3, "echo").status, 404, "begin another");
    let again = served.initialize();
    assert!(text(&served.call(&again, 3, "echo").json()).starts_with("pid"));
}

#[test]
fn a_server_that_cannot_be_started_is_told_as_an_answer() {
    let served = Setup::new().server(&["thoth-no-such-command"]).start();
    let mut response = served.send(&served.post(&initialize()));
    assert_eq!((response.status, response.header("mcp-session-id")), (200, None));
    let answer = response.json();
    assert_eq!(answer["error"]["data"]["reason_code"], "server_unavailable", "{answer}");
    let (_, said, _) = served.closes();
    assert!(said.contains("`thoth-no-such-command` was found neither in PATH"), "{said}");
}

#[test]
fn a_hundred_streams_cost_little_memory() {
    let served = Setup::new().start();
    let session = served.initialize();
    let streams: Vec<_> = (1..=100).map(|id| served.call(&session, id, "hang")).collect();
    assert!(streams.iter().all(crate::http::Response::is_stream));
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", served.process.id())) else {
        return;
    };
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // An unoptimised build; all pages of its program count.
    assert!(kilobytes < 80_000, "{kilobytes} KB");
    assert_eq!(
        served.send(&served.within(&session, &request(1, "ping"))).status,
        400,
        "its id is in use"
    );
}
