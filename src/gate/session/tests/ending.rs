//! How sessions end.

use super::super::super::waiting::MOST_OPEN;
use super::*;

#[test]
fn what_waits_is_answered_when_the_client_closes_its_end() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.call(2, "b");
    run.handle(Input::Asked(run.asked[1].ticket, said(Verb::StepUp(Some(hold())))));
    run.handle(Input::ClientClosed);
    assert_eq!(run.last_code(), Some(-32_002), "nobody is there to be asked");
    assert!(!run.server_closed);

    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::Allow)));
    assert!(!run.server_closed, "the server still works on it");
    run.answer(1);
    assert!(run.server_closed);
    assert_eq!(run.to_client.len(), 2);
}

#[test]
fn a_server_that_never_answers_is_not_waited_for_without_end() {
    let mut run = Run::new(Settings::default());
    run.call(1, "allow");
    run.handle(Input::ClientClosed);
    let closed = run.now;
    assert!(!run.server_closed);
    run.now += PATIENCE;
    assert_eq!(run.session.poll_timeout(), Some(run.now));
    run.session.handle_timeout(run.now);
    run.settle();
    assert!(run.server_closed, "it may be waiting for the end of its input");
    assert!(!run.server_ended, "it may still answer");
    run.now = closed + DRAIN;
    assert_eq!(run.session.poll_timeout(), Some(run.now));
    run.session.handle_timeout(run.now);
    run.settle();
    assert!(run.server_ended);
    assert_eq!(run.session.poll_timeout(), None);
}

#[test]
fn the_servers_input_stays_open_while_a_call_waits_for_its_decision() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.handle(Input::ClientClosed);
    run.now += PATIENCE * 2;
    run.session.handle_timeout(run.now);
    run.settle();
    assert!(!run.server_closed);
    assert!(run.session.poll_timeout().unwrap() > run.now, "no busy waiting");
    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::Allow)));
    assert_eq!(run.to_server.len(), 1);
    assert!(run.server_closed && !run.server_ended);
    run.answer(1);
    assert!(run.server_ended);
}

#[test]
fn a_server_that_dies_leaves_nobody_waiting() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::Allow)));
    run.call(2, "b");
    run.handle(Input::ServerClosed);
    let ids: Vec<_> = run
        .to_client
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, [2, 1]);
    assert_eq!(run.withdrawn.len(), 1);
}

#[test]
fn told_to_stop_it_refuses_what_waits_and_closes_the_server() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.handle(Input::Stop);
    assert_eq!(run.last()["error"]["data"]["reason_code"], "stopping");
    assert!(run.server_closed);
    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::Allow)));
    assert!(run.to_server.is_empty());
}

#[test]
fn a_cancelled_request_frees_its_id_and_is_not_waited_for() {
    let mut run = Run::new(Settings::default());
    run.client(r#"{"jsonrpc":"2.0","id":1,"method":"resources/read"}"#);
    run.cancel("1");
    run.client(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert_eq!(run.to_server.len(), 3);
    run.cancel("1");
    run.handle(Input::ClientClosed);
    assert!(run.server_ended);
}

#[test]
fn what_was_cancelled_and_is_never_answered_makes_room() {
    let most = u32::try_from(MOST_OPEN).unwrap();
    let mut run = Run::new(Settings::default());
    for id in 0..most {
        run.call(id, "allow");
        if id != 1 {
            run.cancel(&id.to_string());
        }
    }
    run.call(most, "allow");
    run.client(&format!(r#"{{"jsonrpc":"2.0","id":{},"method":"slow"}}"#, most + 1));
    assert_eq!(run.to_client, [""; 0]);
    let is_outcome = |record: &&Record| matches!(record, Record::Outcome(_));
    let given_up: Vec<_> = run.paper.records.iter().filter(is_outcome).collect();
    assert!(
        given_up.iter().all(
            |record| matches!(record, Record::Outcome(outcome) if matches!(outcome.end, End::Cancelled))
        ),
        "{given_up:?}"
    );
    assert_eq!(given_up.len(), 2, "each makes room for one");

    run.answer(0);
    assert_eq!(run.to_client, [""; 0], "nobody waits for it");
    run.answer(1);
    assert_eq!(run.last()["id"], 1, "who waits is not given up");
}
