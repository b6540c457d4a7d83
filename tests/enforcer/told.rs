//! What the enforcer is told of a hold beside questions about it: the person's reply inside the
//! client, and that nobody makes the call any more.

use std::time::Duration;

use thoth::config::settings;
use thoth::gate::verdict::{Hold, Keeper, Question, Reply};

use crate::fake::{FakeEnforcer, KEY, Script, enforcer, hold, in_short, question};

const ALLOWED: &str = "said allow ";

fn replied(keeper: Keeper, reply: Reply) -> Question {
    let hold = Hold { keeper, ..hold("a/b c") };
    Question { reply: Some((hold, reply)), ..question("t", "{}") }
}

fn ways(fake: &FakeEnforcer) -> Vec<String> {
    fake.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
}

#[tokio::test]
async fn a_reply_goes_to_the_hold_it_is_about() {
    let fake = FakeEnforcer::start().await.keeping_holds();
    let enforcer = fake.enforcer();
    for (reply, word, outcome) in
        [(Reply::Approve, "approve", ALLOWED), (Reply::Deny, "deny", "said block ")]
    {
        let hold = hold(word);
        enforcer.reply(&hold, reply).await;
        let seen = fake.seen().pop().unwrap();
        assert_eq!((&*seen.method, seen.path), ("POST", format!("/v1/enforce/hold/{word}/reply")));
        assert_eq!(seen.body, serde_json::json!({"decision": word}));
        assert_eq!(seen.headers["x-api-key"], KEY);
        assert_eq!(in_short(&enforcer.wait(hold).await), outcome);
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_withdrawn() {
    let fake = FakeEnforcer::start().await.keeping_holds();
    let enforcer = fake.enforcer();
    enforcer.release(&hold("a/b c")).await;
    assert_eq!(ways(&fake), ["DELETE /v1/enforce/hold/a%2Fb%20c"]);
    fake.resolve("a%2Fb%20c", "ALLOW");
    assert_eq!(in_short(&enforcer.wait(hold("a/b c")).await), "said block ");
}

#[tokio::test]
async fn whoever_waits_for_a_hold_learns_of_the_reply() {
    let fake = FakeEnforcer::start().await.keeping_holds();
    let enforcer = fake.enforcer();
    let telling = async {
        fake.until_seen(1).await;
        enforcer.reply(&hold("h"), Reply::Approve).await;
    };
    let (answer, ()) = tokio::join!(enforcer.wait(hold("h")), telling);
    assert_eq!(in_short(&answer), ALLOWED);
}

#[tokio::test]
async fn a_reply_is_told_before_its_call_is_asked_about_again() {
    let fake = FakeEnforcer::start().await.keeping_holds();
    let answer = fake.enforcer().ask(replied(Keeper::Enforcer, Reply::Approve)).await;
    assert_eq!(in_short(&answer), ALLOWED);
    assert_eq!(ways(&fake), ["POST /v1/enforce/hold/a%2Fb%20c/reply", "POST /v1/enforce"]);
}

#[tokio::test]
async fn a_reply_about_the_sidecars_own_hold_is_none_of_the_enforcers_business() {
    let fake = FakeEnforcer::start().await.keeping_holds();
    fake.enforcer().ask(replied(Keeper::Sidecar, Reply::Approve)).await;
    assert_eq!(ways(&fake), ["POST /v1/enforce"]);
}

#[tokio::test]
async fn what_cannot_be_told_changes_nothing() {
    for trouble in [
        Script::Answer(404, String::new()),
        Script::Answer(405, String::new()),
        Script::Answer(403, "<html>".to_owned()),
        Script::Answer(500, String::new()),
        Script::Broken(200),
        Script::HangUp,
        Script::Hang,
    ] {
        let fake = FakeEnforcer::start().await.holding([trouble.clone()]);
        let settings = settings::Enforcer { timeout: Duration::from_secs(2), ..fake.settings() };
        let enforcer = enforcer(&settings, &fake.tls()).unwrap();
        let answer = enforcer.ask(replied(Keeper::Enforcer, Reply::Deny)).await;
        assert_eq!(in_short(&answer), ALLOWED, "{trouble:?}");
        enforcer.release(&hold("h")).await;
        assert_eq!(fake.seen().len(), 3, "{trouble:?}");
    }
}

#[tokio::test]
async fn what_is_told_with_a_key_that_is_rejected_is_told_once() {
    let fake = FakeEnforcer::start().await.keeping_holds();
    fake.accept(&["another"]);
    let enforcer = fake.enforcer();
    enforcer.release(&hold("h")).await;
    enforcer.reply(&hold("h"), Reply::Approve).await;
    assert_eq!(fake.seen().len(), 2, "there is no newer key");
}
