//! What becomes of holds, row by row, and whatever order things happen in.

use proptest::prelude::*;

use super::*;
use crate::approval::Binding;
use crate::approval::record::Assurance;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The second at which a record of second 0 ends.
const END: i64 = 15 * 60;

fn call(arguments: &str) -> Call {
    let binding = Binding { agent: "a", server: "s", tool: "t", arguments, policy: "p" };
    let grounds = Grounds {
        rule_ids: vec!["careful".to_owned()],
        self_approval: Some(true),
        ..Grounds::coded("rule_matched", "deletes need a person")
    };
    Call {
        hash: binding.hash().unwrap(),
        tool: "t".to_owned(),
        arguments: arguments.to_owned(),
        grounds,
    }
}

fn ada(second: i64) -> Answered {
    Answered { by: "ada".to_owned(), assurance: Assurance::Terminal, at: at(second), note: None }
}

fn held(asked: Asked) -> Hold {
    let Asked::Held(hold) = asked else { panic!("{asked:?}") };
    hold
}

/// The reason code of what was decided; `held` where it was not, `full` where there is no room.
fn word(asked: &Asked) -> &str {
    match asked {
        Asked::Decided(verdict) => verdict.grounds.reason_code.as_deref().unwrap(),
        Asked::Held(_) => "held",
        Asked::Full => "full",
    }
}

fn code(verdict: Option<&Verdict>) -> Option<&str> {
    verdict.map(|verdict| verdict.grounds.reason_code.as_deref().unwrap())
}

#[test]
fn a_hold_says_how_long_it_is_kept_and_by_whom() {
    let mut book = Book::default();
    let first = held(book.ask(call("{}"), "3f2a".to_owned(), at(0)));
    let again = held(book.ask(call(" { } "), "9999".to_owned(), at(60)));
    let kept = |token: &str, seconds| Hold {
        token: token.to_owned(),
        approval_url: None,
        expires_at: Some("2027-01-15T08:15:00Z".to_owned()),
        timeout: Some(Duration::from_secs(seconds)),
        keeper: Keeper::Sidecar,
    };
    assert_eq!(first, kept("3f2a-1", 900));
    assert_eq!(again, kept("3f2a-2", 840), "the same call attaches to the same record");
    let pending = book.pending(at(60));
    assert_eq!(pending.len(), 1);
    assert_eq!((&*pending[0].id, &*pending[0].arguments), ("3f2a", "{}"));
    assert_eq!(pending[0].rule_ids, ["careful"]);
}

#[test]
fn what_a_call_is_told_when_it_is_made_again() {
    type Deed = fn(&mut Book);
    let table: [(&str, Deed, i64, &str); 11] = [
        ("pending", |_| {}, 1, "held"),
        ("approved", |book| book.answer("x", Reply::Approve, ada(1)).unwrap(), 2, "approved"),
        ("denied", |book| book.answer("x", Reply::Deny, ada(1)).unwrap(), 2, "approval_denied"),
        ("denied, at its end", |book| book.answer("x", Reply::Deny, ada(1)).unwrap(), END, "held"),
        (
            "approved too late",
            |book| book.answer("x", Reply::Approve, ada(1)).unwrap(),
            END,
            "held",
        ),
        ("expired", |_| {}, END, "held"),
        ("released", |book| book.release("x-1", at(1)), 2, "held"),
        (
            "approved and released",
            |book| {
                book.answer("x", Reply::Approve, ada(1)).unwrap();
                book.release("x-1", at(2));
            },
            3,
            "held",
        ),
        (
            "denied and released",
            |book| {
                book.answer("x", Reply::Deny, ada(1)).unwrap();
                book.release("x-1", at(2));
            },
            3,
            "approval_denied",
        ),
        (
            "approved and used",
            |book| {
                book.answer("x", Reply::Approve, ada(1)).unwrap();
                assert_eq!(code(book.claim("x-1", at(2)).as_ref()), Some("approved"));
            },
            3,
            "held",
        ),
        (
            "replied to inside the client",
            |book| book.reply("x-1", None, Reply::Approve, ada(1)),
            2,
            "approved",
        ),
    ];
    for (row, deed, then, told) in table {
        let mut book = Book::default();
        held(book.ask(call("{}"), "x".to_owned(), at(0)));
        deed(&mut book);
        assert_eq!(word(&book.ask(call("{}"), "y".to_owned(), at(then))), told, "{row}");
    }
}

#[test]
fn an_answer_inside_the_client_counts_only_for_its_call_and_where_it_may() {
    let other = call(r#"{"a":1}"#).hash;
    for (self_approval, about, counts) in [
        (Some(true), None, true),
        (Some(true), Some(call("{}").hash), true),
        (Some(true), Some(other), false),
        (Some(false), None, false),
        (None, None, false),
    ] {
        let mut book = Book::default();
        let mut asked = call("{}");
        asked.grounds.self_approval = self_approval;
        let hold = held(book.ask(asked, "x".to_owned(), at(0)));
        book.reply(&hold.token, about, Reply::Approve, ada(1));
        let claimed = book.claim(&hold.token, at(2));
        assert_eq!(claimed.is_some(), counts, "{self_approval:?} {about:?}");
    }
}

#[test]
fn one_yes_lets_one_of_several_through() {
    let mut book = Book::default();
    let tokens: Vec<_> =
        (0..3).map(|_| held(book.ask(call("{}"), "x".to_owned(), at(0))).token).collect();
    assert!(tokens.iter().all(|token| book.claim(token, at(1)).is_none()));
    book.answer("x", Reply::Approve, ada(2)).unwrap();
    let told: Vec<_> = tokens.iter().map(|token| book.claim(token, at(3)).unwrap()).collect();
    assert_eq!(told[0].effect, Effect::Allow);
    assert_eq!(
        told[0].grounds.reason.as_deref(),
        Some("approved by ada (terminal) at 2027-01-15T08:00:02Z")
    );
    assert_eq!(told[0].grounds.rule_ids, ["careful"]);
    for late in &told[1..] {
        assert_eq!((&late.effect, code(Some(late))), (&Effect::Block, Some("approval_used")));
    }
    let again = book.claim(&tokens[0], at(4));
    assert_eq!(code(again.as_ref()), Some("approval_used"), "single use, whoever asks");
}

#[test]
fn a_call_that_is_given_up_takes_its_hold_along_unless_another_one_waits() {
    for (waiting, withdrawn) in [(&[][..], true), (&["x-1"], true), (&["x-1", "x-2"], false)] {
        let mut book = Book::default();
        for _ in 0..2 {
            held(book.ask(call("{}"), "x".to_owned(), at(0)));
        }
        for token in waiting {
            book.waits(token, true);
        }
        book.release("x-1", at(1));
        let late = book.answer("x", Reply::Approve, ada(2));
        let closed = Err(Unanswered::Closed(Closed::Withdrawn));
        assert_eq!(late, if withdrawn { closed } else { Ok(()) }, "{waiting:?}");
        assert_eq!(book.pending(at(2)), [], "{waiting:?}");
    }
}

#[test]
fn a_token_nobody_gave_out_is_unknown() {
    let mut book = Book::default();
    held(book.ask(call("{}"), "x".to_owned(), at(0)));
    for token in ["", "x", "x-", "x-0", "x-2", "x--1", "y-1", "x-1-1", "x-99999999999"] {
        assert_eq!(code(book.claim(token, at(1)).as_ref()), Some("hold_unknown"), "{token}");
        book.release(token, at(1));
        book.reply(token, None, Reply::Approve, ada(1));
    }
    assert!(book.claim("x-1", at(1)).is_none(), "none of that touched it");
    assert_eq!(book.answer("x-1", Reply::Deny, ada(1)), Err(Unanswered::Unknown));
}

#[test]
fn what_is_open_is_not_crowded_out() {
    let mut book = Book::default();
    let ask = |book: &mut Book, number: usize, second| {
        let arguments = format!("{{\"n\":{number}}}");
        word(&book.ask(call(&arguments), format!("id{number}"), at(second))).to_owned()
    };
    for number in 0..MOST {
        assert_eq!(ask(&mut book, number, 0), "held");
    }
    assert_eq!(ask(&mut book, MOST, 1), "full");
    book.answer("id7", Reply::Deny, ada(1)).unwrap();
    assert_eq!(ask(&mut book, MOST, 2), "full", "a denial is remembered");
    book.release("id9-1", at(2));
    assert_eq!(ask(&mut book, MOST, 3), "held");
    assert_eq!(ask(&mut book, MOST + 1, 3), "full");
    assert_eq!(code(book.claim("id9-1", at(3)).as_ref()), Some("hold_unknown"));
    assert_eq!(ask(&mut book, MOST + 1, END), "held", "time makes room");
}

#[test]
fn what_is_kept_is_bounded_in_bytes() {
    let mut book = Book::default();
    let large = |number: usize| format!("{{\"{number}\":\"{}\"}}", "x".repeat(MOST_BYTES / 3));
    for number in 0..2 {
        held(book.ask(call(&large(number)), format!("id{number}"), at(0)));
    }
    assert_eq!(book.ask(call(&large(3)), "id3".to_owned(), at(0)), Asked::Full);
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(MOST_BYTES));
    assert_eq!(book.ask(call(&huge), "id4".to_owned(), at(END)), Asked::Full);
}

#[test]
fn whoever_waited_in_vain_keeps_the_hold() {
    let mut book = Book::default();
    let hold = held(book.ask(call("{}"), "x".to_owned(), at(0)));
    let verdict = book.timed_out(hold.clone(), Duration::from_secs(50));
    assert_eq!(verdict.effect, Effect::StepUp(Some(hold)));
    assert_eq!(code(Some(&verdict)), Some("step_up_timeout"));
    assert_eq!(verdict.grounds.rule_ids, ["careful"]);
}

/// What happens at a desk, about two different calls.
#[derive(Clone, Debug)]
enum Event {
    Ask(bool),
    Claim(usize),
    Answer(usize, bool),
    Release(usize),
    Time(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_map(Event::Ask),
        4 => (0..12_usize).prop_map(Event::Claim),
        2 => (0..12_usize, any::<bool>()).prop_map(|(which, yes)| Event::Answer(which, yes)),
        1 => (0..12_usize).prop_map(Event::Release),
        1 => (1..400_i64).prop_map(Event::Time),
    ]
}

proptest! {
    #[test]
    fn as_many_calls_go_through_as_were_approved_and_no_more(
        events in prop::collection::vec(event(), 0..80)
    ) {
        let mut book = Book::default();
        let (mut now, mut tokens) = (0, Vec::new());
        let (mut approved, mut through) = (0, 0);
        for (number, event) in events.into_iter().enumerate() {
            let token = |which: usize| tokens.get(which % tokens.len().max(1)).cloned();
            let verdict = match event {
                Event::Ask(which) => {
                    let arguments = if which { "{}" } else { r#"{"a":1}"# };
                    match book.ask(call(arguments), format!("id{number}"), at(now)) {
                        Asked::Held(hold) => {
                            tokens.push(hold.token);
                            None
                        }
                        Asked::Decided(verdict) => Some(*verdict),
                        Asked::Full => None,
                    }
                }
                Event::Claim(which) => token(which).and_then(|token| book.claim(&token, at(now))),
                Event::Answer(which, yes) => {
                    if let Some(token) = token(which) {
                        let (id, _) = token.split_once('-').unwrap();
                        let reply = if yes { Reply::Approve } else { Reply::Deny };
                        let said = book.answer(id, reply, ada(now));
                        approved += i32::from(said.is_ok() && yes);
                    }
                    None
                }
                Event::Release(which) => {
                    if let Some(token) = token(which) {
 book.release(&token, at(now));
 }
                    None
                }
                Event::Time(seconds) => {
                    now += seconds;
                    None
                }
            };
            through += i32::from(verdict.is_some_and(|verdict| verdict.effect == Effect::Allow));
            prop_assert!(through <= approved);
        }
    }
}
