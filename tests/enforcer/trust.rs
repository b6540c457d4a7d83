//! Who is trusted, and that nothing is sent to anybody else.

use thoth::config::settings::{Pin, Tls};
use thoth::enforcer::ProbeError;
use thoth::tls::Distrust;

use crate::fake::{
    Certificate, FakeEnforcer, Manner, Script, enforcer, in_short, question, reason,
};

const WRONG_LEAF: Pin = Pin::Leaf([7; 32]);
const WRONG_KEY: Pin = Pin::Spki([7; 32]);

#[tokio::test]
async fn a_bad_certificate_blocks_and_no_question_leaves() {
    for (certificate, expected) in [
        (Certificate::Expired, Distrust::Expired),
        (Certificate::NotYetValid, Distrust::Expired),
        (Certificate::WrongName, Distrust::Name),
        (Certificate::SelfSigned, Distrust::Issuer),
        (Certificate::WrongPurpose, Distrust::Other),
    ] {
        let fake = FakeEnforcer::with(certificate, Manner::Both).await;
        let enforcer = fake.enforcer();
        let answer = enforcer.ask(question("t", r#"{"secret":1}"#)).await;
        assert_eq!(in_short(&answer), "said block enforcer_certificate_invalid", "{certificate:?}");
        let reason = reason(&answer);
        assert!(reason.contains(&expected.to_string()), "{reason}");
        let Err(ProbeError::Distrusted { why, .. }) = enforcer.probe().await else {
            panic!("{certificate:?} passed the probe");
        };
        assert_eq!(why, expected);
        assert!(fake.seen().is_empty(), "a question left the machine");
    }
}

#[tokio::test]
async fn an_issuer_that_only_others_trust_is_unknown() {
    let (fake, other) = (FakeEnforcer::start().await, FakeEnforcer::start().await);
    let answer = enforcer(&fake.settings(), &other.tls()).unwrap().ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said block enforcer_certificate_invalid");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn one_pin_that_matches_is_enough() {
    let fake = FakeEnforcer::start().await;
    let (leaf, key) = (fake.leaf_pin(), fake.key_pin());
    for pins in [vec![leaf], vec![key], vec![WRONG_LEAF, leaf], vec![WRONG_KEY, WRONG_LEAF, key]] {
        let enforcer = fake.enforcer_pinning(&pins);
        enforcer.probe().await.unwrap();
        let answer = enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), "said allow ", "{pins:?}");
    }
}

#[tokio::test]
async fn without_a_pin_that_matches_no_question_leaves() {
    let fake = FakeEnforcer::start().await;
    let (Pin::Leaf(leaf), Pin::Spki(key)) = (fake.leaf_pin(), fake.key_pin()) else {
        panic!("swapped");
    };
    for pins in [
        vec![WRONG_LEAF],
        vec![WRONG_KEY],
        vec![WRONG_LEAF, WRONG_KEY],
        vec![Pin::Spki(leaf), Pin::Leaf(key)], // the right digests of the wrong things
    ] {
        let enforcer = fake.enforcer_pinning(&pins);
        let answer = enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), "said block enforcer_pin_mismatch", "{pins:?}");
        let reason = reason(&answer);
        let shown = fake.leaf_pin().to_string();
        assert!(reason.contains(&shown), "the cure is in the reason: {reason}");
        assert!(matches!(
            enforcer.probe().await,
            Err(ProbeError::Distrusted { why: Distrust::Pin, .. })
        ));
    }
    assert!(fake.seen().is_empty(), "a question left the machine");
}

#[tokio::test]
async fn a_pin_does_not_excuse_a_bad_certificate() {
    let fake = FakeEnforcer::with(Certificate::Expired, Manner::Both).await;
    let enforcer = fake.enforcer_pinning(&[fake.leaf_pin()]);
    let answer = enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said block enforcer_certificate_invalid");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn unverified_means_that_the_pins_alone_decide() {
    for certificate in [Certificate::Expired, Certificate::WrongName, Certificate::SelfSigned] {
        let fake = FakeEnforcer::with(certificate, Manner::Both).await;
        for (pins, expected) in [
            (vec![], "said allow "),
            (vec![fake.leaf_pin()], "said allow "),
            (vec![fake.key_pin()], "said allow "),
            (vec![WRONG_LEAF, WRONG_KEY], "said block enforcer_pin_mismatch"),
        ] {
            let tls = Tls { unverified: true, pins, ..Tls::default() };
            let enforcer = enforcer(&fake.settings(), &tls).unwrap();
            let answer = enforcer.ask(question("t", "{}")).await;
            assert_eq!(in_short(&answer), expected, "{certificate:?} {tls:?}");
        }
    }
}

/// In a resumed session no certificate is shown again.
#[tokio::test]
async fn a_resumed_session_belongs_to_a_peer_that_was_pinned() {
    let fake = FakeEnforcer::with(Certificate::Good, Manner::Http1).await.scripted([
        allow(),
        Script::HangUp,
        allow(),
    ]);
    let pinning = fake.enforcer_pinning(&[fake.key_pin()]);
    for expected in ["said allow ", "silent enforcer_unavailable", "said allow "] {
        let answer = pinning.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), expected);
    }
    let resumed: Vec<_> = fake.seen().iter().map(|seen| seen.resumed).collect();
    assert_eq!(resumed, [false, false, true]);

    // Other pins are another configuration, which knows of no session.
    let wrong = fake.enforcer_pinning(&[WRONG_KEY]);
    let answer = wrong.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said block enforcer_pin_mismatch");
    assert_eq!(fake.seen().len(), 3);
}

fn allow() -> Script {
    Script::Answer(200, r#"{"decision":"ALLOW"}"#.to_owned())
}

#[tokio::test]
async fn a_failed_handshake_ahead_of_need_changes_nothing() {
    let fake = FakeEnforcer::start().await;
    let enforcer = fake.enforcer_pinning(&[WRONG_LEAF]);
    enforcer.warm_up();
    let answer = enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said block enforcer_pin_mismatch");
    assert!(fake.seen().is_empty());
}
