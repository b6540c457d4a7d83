//! Step-ups of the local rules, held by the sidecar's own desk.

use super::*;

fn with(step_up: StepUp) -> Settings {
    Settings { desk: true, rules: Rules { step_up, ..Rules::default() }, ..Settings::default() }
}

/// A hold that the desk keeps.
fn kept() -> Hold {
    Hold { keeper: Keeper::Sidecar, ..hold() }
}

impl Run {
    /// The desk's answer about the last call it was given.
    fn desk_says(&mut self, effect: Verb) {
        let ticket = self.held.last().unwrap().question.ticket;
        self.handle(Input::Asked(ticket, said(effect)));
    }

    fn decided(&self) -> Vec<(&'static str, bool, &'static str)> {
        let records = self.paper.records.iter();
        records
            .filter_map(|record| match record {
                Record::Decision(decided) => {
                    Some((decided.decision, decided.forwarded, decided.basis))
                }
                Record::Outcome(_) | Record::Unreadable { .. } => None,
            })
            .collect()
    }
}

#[test]
fn what_the_desk_says_is_what_happens() {
    for (step_up, says, code, forwarded) in [
        (StepUp::Return, Verb::Allow, None, true),
        (StepUp::Return, Verb::Block, Some(-32_001), false),
        (StepUp::Return, Verb::StepUp(None), Some(-32_002), false),
        (StepUp::Return, Verb::StepUp(Some(kept())), Some(-32_002), false),
        (StepUp::Elicit, Verb::StepUp(Some(kept())), Some(-32_002), false),
        (StepUp::Wait, Verb::Allow, None, true),
        (StepUp::Wait, Verb::StepUp(None), Some(-32_002), false),
    ] {
        let mut run = Run::new(with(step_up));
        run.call(1, "step_up");
        assert!(run.to_client.is_empty() && run.to_server.is_empty());
        assert_eq!(run.held.len(), 1);
        run.desk_says(says.clone());
        assert_eq!(run.to_server.len(), usize::from(forwarded), "{step_up:?} {says:?}");
        assert_eq!(run.to_client.len(), usize::from(!forwarded), "{step_up:?} {says:?}");
        if !forwarded {
            assert_eq!(run.last_code(), code, "{step_up:?} {says:?}");
        }
        let is_held = says == Verb::StepUp(Some(kept()));
        assert_eq!(run.to_client.iter().any(|text| text.contains("tok")), is_held);
    }
}

#[test]
fn a_call_that_the_desk_holds_waits_like_any_other() {
    for step_up in [StepUp::Wait, StepUp::Auto] {
        for (answer, forwarded, code) in [
            (said(Verb::Allow), true, None),
            (said(Verb::Block), false, Some(-32_001)),
            (said(Verb::StepUp(Some(kept()))), false, Some(-32_002)),
            (Answer::Silent(Grounds::default()), false, Some(-32_001)),
        ] {
            let mut run = Run::new(with(step_up));
            run.call(1, "step_up");
            run.desk_says(Verb::StepUp(Some(kept())));
            let ticket = run.waits[0];
            assert!(run.to_client.is_empty() && run.to_server.is_empty());
            run.handle(Input::Waited(ticket, answer.clone()));
            assert_eq!(run.to_server.len() == 1, forwarded, "{answer:?}");
            if !forwarded {
                assert_eq!(run.last_code(), code, "{answer:?}");
            }
        }
    }
}

#[test]
fn an_approval_names_the_rule_that_asked_for_it_and_a_persons_basis() {
    let mut run = Run::new(with(StepUp::Return));
    run.call(1, "step_up");
    let ticket = run.held[0].question.ticket;
    assert_eq!(run.held[0].grounds.rule_ids, ["step_up"]);
    let by = Grounds::coded("approved", "ada approved it at a terminal");
    run.handle(Input::Asked(ticket, Answer::Said(Verdict { effect: Verb::Allow, grounds: by })));
    assert_eq!(run.decided(), [("allow", true, "approved")]);
    let Record::Decision(decided) = &run.paper.records[0] else { panic!("a decision") };
    assert_eq!(decided.grounds.rule_ids, ["step_up"]);
    assert_eq!(decided.grounds.reason.as_deref(), Some("ada approved it at a terminal"));
}

#[test]
fn the_desk_is_asked_where_rules_have_stepped_up_and_nowhere_else() {
    let rules = |mode| Rules { mode, ..Rules::default() };
    for (mode, tool, asked) in [
        (Mode::Progressive, "step_up", true),
        (Mode::Progressive, "self", true),
        (Mode::Progressive, "other", false),
        (Mode::Progressive, "block", false),
        (Mode::Progressive, "defer", false),
        (Mode::Progressive, "allow", false),
        (Mode::StepUp, "step_up", true),
        (Mode::StepUp, "block", true),
        (Mode::StepUp, "other", false),
        (Mode::Block, "step_up", false),
        (Mode::Observe, "step_up", false),
        (Mode::Observe, "self", false),
        (Mode::Observe, "block", false),
    ] {
        let settings = Settings { desk: true, rules: rules(mode), ..Settings::default() };
        let mut run = Run::new(settings);
        run.call(1, tool);
        assert_eq!(run.held.len() == 1, asked, "{mode:?} {tool}");
        let mut none = Run::new(Settings { desk: false, ..settings });
        none.call(1, tool);
        assert!(none.held.is_empty());
    }
}

#[test]
fn what_the_enforcer_says_stays_in_force_beside_the_desk() {
    for (remote, desk_is_asked) in [
        (said(Verb::Allow), true),
        (said(modify(r#"{"x":1}"#)), true),
        (said(Verb::StepUp(Some(hold()))), false),
        (said(Verb::StepUp(None)), false),
        (said(Verb::Defer(None)), false),
        (said(Verb::Block), false),
        (Answer::Silent(Grounds::default()), false),
    ] {
        let mut run = Run::new(Settings { remote: true, ..with(StepUp::Return) });
        run.call(1, "step_up");
        assert!(run.held.is_empty(), "the enforcer is asked first");
        run.handle(Input::Asked(run.asked[0].ticket, remote.clone()));
        assert_eq!(run.held.len() == 1, desk_is_asked, "{remote:?}");
        assert!(run.to_server.is_empty());
    }
    for (outage, asked) in [(Outage::Allow, true), (Outage::StepUp, false), (Outage::Block, false)]
    {
        let rules = Rules { outage, ..Rules::default() };
        let mut run = Run::new(Settings { remote: true, desk: true, rules, ..Settings::default() });
        run.call(1, "step_up");
        run.handle(Input::Asked(run.asked[0].ticket, Answer::Silent(Grounds::default())));
        assert_eq!(run.held.len() == 1, asked, "{outage:?}");
    }
}

#[test]
fn the_person_is_asked_about_what_is_sent() {
    let mut run = Run::new(Settings { remote: true, ..with(StepUp::Return) });
    run.call_with(1, "step_up", r#""arguments":{"old":1}"#);
    run.handle(Input::Asked(run.asked[0].ticket, said(modify(r#"{"x":1}"#))));
    assert_eq!(run.held[0].question.arguments, r#"{"x":1}"#);
    run.desk_says(Verb::Allow);
    assert!(run.to_server[0].contains(r#""arguments":{"x":1}"#), "{}", run.to_server[0]);

    // Rules that step up what they have modified.
    let mut run = Run::new(with(StepUp::Return));
    run.call_with(1, "modify_step_up", r#""arguments":{"old":1}"#);
    assert_eq!(run.held[0].question.arguments, r#"{"new":1}"#);
    run.desk_says(Verb::Allow);
    assert!(run.to_server[0].contains(r#""arguments":{"new":1}"#), "{}", run.to_server[0]);
}

#[test]
fn a_call_that_was_overtaken_on_its_way_is_judged_again() {
    let mut run = Run::new(with(StepUp::Return));
    run.call(1, "once_step_up");
    run.call(2, "once_step_up");
    let tickets: Vec<_> = run.held.iter().map(|held| held.question.ticket).collect();
    for ticket in tickets {
        run.handle(Input::Asked(ticket, said(Verb::Allow)));
    }
    assert_eq!(run.to_server.len(), 1);
    assert_eq!(run.last_code(), Some(-32_001), "approved, but overtaken");
}

#[test]
fn the_desk_satisfies_no_rule_that_it_would_not_be_asked_about() {
    for (tool, forwarded) in [("step_up", true), ("self", true), ("then_other", false)] {
        for waits in [false, true] {
            let mut run = Run::new(with(StepUp::Wait));
            run.call(1, tool);
            let ticket = run.held[0].question.ticket;
            if waits {
                run.desk_says(Verb::StepUp(Some(kept())));
            }
            run.call(2, "allow");
            let answer = said(Verb::Allow);
            let input =
                if waits { Input::Waited(ticket, answer) } else { Input::Asked(ticket, answer) };
            run.handle(input);
            let found = run.to_server.iter().any(|text| text.contains(tool));
            assert_eq!(found, forwarded, "{tool} {waits}");
            if !forwarded {
                assert_eq!(run.last_code(), Some(-32_002), "{tool} {waits}");
            }
        }
    }
}

#[test]
fn nothing_is_asked_of_the_desk_at_the_end() {
    let mut run = Run::new(Settings { remote: true, ..with(StepUp::Wait) });
    run.call(1, "step_up");
    run.call(2, "step_up");
    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::Allow)));
    assert_eq!(run.held.len(), 1);
    run.handle(Input::ClientClosed);
    run.handle(Input::Asked(run.asked[1].ticket, said(Verb::Allow)));
    assert_eq!(run.held.len(), 1);
    assert_eq!(run.last_code(), Some(-32_002));

    run.desk_says(Verb::StepUp(Some(kept())));
    assert!(run.waits.is_empty(), "nobody is there to be asked");
    assert_eq!(run.last_code(), Some(-32_002));
    assert!(run.released.is_empty());
    assert!(run.to_server.is_empty() && run.server_ended);
}

#[test]
fn a_cancelled_call_is_withdrawn_and_a_late_yes_executes_nothing() {
    for held in [false, true] {
        let mut run = Run::new(with(StepUp::Wait));
        run.call(1, "step_up");
        let ticket = run.held[0].question.ticket;
        if held {
            run.desk_says(Verb::StepUp(Some(kept())));
        }
        run.cancel("1");
        assert_eq!(run.withdrawn, [ticket]);
        assert_eq!(run.released, if held { vec![kept()] } else { vec![] });
        run.handle(Input::Asked(ticket, said(Verb::Allow)));
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert!(run.to_server.is_empty() && run.to_client.is_empty());
    }
}

#[test]
fn a_hold_that_is_not_on_record_is_let_go() {
    let mut run = Run::new(with(StepUp::Wait));
    run.call(1, "step_up");
    run.paper.broken = true;
    run.desk_says(Verb::StepUp(Some(kept())));
    assert_eq!(run.released, [kept()]);
    assert!(run.waits.is_empty() && run.to_server.is_empty());
    assert_eq!(run.last()["error"]["data"]["reason_code"], "journal_unavailable");
}

#[test]
fn the_end_of_a_session_withdraws_no_approval() {
    for end in [Input::ClientClosed, Input::Stop, Input::ServerClosed] {
        let mut run = Run::new(with(StepUp::Wait));
        run.call(1, "step_up");
        run.desk_says(Verb::StepUp(Some(kept())));
        let row = format!("{end:?}");
        run.handle(end);
        assert_eq!(run.to_client.len(), 1, "{row}");
        assert_eq!(run.withdrawn.len(), 1, "{row}");
        assert!(run.released.is_empty() && run.to_server.is_empty(), "{row}");
    }
}

#[test]
fn an_order_that_comes_while_the_desk_is_asked_counts() {
    let (mut run, order) = Run::telling(false, false);
    run.session = Session::new(
        with(StepUp::Wait),
        Some(Box::new(story::Under(std::sync::Arc::clone(&order)))),
    );
    run.call(1, "step_up");
    order.store(true, std::sync::atomic::Ordering::Relaxed);
    run.desk_says(Verb::Allow);
    assert!(run.to_server.is_empty());
    assert_eq!(run.last()["error"]["data"]["reason_code"], "endpoint_quarantined");
}

#[test]
fn whoever_may_ask_anew_is_not_told_to_give_up() {
    for (code, gives_up) in
        [("approval_denied", true), ("approval_used", false), ("approval_expired", false)]
    {
        let mut run = Run::new(with(StepUp::Wait));
        run.call(1, "step_up");
        run.desk_says(Verb::StepUp(Some(kept())));
        let verdict = Verdict::block(code, "because");
        run.handle(Input::Waited(run.waits[0], Answer::Said(verdict)));
        let last = run.last();
        let message = last["error"]["message"].as_str().unwrap();
        assert_eq!(message.contains("Do not call it again"), gives_up, "{message}");
        assert!(message.contains("because"), "{message}");
        assert_eq!(last["error"]["code"], -32_001);
    }
}

#[test]
fn a_long_name_is_not_told_again_and_again() {
    let mut run = Run::remote();
    run.call_with(1, &"x".repeat(10_000), r#""_meta":{"progressToken":"p"}"#);
    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::StepUp(Some(hold())))));
    let told = run.last()["params"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("waits for a person") && told.len() < 400, "{}", told.len());
}

#[test]
fn a_model_is_told_who_approves_and_what_to_do_then() {
    let token = "tok_1-a.B".to_owned();
    let url = || Some("https://thoth.example/a/1".to_owned());
    for (keeper, approval_url, token, place) in [
        (Keeper::Enforcer, url(), token.clone(), " at https://thoth.example/a/1, and"),
        (
            Keeper::Enforcer,
            None,
            token.clone(),
            " by whoever may at the policy enforcer, or with `thoth approvals approve tok_1-a.B`, and",
        ),
        (
            Keeper::Sidecar,
            None,
            token,
            " by a person on this machine, with `thoth approvals approve tok_1-a.B`, and",
        ),
        (Keeper::Sidecar, None, "a; rm -rf /".to_owned(), " with `thoth approvals`, and"),
        (Keeper::Sidecar, None, "--help".to_owned(), " with `thoth approvals`, and"),
    ] {
        let hold = Hold { token: token.clone(), approval_url, keeper, ..hold() };
        let mut run = Run::remote();
        run.call_with(1, "a", r#""_meta":{"progressToken":"p"}"#);
        let ticket = run.asked[0].ticket;
        run.handle(Input::Asked(ticket, said(Verb::StepUp(Some(hold.clone())))));
        let told = run.last()["params"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(place.trim_end_matches(", and")), "{told}");

        let timeout = Grounds::coded("step_up_timeout", "nobody approved the call within 50 s");
        let verdict = Verdict { effect: Verb::StepUp(Some(hold)), grounds: timeout };
        run.handle(Input::Waited(ticket, Answer::Said(verdict)));
        let error = &run.last()["error"];
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(place), "{message}");
        assert!(message.contains("within 50 s") && message.contains("the same call again"));
        assert_eq!(error["code"], -32_002);
        assert_eq!(error["data"]["decision"], "STEP_UP");
        assert_eq!(error["data"]["reason_code"], "step_up_timeout");
        assert_eq!(error["data"]["hold_token"], token);
        assert_eq!(error["data"]["retryable"], true);
    }
}
