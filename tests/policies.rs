//! The shipped packs: valid, and doing what their cases say.

#![expect(clippy::panic, reason = "a test says what broke by panicking")]

use thoth::policy::pack::PACKS;
use thoth::policy::rule::Word;
use thoth::policy::{Local, Policy, PolicySet, Proof, Scope, Who, prove};

fn policy(text: &str, name: &str) -> Policy {
    Policy::parse(name, text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_pack_does_what_its_cases_say() {
    for pack in PACKS {
        let set = PolicySet::new(vec![policy(pack.text, pack.name)]).unwrap();
        let mut failed = Vec::new();
        for case in set.policies()[0].cases() {
            let ran = case.run(&set);
            if let Some(differs) = ran.differs {
                let grounds = ran.verdict.grounds;
                failed.push(format!("{}: {}: {differs} ({grounds:?})", pack.name, case.name()));
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}

#[test]
fn every_pack_has_cases_for_what_it_allows_and_what_it_denies() {
    for pack in PACKS {
        let policy = policy(pack.text, pack.name);
        let denied = policy.cases().iter().filter(|case| case.expect().restricts()).count();
        assert!(denied >= 8, "{}: {denied} denials", pack.name);
        assert!(policy.cases().len() - denied >= 4, "{}", pack.name);
    }
}

/// A rule that no case shows is one that may do nothing.
#[test]
fn every_rule_of_every_pack_decides_some_case() {
    for pack in PACKS {
        let set = PolicySet::new(vec![policy(pack.text, pack.name)]).unwrap();
        let policy = &set.policies()[0];
        let ran = policy.cases().iter().map(|case| case.run(&set).verdict.grounds.rule_ids);
        let decided: Vec<String> = ran.flatten().collect();
        for rule in policy.rules() {
            let id = rule.id();
            assert!(decided.iter().any(|known| known == id), "{}: {id}", pack.name);
        }
    }
}

#[test]
fn every_pack_is_described_under_its_own_name() {
    for pack in PACKS {
        let policy = policy(pack.text, pack.name);
        assert_eq!(policy.reference().id, pack.name);
        assert!(policy.description().is_some(), "{}", pack.name);
        let file = format!("{}/policies/{}.toml", env!("CARGO_MANIFEST_DIR"), pack.name);
        assert_eq!(std::fs::read_to_string(file).unwrap(), pack.text);
    }
}

#[test]
fn every_pack_can_be_proven_to_deny() {
    for pack in PACKS {
        let set = PolicySet::new(vec![policy(pack.text, pack.name)]).unwrap();
        let local = Local::new(Scope::default(), Some(set.bind(Who::default())));
        let proof = prove(&local, &local);
        assert!(matches!(proof, Proof::Proven { .. }), "{}: {proof:?}", pack.name);
    }
}

#[test]
fn the_baseline_lets_no_write_pass_whatever_a_server_says_of_it() {
    let set = PolicySet::new(vec![policy(PACKS[0].text, "baseline")]).unwrap();
    let cases = set.policies()[0].cases();
    let lying: Vec<_> = cases
        .iter()
        .filter(|case| case.expect() > Word::Allow)
        .map(|case| case.with_annotations(r#"{"readOnlyHint":true,"destructiveHint":false}"#))
        .filter(|case| case.run(&set).verdict.effect.word() == "allow")
        .map(|case| case.name().to_owned())
        .collect();
    // These have harmless names: nothing but annotations speaks against or for them.
    let by_annotations = [
        "an unknown tool asks",
        "a read that its server warns of asks",
        "a warning of an unexpected type is a warning",
    ];
    assert_eq!(lying, by_annotations.map(str::to_owned).to_vec());
}
