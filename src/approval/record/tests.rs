//! Every state, and everything that can happen to it.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The end of every approval here; what happens before happens at 10.
const END: i64 = 100;

fn by(name: &str, second: i64) -> Answered {
    Answered {
        by: name.to_owned(),
        assurance: Assurance::Terminal,
        at: at(second),
        note: Some("as agreed".to_owned()),
    }
}

fn standing(state: State) -> Approval {
    Approval { state, created_at: at(0), expires_at: at(END) }
}

/// What can happen to an approval.
#[derive(Clone, Debug)]
enum Event {
    Approve(i64),
    Deny(i64),
    Claim(i64),
    Withdraw(i64),
    Time(i64),
}

/// What came of it, for whoever did it.
#[derive(Debug, Eq, PartialEq)]
enum Said {
    Nothing,
    Answered(Result<(), Closed>),
    Claimed(Claim),
}

fn happen(approval: &mut Approval, event: &Event) -> Said {
    match *event {
        Event::Approve(second) => {
            Said::Answered(approval.answer(Reply::Approve, by("eve", second)))
        }
        Event::Deny(second) => Said::Answered(approval.answer(Reply::Deny, by("eve", second))),
        Event::Claim(second) => Said::Claimed(approval.claim(at(second))),
        Event::Withdraw(second) => {
            approval.withdraw(at(second));
            Said::Nothing
        }
        Event::Time(second) => {
            approval.expire(at(second));
            Said::Nothing
        }
    }
}

#[test]
fn every_state_and_everything_that_can_happen_to_it() {
    use Event::{Approve, Claim as Ask, Deny, Time, Withdraw};
    use State::{Approved, Denied, Expired, Pending, Spent, Withdrawn};

    let (ada, eve) = (|| by("ada", 5), || by("eve", 10));
    let answered = |closed| Said::Answered(Err(closed));
    let late = |name: fn(i64) -> Event| name(END);
    let table = [
        // Before its end.
        (Pending, Approve(10), Approved(eve()), Said::Answered(Ok(()))),
        (Pending, Deny(10), Denied(eve()), Said::Answered(Ok(()))),
        (Pending, Ask(10), Pending, Said::Claimed(Claim::Pending)),
        (Pending, Withdraw(10), Withdrawn, Said::Nothing),
        (Pending, Time(END - 1), Pending, Said::Nothing),
        (Approved(ada()), Approve(10), Approved(ada()), answered(Closed::Answered)),
        (Approved(ada()), Deny(10), Approved(ada()), answered(Closed::Answered)),
        (Approved(ada()), Ask(10), Spent(ada()), Said::Claimed(Claim::Approved(ada()))),
        (Approved(ada()), Withdraw(10), Withdrawn, Said::Nothing),
        (Approved(ada()), Time(END - 1), Approved(ada()), Said::Nothing),
        (Denied(ada()), Approve(10), Denied(ada()), answered(Closed::Answered)),
        (Denied(ada()), Deny(10), Denied(ada()), answered(Closed::Answered)),
        (Denied(ada()), Ask(10), Denied(ada()), Said::Claimed(Claim::Denied(ada()))),
        (Denied(ada()), Withdraw(10), Denied(ada()), Said::Nothing),
        (Denied(ada()), Time(END - 1), Denied(ada()), Said::Nothing),
        (Spent(ada()), Approve(10), Spent(ada()), answered(Closed::Answered)),
        (Spent(ada()), Deny(10), Spent(ada()), answered(Closed::Answered)),
        (Spent(ada()), Ask(10), Spent(ada()), Said::Claimed(Claim::Used(ada()))),
        (Spent(ada()), Withdraw(10), Spent(ada()), Said::Nothing),
        (Spent(ada()), Time(END - 1), Spent(ada()), Said::Nothing),
        (Withdrawn, Approve(10), Withdrawn, answered(Closed::Withdrawn)),
        (Withdrawn, Deny(10), Withdrawn, answered(Closed::Withdrawn)),
        (Withdrawn, Ask(10), Withdrawn, Said::Claimed(Claim::Withdrawn)),
        (Withdrawn, Withdraw(10), Withdrawn, Said::Nothing),
        (Withdrawn, Time(END - 1), Withdrawn, Said::Nothing),
        (Expired, Approve(10), Expired, answered(Closed::Expired)),
        (Expired, Deny(10), Expired, answered(Closed::Expired)),
        (Expired, Ask(10), Expired, Said::Claimed(Claim::Expired)),
        (Expired, Withdraw(10), Expired, Said::Nothing),
        (Expired, Time(END - 1), Expired, Said::Nothing),
        // At its end.
        (Pending, late(Approve), Expired, answered(Closed::Expired)),
        (Pending, late(Deny), Expired, answered(Closed::Expired)),
        (Pending, late(Ask), Expired, Said::Claimed(Claim::Expired)),
        (Pending, late(Withdraw), Expired, Said::Nothing),
        (Pending, late(Time), Expired, Said::Nothing),
        (Approved(ada()), late(Approve), Expired, answered(Closed::Expired)),
        (Approved(ada()), late(Deny), Expired, answered(Closed::Expired)),
        (Approved(ada()), late(Ask), Expired, Said::Claimed(Claim::Expired)),
        (Approved(ada()), late(Withdraw), Expired, Said::Nothing),
        (Approved(ada()), late(Time), Expired, Said::Nothing),
        (Denied(ada()), late(Approve), Expired, answered(Closed::Expired)),
        (Denied(ada()), late(Deny), Expired, answered(Closed::Expired)),
        (Denied(ada()), late(Ask), Expired, Said::Claimed(Claim::Expired)),
        (Denied(ada()), late(Withdraw), Expired, Said::Nothing),
        (Denied(ada()), late(Time), Expired, Said::Nothing),
        (Spent(ada()), late(Approve), Spent(ada()), answered(Closed::Answered)),
        (Spent(ada()), late(Deny), Spent(ada()), answered(Closed::Answered)),
        (Spent(ada()), late(Ask), Spent(ada()), Said::Claimed(Claim::Used(ada()))),
        (Spent(ada()), late(Withdraw), Spent(ada()), Said::Nothing),
        (Spent(ada()), late(Time), Spent(ada()), Said::Nothing),
        (Withdrawn, late(Approve), Withdrawn, answered(Closed::Withdrawn)),
        (Withdrawn, late(Deny), Withdrawn, answered(Closed::Withdrawn)),
        (Withdrawn, late(Ask), Withdrawn, Said::Claimed(Claim::Withdrawn)),
        (Withdrawn, late(Withdraw), Withdrawn, Said::Nothing),
        (Withdrawn, late(Time), Withdrawn, Said::Nothing),
        (Expired, late(Approve), Expired, answered(Closed::Expired)),
        (Expired, late(Deny), Expired, answered(Closed::Expired)),
        (Expired, late(Ask), Expired, Said::Claimed(Claim::Expired)),
        (Expired, late(Withdraw), Expired, Said::Nothing),
        (Expired, late(Time), Expired, Said::Nothing),
    ];
    for (before, event, after, said) in table {
        let row = format!("{before:?} {event:?}");
        let mut approval = standing(before);
        assert_eq!(happen(&mut approval, &event), said, "{row}");
        assert_eq!(approval, standing(after), "{row}");
    }
}

#[test]
fn a_new_call_attaches_to_what_is_open() {
    let ada = || by("ada", 5);
    for (state, is_open) in [
        (State::Pending, true),
        (State::Approved(ada()), true),
        (State::Denied(ada()), true),
        (State::Spent(ada()), false),
        (State::Withdrawn, false),
        (State::Expired, false),
    ] {
        let approval = standing(state);
        assert_eq!(approval.is_open(at(END - 1)), is_open, "{approval:?}");
        assert!(!approval.is_open(at(END)), "{approval:?}");
    }
}

#[test]
fn each_outcome_has_its_code_and_its_sentence() {
    let ada = || by("ada", 5);
    for (claim, code, reason) in [
        (Claim::Pending, None, None),
        (
            Claim::Approved(ada()),
            Some("approved"),
            Some("approved by ada (terminal) at 2027-01-15T08:00:05Z: as agreed"),
        ),
        (
            Claim::Denied(Answered { note: None, ..ada() }),
            Some("approval_denied"),
            Some("denied by ada (terminal) at 2027-01-15T08:00:05Z"),
        ),
        (
            Claim::Used(ada()),
            Some("approval_used"),
            Some(
                "the approval was used by another call that is the same; make this one again to ask anew",
            ),
        ),
        (
            Claim::Withdrawn,
            Some("approval_withdrawn"),
            Some("the request for approval was withdrawn"),
        ),
        (
            Claim::Expired,
            Some("approval_expired"),
            Some("nobody approved it before the request expired; make the call again to ask anew"),
        ),
    ] {
        assert_eq!((claim.reason_code(), claim.reason().as_deref()), (code, reason));
    }
}

#[test]
fn assurance_is_ordered_by_strength() {
    use Assurance::{ApiKey, Elicitation, Link, Oidc, Terminal};

    let order = [Elicitation, Terminal, ApiKey, Link, Oidc];
    assert!(order.is_sorted());
    assert_eq!(order.map(Assurance::word), ["elicitation", "terminal", "api_key", "link", "oidc"]);
}

fn event() -> impl Strategy<Value = Event> {
    let second = || 0..END + 20;
    prop_oneof![
        second().prop_map(Event::Approve),
        second().prop_map(Event::Deny),
        second().prop_map(Event::Claim),
        second().prop_map(Event::Withdraw),
        second().prop_map(Event::Time),
    ]
}

#[test]
fn what_is_written_beside_an_answer_acts_on_nothing() {
    let note = Some("fine\n\u{1b}[2J\u{202e}by me".to_owned());
    let claim = Claim::Approved(Answered { note, ..by("ada\r", 10) });
    let reason = claim.reason().unwrap();
    assert!(reason.starts_with("approved by ada  (terminal) at "), "{reason}");
    assert!(reason.ends_with(": fine  [2J by me"), "{reason}");
}

proptest! {
    /// Times may go back: clocks are set.
    #[test]
    fn an_approval_lets_one_call_through_and_none_without_a_yes(
        events in prop::collection::vec(event(), 0..40)
    ) {
        let mut approval = Approval::pending(at(0), at(END));
        let (mut yes, mut no, mut through) = (0, 0, 0);
        for event in &events {
            let before = approval.clone();
            match (happen(&mut approval, event), event) {
                (Said::Answered(Ok(())), Event::Approve(_)) => yes += 1,
                (Said::Answered(Ok(())), _) => no += 1,
                (Said::Claimed(Claim::Approved(_)), Event::Claim(second)) => {
                    through += 1;
                    prop_assert_eq!(yes, 1);
                    prop_assert!(*second < END);
                }
                _ => {}
            }
            prop_assert!(yes + no <= 1, "one answer counts");
            prop_assert!(through <= yes, "single use");
            if matches!(before.state, State::Spent(_) | State::Withdrawn | State::Expired) {
                prop_assert_eq!(&before, &approval, "what is over stays as it is");
            }
        }
    }
}
