//! An order for this machine: no call goes on, whatever the mode and whoever agreed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Judges by the tool's name, under an order that comes and goes.
struct Ordered(Arc<AtomicBool>);

impl Judge for Ordered {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        ByName.judge(facts)
    }

    fn order(&self) -> Option<Grounds> {
        self.0.load(Ordering::Relaxed).then(|| Grounds::coded("endpoint_quarantined", "lost"))
    }
}

fn run(settings: Settings) -> (Run, Arc<AtomicBool>) {
    let order = Arc::new(AtomicBool::new(false));
    let mut run = Run::new(settings);
    run.session = Session::new(settings, Some(Box::new(Ordered(Arc::clone(&order)))));
    (run, order)
}

fn is_refused_by_the_order(run: &Run) -> bool {
    let data = &run.last()["error"]["data"];
    let Some(Record::Decision(last)) =
        run.paper.records.iter().rev().find(|record| matches!(record, Record::Decision(_)))
    else {
        return false;
    };
    run.to_server.is_empty()
        && data["reason_code"] == "endpoint_quarantined"
        && data["decision"] == "BLOCK"
        && data["retryable"] == false
        && (last.basis, last.decision, last.forwarded) == ("ordered", "block", false)
}

#[test]
fn an_order_refuses_every_call_in_every_mode() {
    for mode in [Mode::Observe, Mode::Progressive, Mode::StepUp, Mode::Block] {
        for remote in [false, true] {
            let rules = Rules { mode, ..Rules::default() };
            let (mut run, order) = run(Settings { rules, remote, ..Settings::default() });
            order.store(true, Ordering::Relaxed);
            run.call(1, "allow");
            assert!(run.asked.is_empty(), "nobody is asked");
            assert!(is_refused_by_the_order(&run), "{mode:?} {:?}", run.to_client);
            let message = run.last()["error"]["message"].as_str().unwrap().to_owned();
            assert_eq!(
                message,
                "`allow` was not run: lost. No call is, until that is over; tell the user."
            );

            order.store(false, Ordering::Relaxed);
            run.call(2, "allow");
            assert_eq!(run.to_server.len() + run.asked.len(), 1, "it was lifted");
        }
    }
}

#[test]
fn an_order_that_comes_while_a_call_waits_counts() {
    for held in [false, true] {
        let wait = Rules { step_up: StepUp::Wait, ..Rules::default() };
        let (mut run, order) = run(Settings { rules: wait, remote: true, ..Settings::default() });
        run.call(1, "a");
        let ticket = run.asked[0].ticket;
        if held {
            run.handle(Input::Asked(ticket, said(Verb::StepUp(Some(hold())))));
        }
        order.store(true, Ordering::Relaxed);
        let answer = said(Verb::Allow);
        run.handle(if held { Input::Waited(ticket, answer) } else { Input::Asked(ticket, answer) });
        assert!(is_refused_by_the_order(&run), "held: {held} {:?}", run.to_client);
    }
}

#[test]
fn what_is_no_call_passes_under_an_order() {
    let (mut run, order) = run(Settings::default());
    order.store(true, Ordering::Relaxed);
    run.client(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert_eq!(run.to_server.len(), 1);
}

#[test]
fn the_recorder_is_shown_what_the_server_lists() {
    struct Shown(Vec<String>);
    impl Recorder for Shown {
        fn record(&mut self, _record: &Record) -> bool {
            true
        }

        fn listed(&mut self, result: &[u8]) {
            self.0.push(String::from_utf8(result.to_vec()).unwrap());
        }
    }

    let (run, _) = run(Settings::default());
    let (mut session, mut shown) = (run.session, Shown(Vec::new()));
    for method in ["tools/list", "resources/list"] {
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        session.handle(Input::Client(Ok(line(&request))), run.now, &mut shown);
        for answer in [r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#; 2] {
            session.handle(Input::Server(Ok(line(answer))), run.now, &mut shown);
        }
    }
    assert_eq!(shown.0, [r#"{"tools":[]}"#], "once, and nothing else");
}
