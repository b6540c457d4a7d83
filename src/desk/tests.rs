//! A desk with a clock that stands still until it is told to go on.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::yield_now;

use super::*;
use crate::gate::record::Ticket;
use crate::gate::verdict::Question;

/// A wall clock that goes as tokio's paused one does.
fn clock() -> Timestamp {
    thread_local! {
        static START: Instant = Instant::now();
    }
    let passed = START.with(Instant::elapsed);
    Timestamp::from_second(1_800_000_000).unwrap() + passed
}

fn desk(home: &std::path::Path) -> Desk {
    desk_in(home, true)
}

fn desk_in(home: &std::path::Path, environment_is_dev: bool) -> Desk {
    clock(); // it starts
    Desk::open(Settings {
        home: home.join("thoth"),
        agent: "a".to_owned(),
        server: "s".to_owned(),
        user: Some("ada@example.com".to_owned()),
        environment_is_dev,
        policy_revision: "p".to_owned(),
        step_up_wait: Duration::from_secs(50),
        session_id: "s-1".to_owned(),
        clock,
    })
}

fn stepped_up(arguments: &str, self_approval: Option<bool>) -> SteppedUp {
    SteppedUp {
        question: Question {
            ticket: Ticket(7),
            tool: Arc::from("delete"),
            arguments: Bytes::copy_from_slice(arguments.as_bytes()),
            calls_so_far: Vec::new(),
            annotations: None,
            reply: None,
        },
        grounds: Grounds { self_approval, ..Grounds::coded("rule_matched", "needs a person") },
    }
}

fn said(answer: Answer) -> Verdict {
    match answer {
        Answer::Said(verdict) => verdict,
        Answer::Silent(grounds) => panic!("{grounds:?}"),
    }
}

fn code(answer: Answer) -> String {
    said(answer).grounds.reason_code.unwrap()
}

async fn held(desk: &Desk, stepped_up: SteppedUp) -> Hold {
    let verdict = said(desk.hold(stepped_up).await);
    let Effect::StepUp(Some(hold)) = verdict.effect else { panic!("{verdict:?}") };
    hold
}

#[cfg(unix)]
fn resolve(desk: &Desk, hold: &Hold, decision: Decision) -> wire::Answer {
    let (id, _) = hold.token.rsplit_once('-').unwrap();
    let request = Request::Resolve { id: id.to_owned(), decision, note: None };
    desk.0.shared.serve(request, "ada")
}

#[tokio::test(start_paused = true)]
async fn who_may_be_asked_is_for_the_rule_to_say_and_in_dev_for_this_account() {
    for (self_approval, is_dev, is_held) in [
        (Some(true), true, true),
        (Some(true), false, true),
        (None, true, true),
        (None, false, false),
        (Some(false), true, false),
        (Some(false), false, false),
    ] {
        let home = tempfile::tempdir().unwrap();
        let desk = desk_in(home.path(), is_dev);
        let verdict = said(desk.hold(stepped_up("{}", self_approval)).await);
        let Effect::StepUp(hold) = verdict.effect else { panic!("{verdict:?}") };
        assert_eq!(hold.is_some(), is_held, "{self_approval:?} {is_dev}");
        assert_eq!(verdict.grounds.reason.as_deref(), Some("needs a person"));
        assert_eq!(home.path().join("thoth").exists(), is_held, "nothing is made for nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_before_the_first_hold_and_nothing_is_left() {
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    assert!(!home.path().join("thoth").exists());
    held(&desk, stepped_up("{}", None)).await;
    let socket = home.path().join("thoth/run/approvals/s-1.sock");
    assert_eq!(socket.exists(), cfg!(unix));
    desk.end().await;
    assert!(!socket.exists());

    held(&desk, stepped_up("{}", None)).await;
    assert_eq!(socket.exists(), cfg!(unix));
    drop(desk);
    assert!(!socket.exists());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_learns_what_was_answered() {
    for (decision, effect, reason_code) in [
        (Decision::Approve, Effect::Allow, "approved"),
        (Decision::Deny, Effect::Block, "approval_denied"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let desk = desk(home.path());
        let hold = held(&desk, stepped_up("{}", None)).await;
        let waiting = tokio::spawn({
            let (desk, hold) = (desk.clone(), hold.clone());
            async move { desk.wait(hold).await }
        });
        yield_now().await;
        assert_eq!(resolve(&desk, &hold, decision), wire::Answer::Resolved);
        let verdict = said(waiting.await.unwrap());
        assert_eq!(verdict.effect, effect);
        assert_eq!(verdict.grounds.reason_code.as_deref(), Some(reason_code));
        let again = wire::Answer::Refused(Refusal::Answered);
        assert_eq!(resolve(&desk, &hold, Decision::Approve), again);
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn of_two_calls_that_wait_one_goes_through() {
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    let one = held(&desk, stepped_up(r#"{"a":1,"b":2}"#, None)).await;
    let other = held(&desk, stepped_up(r#"{"b":2,"a":1}"#, None)).await;
    let answers = async { tokio::join!(desk.wait(one.clone()), desk.wait(other)) };
    let (answers, ()) = tokio::join!(answers, async {
        yield_now().await;
        resolve(&desk, &one, Decision::Approve);
    });
    let mut codes = [code(answers.0), code(answers.1)];
    codes.sort();
    assert_eq!(codes, ["approval_used", "approved"]);
    // Made again, the call asks anew.
    held(&desk, stepped_up(r#"{"a":1,"b":2}"#, None)).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_token_and_the_same_call_goes_on_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    let hold = held(&desk, stepped_up("{}", Some(true))).await;
    let before = Instant::now();
    let verdict = said(desk.wait(hold.clone()).await);
    assert_eq!(before.elapsed(), Duration::from_secs(50));
    assert_eq!(verdict.effect, Effect::StepUp(Some(hold.clone())));
    assert_eq!(verdict.grounds.reason_code.as_deref(), Some("step_up_timeout"));

    let again = held(&desk, stepped_up("{}", Some(true))).await;
    assert_eq!(again.expires_at, hold.expires_at, "it is the same record");
    desk.reply(again, Reply::Approve).await;
    assert_eq!(code(desk.hold(stepped_up("{}", Some(true))).await), "approved");
    held(&desk, stepped_up("{}", Some(true))).await;
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_with_its_time_also_while_a_call_waits() {
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    let hold = held(&desk, stepped_up("{}", Some(true))).await;
    tokio::time::advance(Duration::from_secs(15 * 60 - 20)).await;
    let before = Instant::now();
    assert_eq!(code(desk.wait(hold.clone()).await), "approval_expired");
    assert!(before.elapsed() < Duration::from_secs(25));
    desk.reply(hold.clone(), Reply::Approve).await;
    assert_eq!(code(desk.wait(hold).await), "approval_expired", "a late yes changes nothing");
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_not_approved_any_more() {
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    let hold = held(&desk, stepped_up("{}", None)).await;
    let waiting = tokio::spawn({
        let (desk, hold) = (desk.clone(), hold.clone());
        async move { desk.wait(hold).await }
    });
    yield_now().await;
    // Whoever waited may be told to stop before or after the hold is released.
    desk.release(hold.clone()).await;
    waiting.abort();
    let _ = waiting.await;
    let late = wire::Answer::Refused(Refusal::Withdrawn);
    assert_eq!(resolve(&desk, &hold, Decision::Approve), late);
    let answer = desk.hold(stepped_up("{}", None)).await;
    assert!(matches!(said(answer).effect, Effect::StepUp(Some(_))), "it asks anew");
}

#[tokio::test(start_paused = true)]
async fn an_answer_inside_the_client_counts_for_the_very_call_where_the_rule_lets_it() {
    for (self_approval, answered_about, arguments, expected) in [
        (Some(true), "{}", "{}", "approved"),
        (Some(true), "{}", r#"{"a":1}"#, "rule_matched"),
        (None, "{}", "{}", "rule_matched"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let desk = desk(home.path());
        let hold = held(&desk, stepped_up(answered_about, self_approval)).await;
        let mut retried = stepped_up(arguments, self_approval);
        retried.question.reply = Some((hold.clone(), Reply::Approve));
        let verdict = said(desk.hold(retried).await);
        let row = format!("{self_approval:?} {arguments}");
        assert_eq!(verdict.grounds.reason_code.as_deref(), Some(expected), "{row}");
        if expected == "approved" {
            let reason = verdict.grounds.reason.unwrap();
            assert!(
                reason.starts_with("approved by ada@example.com (elicitation) at "),
                "{reason}"
            );
        }
    }
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    let ours = held(&desk, stepped_up("{}", Some(true))).await;
    let theirs = Hold { keeper: Keeper::Enforcer, ..ours.clone() };
    desk.reply(theirs.clone(), Reply::Approve).await;
    desk.release(theirs).await;
    assert_eq!(code(desk.wait(ours).await), "step_up_timeout", "an enforcer's hold is not ours");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_inside_the_client_sticks() {
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    let hold = held(&desk, stepped_up("{}", Some(true))).await;
    let ((), answer) = tokio::join!(desk.reply(hold.clone(), Reply::Deny), desk.wait(hold.clone()));
    assert_eq!(code(answer), "approval_denied");
    desk.release(hold).await;
    assert_eq!(code(desk.hold(stepped_up("{}", Some(true))).await), "approval_denied");
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn where_no_socket_can_be_made_only_the_client_is_asked() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("thoth"), "in the way").unwrap();
    let desk = desk(home.path());
    let alone = said(desk.hold(stepped_up("{}", None)).await);
    assert_eq!(alone.effect, Effect::StepUp(None));
    let hold = held(&desk, stepped_up("{}", Some(true))).await;
    // A rule that the client may not answer for takes nothing from a call that waits for it.
    let alone = said(desk.hold(stepped_up("{}", None)).await);
    assert_eq!(alone.effect, Effect::StepUp(None));
    assert_eq!(desk.0.shared.book().claim(&hold.token, clock()), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_call_is_not_held() {
    let home = tempfile::tempdir().unwrap();
    let desk = desk(home.path());
    for arguments in ["", "[]", r#"{"a":1,"a":2}"#] {
        assert_eq!(code(desk.hold(stepped_up(arguments, None)).await), "question_unreadable");
    }
}
