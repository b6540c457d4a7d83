//! The decision tables, written out.

use super::*;
use crate::gate::verdict::Keeper;

const MODES: [Mode; 4] = [Mode::Observe, Mode::Progressive, Mode::StepUp, Mode::Block];

fn hold() -> Hold {
    Hold {
        token: "t".to_owned(),
        approval_url: None,
        expires_at: None,
        timeout: None,
        keeper: Keeper::Enforcer,
    }
}

/// A verdict by its word; `step_up!` is one that nobody can be asked about.
fn verdict(word: &str) -> Verdict {
    let effect = match word {
        "allow" => Effect::Allow,
        "modify" => Effect::Modify(Arguments::parse("{}").unwrap()),
        "step_up" => Effect::StepUp(Some(hold())),
        "step_up!" => Effect::StepUp(None),
        "defer" => Effect::Defer(None),
        "block" => Effect::Block,
        other => panic!("{other}"),
    };
    Verdict { effect, grounds: Grounds::default() }
}

/// What happens, in a word: `forward`, `modified`, `hold`, or the effect a call is refused with.
fn outcome(ruling: &Ruling) -> &'static str {
    match &ruling.decision {
        Decision::Forward(permit) if permit.arguments().is_some() => "modified",
        Decision::Forward(_) => "forward",
        Decision::Hold(_) => "hold",
        Decision::Refuse => ruling.verdict.effect.word(),
    }
}

fn decided(rules: Rules, local: Option<&str>, remote: Option<Answer>) -> &'static str {
    outcome(&decide(Ticket(1), rules, Opinions { local: local.map(verdict), remote }))
}

fn said(word: &str) -> Answer {
    Answer::Said(verdict(word))
}

#[test]
fn the_mode_is_applied_to_local_rules() {
    for (local, expected) in [
        // in the order of MODES: observe, progressive, step_up, block
        ("allow", ["forward", "forward", "forward", "forward"]),
        ("modify", ["forward", "modified", "modified", "modified"]),
        ("step_up!", ["forward", "step_up", "step_up", "block"]),
        ("defer", ["forward", "defer", "defer", "defer"]),
        ("block", ["forward", "block", "step_up", "block"]),
    ] {
        for (mode, expected) in MODES.into_iter().zip(expected) {
            let rules = Rules { mode, ..Rules::default() };
            assert_eq!(decided(rules, Some(local), None), expected, "{local} {mode:?}");
        }
    }
}

#[test]
fn the_enforcer_applies_the_mode_itself() {
    for (remote, expected) in [
        ("allow", ["forward", "forward", "forward", "forward"]),
        ("modify", ["forward", "modified", "modified", "modified"]),
        ("step_up", ["forward", "step_up", "step_up", "step_up"]),
        ("defer", ["forward", "defer", "defer", "defer"]),
        ("block", ["forward", "block", "block", "block"]),
    ] {
        for (mode, expected) in MODES.into_iter().zip(expected) {
            let rules = Rules { mode, ..Rules::default() };
            assert_eq!(decided(rules, None, Some(said(remote))), expected, "{remote} {mode:?}");
        }
    }
}

#[test]
fn the_strictest_of_both_wins() {
    for (local, expected) in [
        // remote: allow, modify, step_up, defer, block
        ("allow", ["forward", "modified", "step_up", "defer", "block"]),
        ("modify", ["modified", "modified", "step_up", "defer", "block"]),
        ("step_up!", ["step_up", "step_up", "step_up", "defer", "block"]),
        ("defer", ["defer", "defer", "defer", "defer", "block"]),
        ("block", ["block", "block", "block", "block", "block"]),
    ] {
        for (remote, expected) in
            ["allow", "modify", "step_up", "defer", "block"].into_iter().zip(expected)
        {
            let found = decided(Rules::default(), Some(local), Some(said(remote)));
            assert_eq!(found, expected, "{local} {remote}");
        }
    }
}

#[test]
fn silence_takes_the_failure_decision_and_the_rules_stay() {
    for (local, expected) in [
        // outage: allow, step_up, block
        (None, ["forward", "step_up", "block"]),
        (Some("allow"), ["forward", "step_up", "block"]),
        (Some("modify"), ["modified", "step_up", "block"]),
        (Some("step_up!"), ["step_up", "step_up", "block"]),
        (Some("defer"), ["defer", "defer", "block"]),
        (Some("block"), ["block", "block", "block"]),
    ] {
        for (outage, expected) in
            [Outage::Allow, Outage::StepUp, Outage::Block].into_iter().zip(expected)
        {
            for mode in MODES {
                let silent = Some(Answer::Silent(Grounds::default()));
                let found = decided(Rules { mode, outage, step_up: StepUp::Return }, local, silent);
                let expected = match mode {
                    Mode::Observe => "forward",
                    Mode::StepUp if local == Some("block") && outage != Outage::Block => "step_up",
                    Mode::Block if local == Some("step_up!") => "block",
                    Mode::Progressive | Mode::StepUp | Mode::Block => expected,
                };
                assert_eq!(found, expected, "{local:?} {outage:?} {mode:?}");
            }
        }
    }
}

#[test]
fn with_no_verdict_at_all_nothing_is_forwarded() {
    for mode in [Mode::Progressive, Mode::StepUp, Mode::Block] {
        let rules = Rules { mode, ..Rules::default() };
        assert_eq!(decided(rules, None, None), "block", "{mode:?}");
    }
}

#[test]
fn only_a_step_up_that_somebody_can_answer_is_waited_for() {
    let rules = Rules { step_up: StepUp::Wait, ..Rules::default() };
    assert_eq!(decided(rules, None, Some(said("step_up"))), "hold");
    assert_eq!(decided(rules, None, Some(said("step_up!"))), "step_up");
    assert_eq!(decided(rules, Some("step_up!"), Some(said("step_up"))), "hold");
    assert_eq!(decided(rules, Some("step_up!"), None), "step_up");
    assert_eq!(decided(rules, Some("block"), Some(said("step_up"))), "block");
    let observed = Rules { mode: Mode::Observe, ..rules };
    assert_eq!(decided(observed, None, Some(said("step_up"))), "forward");
}

#[test]
fn how_a_hold_ends() {
    for (answer, expected) in [
        ("allow", "forward"),
        ("modify", "modified"),
        ("step_up", "step_up"),
        ("step_up!", "step_up"),
        ("defer", "defer"),
        ("block", "block"),
    ] {
        let answer = Answer::Said(verdict(answer));
        assert_eq!(outcome(&decide_held(Ticket(1), Keeper::Enforcer, None, answer)), expected);
    }
    let silent = Answer::Silent(Grounds::default());
    assert_eq!(outcome(&decide_held(Ticket(1), Keeper::Enforcer, None, silent)), "block");
}

#[test]
fn a_local_block_is_final_unless_a_person_may_let_it_through() {
    for (word, expected) in [
        // observe, progressive, step_up, block
        ("allow", [false, false, false, false]),
        ("modify", [false, false, false, false]),
        ("step_up!", [false, false, false, true]),
        ("defer", [false, false, false, false]),
        ("block", [true, true, false, true]),
    ] {
        for (mode, expected) in MODES.into_iter().zip(expected) {
            assert_eq!(is_final(mode, &verdict(word)), expected, "{word} {mode:?}");
        }
    }
}

#[test]
fn both_sides_reasons_are_kept_on_a_tie() {
    let with = |id: &str, reason: Option<&str>| Verdict {
        effect: Effect::Block,
        grounds: Grounds {
            rule_ids: vec![id.to_owned()],
            reason: reason.map(str::to_owned),
            ..Grounds::default()
        },
    };
    let opinions = Opinions {
        local: Some(with("ours", Some("because"))),
        remote: Some(Answer::Said(with("theirs", None))),
    };
    let ruling = decide(Ticket(1), Rules::default(), opinions);
    assert_eq!(ruling.basis, Basis::Enforcer);
    assert_eq!(ruling.verdict.grounds.rule_ids, ["theirs", "ours"]);
    assert_eq!(ruling.verdict.grounds.reason.as_deref(), Some("because"));
}

#[test]
fn what_the_desk_says_is_weighed_like_a_persons_word() {
    for (answer, expected) in [
        // in the order of StepUp: return, wait, elicit, auto
        ("allow", ["modified", "modified", "modified", "modified"]),
        ("modify", ["modified", "modified", "modified", "modified"]),
        ("step_up", ["step_up", "hold", "hold", "hold"]),
        ("step_up!", ["step_up", "step_up", "step_up", "step_up"]),
        ("defer", ["defer", "defer", "defer", "defer"]),
        ("block", ["block", "block", "block", "block"]),
    ] {
        for (step_up, expected) in STEP_UPS.into_iter().zip(expected) {
            let rules = Rules { step_up, ..Rules::default() };
            let modified = Arguments::parse(r#"{"new":1}"#).unwrap();
            let ruling = decide_at_desk(Ticket(1), rules, Some(modified.clone()), said(answer));
            assert_eq!(outcome(&ruling), expected, "{answer} {step_up:?}");
            if expected == "hold" {
                assert_eq!(ruling.modified, Some(modified), "it is what would be sent");
            }
            let by = if expected == "modified" { Basis::Approved } else { Basis::Rules };
            assert_eq!(ruling.basis, by, "{answer}");
        }
    }
    let silent = Answer::Silent(Grounds::default());
    assert_eq!(outcome(&decide_at_desk(Ticket(1), Rules::default(), None, silent)), "block");
}

const STEP_UPS: [StepUp; 4] = [StepUp::Return, StepUp::Wait, StepUp::Elicit, StepUp::Auto];

#[test]
fn what_becomes_of_a_call_with_a_hold() {
    let form = Modes { form: true, url: false };
    let both = Modes { form: true, url: true };
    let paged = Hold { approval_url: Some("https://thoth.example/a".to_owned()), ..hold() };
    for (asking, self_approval, hold, expected) in [
        // in the order of StepUp: return, wait, elicit, auto
        (Asking::May(Modes::NONE), Some(true), &paged, ["refuse", "wait", "refuse", "wait"]),
        (Asking::May(form), Some(true), &paged, ["refuse", "wait", "form", "form"]),
        (Asking::May(form), None, &paged, ["refuse", "wait", "refuse", "wait"]),
        (Asking::May(form), Some(false), &paged, ["refuse", "wait", "refuse", "wait"]),
        (Asking::May(both), Some(false), &paged, ["refuse", "wait", "page", "page"]),
        (Asking::May(both), Some(false), &hold(), ["refuse", "wait", "refuse", "wait"]),
        (Asking::Asked, Some(true), &paged, ["refuse", "wait", "refuse", "wait"]),
        (Asking::Opened, None, &paged, ["refuse", "wait", "wait", "wait"]),
    ] {
        for (step_up, expected) in STEP_UPS.into_iter().zip(expected) {
            let course = match step_up.course(asking, self_approval, hold) {
                Course::Ask(Way::Form) => "form",
                Course::Ask(Way::Page) => "page",
                Course::Refuse => "refuse",
                Course::Wait => "wait",
            };
            assert_eq!(course, expected, "{asking:?} {self_approval:?} {step_up:?}");
        }
    }
}

#[test]
fn what_a_persons_approval_leaves_in_force() {
    let with = |word: &str, self_approval| {
        let verdict = verdict(word);
        Verdict { grounds: Grounds { self_approval, ..verdict.grounds }, ..verdict }
    };
    for (word, self_approval, elsewhere, in_client) in [
        // in the order of MODES: observe, progressive, step_up, block
        ("allow", None, [false, false, false, false], [false, false, false, false]),
        ("modify", None, [false, false, false, false], [false, false, false, false]),
        ("step_up!", None, [false, false, false, true], [true, true, true, true]),
        ("step_up!", Some(false), [false, false, false, true], [true, true, true, true]),
        ("step_up!", Some(true), [false, false, false, true], [false, false, false, true]),
        ("defer", Some(true), [true, true, true, true], [true, true, true, true]),
        ("block", None, [true, true, false, true], [true, true, true, true]),
    ] {
        for (at, mode) in MODES.into_iter().enumerate() {
            let row = format!("{word} {self_approval:?} {mode:?}");
            let verdict = with(word, self_approval);
            assert_eq!(outranks_approval(mode, &verdict, false), elsewhere[at], "{row}");
            assert_eq!(outranks_approval(mode, &verdict, true), in_client[at], "{row}");
        }
    }
}

#[test]
fn on_a_tie_both_must_let_whoever_calls_agree() {
    let with = |self_approval| Verdict {
        effect: Effect::StepUp(Some(hold())),
        grounds: Grounds { self_approval, ..Grounds::default() },
    };
    let all = [None, Some(false), Some(true)];
    for local in all {
        for remote in all {
            let opinions =
                Opinions { local: Some(with(local)), remote: Some(Answer::Said(with(remote))) };
            let found = decide(Ticket(1), Rules::default(), opinions);
            let expected = match (local, remote) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            assert_eq!(found.verdict.grounds.self_approval, expected, "{local:?} {remote:?}");
        }
    }
}
