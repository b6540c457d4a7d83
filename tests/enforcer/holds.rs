//! Waiting for a person: looking at a hold until it ends.

use std::time::Duration;

use thoth::enforcer::{Enforcer, MAX_IN_FLIGHT};
use thoth::gate::verdict::{Answer, Effect, Hold, Verdict};

use crate::fake::{FakeEnforcer, Script, hold, in_short, patient, reason};

const PENDING: &str = r#"{"resolved":false,"resolution":null}"#;
const APPROVED: &str = r#"{"resolved":true,"resolution":"ALLOW"}"#;

fn answer(status: u16, body: &str) -> Script {
    Script::Answer(status, body.to_owned())
}

/// Looks without delay, and waits this long at most.
fn waiting(fake: &FakeEnforcer, longest: Duration) -> Enforcer {
    let enforcer = patient(&fake.settings(), &fake.tls(), longest).unwrap();
    enforcer.looking_every(Duration::from_millis(1))
}

/// What waiting comes to, and after how many looks.
async fn wait(looks: &[Script]) -> (String, usize) {
    let fake = FakeEnforcer::start().await.holding(looks.to_vec());
    let answer = waiting(&fake, Duration::from_mins(1)).wait(hold("h")).await;
    (in_short(&answer), fake.seen().len())
}

#[tokio::test]
async fn a_hold_is_looked_at_until_it_is_resolved() {
    let pending = || answer(200, PENDING);
    for (looks, expected) in [
        (vec![answer(200, APPROVED)], "said allow "),
        (vec![pending(), pending(), answer(200, APPROVED)], "said allow "),
        (
            vec![
                answer(202, ""),
                answer(200, r#"{"resolved":false,"decision":"STEP_UP"}"#),
                answer(200, r#"{"decision":"STEP_UP"}"#),
                answer(200, r#"{"decision":"ALLOW"}"#),
            ],
            "said allow ",
        ),
        (vec![pending(), answer(200, r#"{"resolved":true,"resolution":"DENY"}"#)], "said block "),
        (
            vec![pending(), answer(200, r#"{"resolved":true,"resolution":null}"#)],
            "said block unknown_decision",
        ),
        (vec![answer(200, r#"{"resolved":true,"resolution":"DEFER"}"#)], "said defer "),
    ] {
        let count = looks.len();
        assert_eq!(wait(&looks).await, (expected.to_owned(), count), "{looks:?}");
    }
}

#[tokio::test]
async fn a_person_may_approve_with_other_arguments() {
    let fake = FakeEnforcer::start().await.holding([answer(
        200,
        r#"{"resolved":true,"resolution":"MODIFY","modified_tool_args":{"a": 1}}"#,
    )]);
    let answer = waiting(&fake, Duration::from_mins(1)).wait(hold("h")).await;
    let Answer::Said(Verdict { effect: Effect::Modify(arguments), .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(arguments.as_str(), r#"{"a": 1}"#);
}

#[tokio::test]
async fn trouble_is_waited_out() {
    let looks = [
        answer(500, ""),
        Script::HangUp,
        Script::Broken(200),
        answer(200, "garbage"),
        answer(429, ""),
        answer(404, ""),
        answer(404, ""),
        answer(200, PENDING),
        answer(404, ""),
        answer(200, APPROVED),
    ];
    assert_eq!(wait(&looks).await, ("said allow ".to_owned(), looks.len()));
}

#[tokio::test]
async fn what_another_look_cannot_mend_ends_the_wait() {
    for (look, expected, count) in [
        (answer(404, ""), "said block hold_unknown", 3),
        (answer(401, ""), "said block enforcer_auth_failed", 1),
        (answer(403, ""), "said block enforcer_auth_failed", 1),
        (answer(402, ""), "said block billing_error", 1),
        (answer(400, ""), "said block enforcer_rejected", 1),
        (answer(302, ""), "said block enforcer_redirected", 1),
    ] {
        assert_eq!(
            wait(std::slice::from_ref(&look)).await,
            (expected.to_owned(), count),
            "{look:?}"
        );
    }
}

#[tokio::test]
async fn a_look_is_a_get_with_the_key_and_an_encoded_token() {
    let fake = FakeEnforcer::start().await.holding([answer(200, APPROVED)]);
    waiting(&fake, Duration::from_mins(1)).wait(hold("a/b?c d.e")).await;
    let seen = &fake.seen()[0];
    assert_eq!(seen.method, "GET");
    assert_eq!(seen.path, "/v1/enforce/hold/a%2Fb%3Fc%20d.e");
    assert!(seen.headers.contains_key("authorization") && seen.headers.contains_key("x-api-key"));
    assert_eq!(seen.text, "");
}

#[tokio::test]
async fn nobody_answers_and_the_wait_ends() {
    let fake = FakeEnforcer::start().await.holding([answer(200, PENDING)]);
    for (longest, timeout, expected) in [
        (300, None, "said step_up step_up_timeout"),
        (60_000, Some(300), "said step_up hold_expired"),
    ] {
        let enforcer = waiting(&fake, Duration::from_millis(longest));
        let hold = Hold { timeout: timeout.map(Duration::from_millis), ..hold("h") };
        let answer = enforcer.wait(hold.clone()).await;
        assert_eq!(in_short(&answer), expected);
        let Answer::Said(Verdict { effect: Effect::StepUp(kept), .. }) = &answer else {
            panic!("{answer:?}");
        };
        // An expired hold cannot be approved any more, so its token is worth nothing.
        assert_eq!(kept.as_ref(), timeout.is_none().then_some(&hold));
        assert!(reason(&answer).contains("nobody"), "{}", reason(&answer));
    }
    assert!(fake.seen().len() > 2);
}

#[tokio::test]
async fn a_hold_that_has_expired_is_looked_at_once_more_and_then_over() {
    // The fake's clock stands at noon.
    let past = Hold { expires_at: Some("2026-11-21T11:59:00Z".to_owned()), ..hold("h") };
    let fake = FakeEnforcer::start().await.holding([answer(200, APPROVED)]);
    let enforcer = waiting(&fake, Duration::from_mins(1));
    assert_eq!(in_short(&enforcer.wait(past).await), "said allow ");

    let fake = FakeEnforcer::start()
        .await
        .holding([answer(200, r#"{"resolved":false,"expires_at":"2026-11-21T12:00:00Z"}"#)]);
    let enforcer = waiting(&fake, Duration::from_mins(1));
    let answer = enforcer.wait(hold("h")).await;
    assert_eq!(in_short(&answer), "said step_up hold_expired");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn retry_after_is_respected() {
    for status in [200, 429, 503] {
        let fake = FakeEnforcer::start().await.holding([
            Script::AnswerWith(status, "retry-after", "3600".to_owned(), PENDING.to_owned()),
            answer(200, APPROVED),
        ]);
        let enforcer = waiting(&fake, Duration::from_millis(300));
        let answer = enforcer.wait(hold("h")).await;
        assert_eq!(in_short(&answer), "said step_up step_up_timeout", "{status}");
        assert_eq!(fake.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_enforcer_that_hangs_does_not_prolong_the_wait() {
    let fake = FakeEnforcer::start().await.holding([Script::Hang]);
    let enforcer = waiting(&fake, Duration::from_millis(300)); // each look may take 30 s
    let answer = enforcer.wait(hold("h")).await;
    assert_eq!(in_short(&answer), "said step_up step_up_timeout");
}

#[tokio::test]
async fn dropping_the_wait_stops_the_looking() {
    let fake = FakeEnforcer::start().await.holding([answer(200, PENDING)]);
    let enforcer = waiting(&fake, Duration::from_mins(1));
    tokio::select! {
        answer = enforcer.wait(hold("h")) => panic!("{answer:?}"),
        () = fake.until_seen(3) => {}
    }
    // Whatever was under way arrives before a question that is asked after it.
    enforcer.ask(crate::fake::question("t", "{}")).await;
    let looks = fake.seen().len();
    enforcer.ask(crate::fake::question("t", "{}")).await;
    assert_eq!(fake.seen().len(), looks + 1);
}

#[tokio::test]
async fn a_look_is_kept_until_somebody_answers() {
    let fake = FakeEnforcer::start().await.keeping_holds();
    // Were it let go, the next one would be due in an hour.
    let enforcer = fake.enforcer().looking_every(Duration::from_hours(1));
    for (token, resolution, expected) in
        [("a", "ALLOW", "said allow "), ("b", "DENY", "said block "), ("c", "DEFER", "said defer ")]
    {
        let looks = fake.seen().len();
        let person = async {
            fake.until_seen(looks + 1).await;
            fake.resolve(token, resolution);
        };
        let (answer, ()) = tokio::join!(enforcer.wait(hold(token)), person);
        assert_eq!(in_short(&answer), expected);
        assert_eq!(fake.seen().len(), looks + 1);
        assert_eq!(fake.seen()[looks].headers["prefer"], "wait=20");
    }
}

#[tokio::test]
async fn looks_that_are_kept_leave_room_for_questions() {
    const WAITING: usize = 70;
    let fake = FakeEnforcer::start().await.keeping_holds();
    let enforcer = fake.enforcer().looking_every(Duration::from_hours(1));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..WAITING {
        let enforcer = enforcer.clone();
        waiting.spawn(async move { enforcer.wait(hold("h")).await });
    }
    fake.until_seen(WAITING).await;
    let kept = fake.seen().iter().filter(|seen| seen.headers.contains_key("prefer")).count();
    assert_eq!(kept, MAX_IN_FLIGHT / 2);
    let answer = enforcer.ask(crate::fake::question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said allow ");
}
