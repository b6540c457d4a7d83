//! The sentences of the session's header, held against whatever may happen in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What may happen, in any order, with ids that collide.
#[derive(Clone, Debug)]
enum Happening {
    Call(u32, usize),
    Ping(u32),
    Cancel(u32),
    Asked(usize, usize),
    Waited(usize, usize),
    Answered(u32),
    JournalFails(bool),
    Garbage,
    Time,
}

const TOOLS: [&str; 6] = ["allow", "block", "step_up", "defer", "modify", "once"];

fn verdicts(which: usize) -> Answer {
    match which {
        0 => said(Verb::Allow),
        1 => said(Verb::Block),
        2 => said(Verb::StepUp(Some(hold()))),
        3 => said(modify(r#"{"new":2}"#)),
        4 => said(Verb::Defer(None)),
        5 => said(Verb::StepUp(None)),
        _ => Answer::Silent(Grounds::default()),
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (0_u32..4, 0..TOOLS.len()).prop_map(|(id, tool)| Happening::Call(id, tool)),
        1 => (0_u32..4).prop_map(Happening::Ping),
        1 => (0_u32..4).prop_map(Happening::Cancel),
        4 => (0_usize..8, 0_usize..7).prop_map(|(which, verdict)| Happening::Asked(which, verdict)),
        2 => (0_usize..8, 0_usize..7).prop_map(|(which, verdict)| Happening::Waited(which, verdict)),
        3 => (0_u32..4).prop_map(Happening::Answered),
        1 => any::<bool>().prop_map(Happening::JournalFails),
        1 => Just(Happening::Garbage),
        1 => Just(Happening::Time),
    ];
    prop::collection::vec(one, 0..80)
}

proptest! {
    /// The sentences of the module's header, whatever happens in whatever order.
    #[test]
    fn no_call_is_forwarded_undecided_none_twice_and_none_is_forgotten(
        happenings in happenings(),
        remote in any::<bool>(),
        wait in any::<bool>(),
        end in 0_u8..3,
    ) {
        let rules = Rules { wait, ..Rules::default() };
        let mut run = Run::new(Settings { rules, remote, ..Settings::default() });
        let mut sent: u32 = 0;
        let mut cancels = 0;
        for happening in happenings {
            match happening {
                Happening::Call(id, tool) => {
                    sent += 1;
                    // Each call carries a serial number, so that it is known among others of its id.
                    run.call_with(id, TOOLS[tool], &format!(r#""serial":{sent}"#));
                }
                Happening::Ping(id) => run.client(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)),
                Happening::Cancel(id) => {
                    cancels += 1;
                    run.cancel(&id.to_string());
                }
                Happening::Asked(which, verdict) => {
                    if let Some(question) = run.asked.get(which) {
                        let ticket = question.ticket;
                        if !run.waits.contains(&ticket) {
                            run.handle(Input::Asked(ticket, verdicts(verdict)));
                        }
                    }
                }
                Happening::Waited(which, verdict) => {
                    if let Some(ticket) = run.waits.get(which).copied() {
                        run.handle(Input::Waited(ticket, verdicts(verdict)));
                    }
                }
                Happening::Answered(id) => run.answer(id),
                Happening::JournalFails(fails) => run.paper.broken = fails,
                Happening::Garbage => run.client("{garbage"),
                Happening::Time => {
                    run.now += Duration::from_secs(7);
                    run.session.handle_timeout(run.now);
                    run.settle();
                }
            }
        }
        match end {
            0 => run.handle(Input::ClientClosed),
            1 => run.handle(Input::Stop),
            _ => {}
        }
        run.handle(Input::ServerClosed);

        // No call without a forwarding decision on record; none twice.
        let mut permits: BTreeMap<(String, String), u32> = BTreeMap::new();
        for record in &run.paper.records {
            if let Record::Decision(decided) = record && decided.forwarded {
                *permits.entry((decided.id.clone(), decided.tool.clone())).or_default() += 1;
            }
        }
        let mut serials = BTreeSet::new();
        for text in run.to_server.iter().filter(|text| text.contains("tools/call")) {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            let name = message["params"]["name"].as_str().unwrap().to_owned();
            prop_assert!(name != "block", "forwarded although blocked");
            prop_assert!(serials.insert(message["params"]["serial"].as_u64().unwrap()), "forwarded twice");
            let left = permits.entry((message["id"].to_string(), name)).or_default();
            prop_assert!(*left > 0, "forwarded without a decision on record: {text}");
            *left -= 1;
        }

        // As many answers as calls, but for those that were cancelled.
        let answers = run.to_client.iter().filter(|text| {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            message["params"].is_null() && (message["id"].is_u64() || message["error"]["data"]["reason_code"] == "id_in_use")
        });
        let answers = u32::try_from(answers.count()).unwrap();
        let pings = u32::try_from(run.to_server.iter().filter(|text| text.contains("ping")).count()).unwrap();
        prop_assert!(answers + cancels + pings >= sent, "{answers} answers, {cancels} cancels, {sent} calls");
        prop_assert_eq!(run.session.requests.tickets(), []);
    }
}
