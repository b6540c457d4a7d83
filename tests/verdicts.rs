//! What policies say about calls: written out in tables, and held for any order of rules.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]
#![expect(clippy::panic, reason = "a test says what broke by panicking")]

use std::time::Duration;

use proptest::prelude::*;
use thoth::gate::verdict::{Arguments, Calls, Effect, Facts, Judge, Verdict};
use thoth::policy::{BoundPolicy, Local, Policy, PolicySet, Scope, Who};

fn policy(id: &str, default: &str, rules: &str) -> Policy {
    let text = format!("[policy]\nid = '{id}'\nversion = 2\ndefault = '{default}'\n{rules}");
    Policy::parse(id, &text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn bound(policies: Vec<Policy>) -> BoundPolicy {
    PolicySet::new(policies).unwrap().bind(Who {
        agent: "desk".into(),
        server: "files".into(),
        user: "ada@example.com".into(),
        intent: "audit".into(),
        environment: "prod".into(),
    })
}

fn judge(judge: &impl Judge, tool: &str, arguments: &str) -> Verdict {
    judge.judge(&Facts { tool, arguments, annotations: None, calls: &Calls::default() })
}

fn one(default: &str, rules: &str, arguments: &str) -> Verdict {
    judge(&bound(vec![policy("p", default, rules)]), "t", arguments)
}

fn said(verdict: &Verdict) -> (&str, &str, String, &str) {
    let grounds = &verdict.grounds;
    (
        verdict.effect.word(),
        grounds.reason_code.as_deref().unwrap_or_default(),
        grounds.rule_ids.join(","),
        grounds.reason.as_deref().unwrap_or_default(),
    )
}

const ALLOW: &str = "[[rule]]\nid='allow'\neffect='allow'\nreason='fine'\n";
const MODIFY: &str = "[[rule]]\nid='modify'\neffect='modify'\nset={'/a'='1'}\n";
const STEP_UP: &str = "[[rule]]\nid='step_up'\neffect='step_up'\ncontrols=['C1']\n";
const DEFER: &str = "[[rule]]\nid='defer'\neffect='defer'\nretry_after_seconds=7\n";
const BLOCK: &str = "[[rule]]\nid='block'\neffect='block'\nreason='no'\ncontrols=['C1','C2']\n";

#[test]
fn the_strictest_matching_rule_wins() {
    for (rules, word) in [
        (&[ALLOW][..], "allow"),
        (&[ALLOW, MODIFY], "modify"),
        (&[MODIFY, ALLOW, STEP_UP], "step_up"),
        (&[ALLOW, DEFER, STEP_UP, MODIFY], "defer"),
        (&[ALLOW, DEFER, BLOCK, STEP_UP, MODIFY], "block"),
    ] {
        let verdict = one("block", &rules.concat(), "{}");
        assert_eq!(
            (verdict.effect.word(), verdict.grounds.rule_ids),
            (word, vec![word.to_owned()])
        );
    }
}

#[test]
fn a_verdict_names_its_rules_reasons_controls_and_policy() {
    let more = "[[rule]]\nid='block2'\neffect='block'\ncontrols=['C2','C3']\n";
    let verdict = one("allow", &[BLOCK, STEP_UP, more].concat(), "{}");
    let reason = "no; rule `block2` applies";
    assert_eq!(said(&verdict), ("block", "rule_matched", "block,block2".into(), reason));
    assert_eq!(verdict.grounds.control_ids, ["C1", "C2", "C3"]);
    let policy = verdict.grounds.policy.unwrap();
    assert_eq!((policy.id.as_str(), policy.version.as_str()), ("p", "2"));
    assert_eq!(policy.sha256.unwrap().len(), 64);
}

#[test]
fn without_a_matching_rule_the_default_decides() {
    for (default, word) in [("allow", "allow"), ("block", "block"), ("step_up", "step_up")] {
        let verdict = one(default, "[[rule]]\nid='r'\ntools=['other']\neffect='block'", "{}");
        let reason = "no rule of policy `p` matches this call";
        assert_eq!(said(&verdict), (word, "no_rule_matched", String::new(), reason));
        assert_eq!(verdict.grounds.policy.unwrap().id, "p");
    }
}

#[test]
fn all_names_of_a_rule_must_match() {
    for (names, matches) in [
        ("tools=['x','t']", true),
        ("agents=['de?k']", true),
        ("agents=['Desk']", false),
        ("servers=['fil*']\nintents=['audit']\nenvironments=['prod','staging']", true),
        ("servers=['fil*']\nintents=['other']", false),
        ("environments=['dev']", false),
        ("tools=['t?']", false),
    ] {
        let rule = format!("[[rule]]\nid='r'\neffect='block'\n{names}");
        let verdict = one("allow", &rule, "{}");
        assert_eq!(verdict.effect == Effect::Block, matches, "{names}");
    }
}

#[test]
fn a_condition_that_fails_counts_against_the_call() {
    let failing = "reason='why'\nwhen='args.a > 1'\n";
    let why = "rule `r` cannot be evaluated: there is no member `a`";
    for (effect, default, word, rules) in [
        ("block", "allow", "block", "r"),
        ("step_up", "allow", "step_up", "r"),
        ("defer", "allow", "defer", "r"),
        ("allow", "block", "block", ""),
        ("allow", "allow", "allow", ""),
    ] {
        let rule = format!("[[rule]]\nid='r'\neffect='{effect}'\n{failing}");
        let verdict = one(default, &rule, "{}");
        let (found, code, ids, reason) = said(&verdict);
        assert_eq!((found, code, ids.as_str()), (word, "condition_failed", rules), "{effect}");
        assert!(reason.contains(why), "{effect}: {reason}");
    }
    let modify = format!("[[rule]]\nid='r'\neffect='modify'\nset={{'/a'='1'}}\n{failing}");
    let verdict = one("block", &[ALLOW, &modify].concat(), "{}");
    assert_eq!(
        said(&verdict),
        ("allow", "condition_failed", "allow".into(), format!("fine; {why}").as_str())
    );
}

#[test]
fn a_condition_that_fails_beside_one_that_holds_is_reported() {
    let failing = "[[rule]]\nid='r'\neffect='block'\nwhen='args.a > 1'\n";
    let verdict = one("allow", &[failing, BLOCK].concat(), "{}");
    let (word, code, ids, reason) = said(&verdict);
    assert_eq!((word, code, ids.as_str()), ("block", "rule_matched", "r,block"));
    assert!(reason.contains("no; rule `r` cannot be evaluated"), "{reason}");
    // A stricter rule that fails outweighs a milder one that holds.
    let verdict = one("allow", &[failing, STEP_UP, ALLOW].concat(), "{}");
    assert_eq!(said(&verdict).1, "condition_failed");
    assert_eq!(verdict.effect, Effect::Block);
}

#[test]
fn the_longest_deferral_counts() {
    let never = "[[rule]]\nid='d0'\neffect='defer'\n";
    let long = "[[rule]]\nid='d1'\neffect='defer'\nretry_after_seconds=90\n";
    let verdict = one("allow", &[never, long, DEFER].concat(), "{}");
    assert_eq!(verdict.effect, Effect::Defer(Some(Duration::from_secs(90))));
    assert_eq!(one("allow", never, "{}").effect, Effect::Defer(None));
}

fn modified(rules: &str, arguments: &str) -> String {
    let effect = one("block", rules, arguments).effect;
    let Effect::Modify(new) = &effect else {
        panic!("{effect:?}");
    };
    new.as_str().to_owned()
}

#[test]
fn a_modification_leaves_every_other_byte_as_it_was() {
    let rules = "[[rule]]\nid='cap'\neffect='modify'\nwhen='args.limit > 100'\nset={'/limit'='100'}\n\
        [[rule]]\nid='who'\neffect='modify'\nset={'/by'='user','/n/m'='[args.limit, tool, {\"b\": null, \"a\": 1.5}]'}\n";
    let arguments = "{ \"z\" : 1.0e+2,\t\"limit\":1000, \"n\":{\"m\":7 ,\"k\":-0} ,\"big\":123456789012345678901 }";
    // Every value is computed from the call as it came: `args.limit` is still 1000.
    let expected = "{ \"z\" : 1.0e+2,\t\"limit\":100, \"n\":{\"m\":[1000,\"t\",{\"a\":1.5,\"b\":null}] ,\"k\":-0} ,\
        \"big\":123456789012345678901,\"by\":\"ada@example.com\" }";
    assert_eq!(modified(rules, arguments), expected);
}

#[test]
fn line_breaks_of_other_readers_are_not_written_raw() {
    let rule = "[[rule]]\nid='r'\neffect='modify'\nset={'/b'='args.a'}\n";
    let new = modified(rule, r#"{"a":"x\u2028\u0085\r"}"#);
    assert_eq!(new, r#"{"a":"x\u2028\u0085\r","b":"x\u2028\u0085\r"}"#);
}

#[test]
fn a_modification_that_fails_blocks_the_call() {
    for (set, arguments, part) in [
        ("'/a'='args.missing'", "{}", "rule `m`, value of `/a`: there is no member `missing`"),
        ("'/a'='type(1)'", "{}", "it gives no JSON value"),
        ("'/a'='args.n'", r#"{"n":18446744073709551616}"#, "out of range"),
        ("'/a/b'='1'", "{}", "`/a/b` points at nothing that could be set"),
        ("'/a/b'='1','/a'='{\"b\": 2}'", r#"{"a":{}}"#, "cannot both be set"),
    ] {
        let rules = format!("[[rule]]\nid='m'\neffect='modify'\nset={{{set}}}\n");
        let verdict = one("allow", &[ALLOW, &rules].concat(), arguments);
        let (word, code, ids, reason) = said(&verdict);
        assert_eq!((word, code, ids.as_str()), ("block", "modify_failed", "m"), "{set}");
        assert!(reason.contains(part), "{set}: {reason}");
    }
}

#[test]
fn rules_that_set_the_same_to_different_values_block_the_call() {
    let set = |id: &str, value: &str| {
        format!("[[rule]]\nid='{id}'\neffect='modify'\nset={{'/limit'='{value}'}}\n")
    };
    let agreeing = [set("a", "10"), set("b", "5 + 5")].concat();
    assert_eq!(modified(&agreeing, r#"{"limit":99}"#), r#"{"limit":10}"#);
    for order in [["10", "20"], ["20", "10"]] {
        let rules = [set("a", order[0]), set("b", order[1])].concat();
        let verdict = one("block", &rules, r#"{"limit":99}"#);
        assert_eq!(verdict.grounds.reason_code.as_deref(), Some("modify_failed"));
    }
}

#[test]
fn several_policies_decide_together() {
    let reads = "[[rule]]\nid='reads'\ntools=['read']\neffect='allow'\n";
    let writes = "[[rule]]\nid='writes'\ntools=['write']\neffect='step_up'\n";
    let no_writes = "[[rule]]\nid='none'\ntools=['write']\neffect='block'\n";
    let set = bound(vec![
        policy("one", "allow", writes),
        policy("two", "block", reads),
        policy("three", "step_up", no_writes),
    ]);
    // A default counts only where no rule of any policy matched, and then the strictest.
    for (tool, word, by) in
        [("read", "allow", "two"), ("write", "block", "three"), ("x", "block", "two")]
    {
        let verdict = judge(&set, tool, "{}");
        assert_eq!(verdict.effect.word(), word, "{tool}");
        assert_eq!(verdict.grounds.policy.unwrap().id, by, "{tool}");
    }
}

#[test]
fn no_policies_make_no_set() {
    assert!(PolicySet::new(Vec::new()).is_none());
}

#[test]
fn the_scope_comes_before_the_rules() {
    let scope = Scope::new(&["t".to_owned()], "audit", &[], None);
    let local = Local::new(scope, Some(bound(vec![policy("p", "allow", STEP_UP)])));
    assert_eq!(judge(&local, "t", "{}").effect.word(), "step_up");
    let verdict = judge(&local, "u", "{}");
    assert_eq!(said(&verdict).1, "tool_not_in_approved_scope");
    let open = Local::new(Scope::default(), None);
    assert_eq!(judge(&open, "u", "{}"), Verdict::allow());
}

/// Managed rules that block, and what a user adds: nothing makes the verdict milder.
#[test]
fn nothing_that_is_added_makes_a_managed_verdict_milder() {
    let all = "[[rule]]\nid='all'\neffect='allow'\n";
    let limit = "[[rule]]\nid='limit'\nwhen='args.n > 9'\neffect='block'\n";
    let cap = "[[rule]]\nid='cap'\nwhen='args.n > 9'\neffect='modify'\nset={'/n'='9'}\n";
    let more = "[[rule]]\nid='more'\neffect='modify'\nset={'/n'='99'}\n";
    let seven = "[[rule]]\nid='seven'\neffect='modify'\nset={'/n'='7'}\n";
    for (managed, own, n, word, by) in [
        (("block", ""), ("allow", all), 1, "block", "managed"),
        (("step_up", ""), ("allow", all), 1, "step_up", "managed"),
        (("allow", ""), ("block", all), 1, "allow", "managed"),
        (("allow", ""), ("block", ""), 1, "block", "own"),
        (("allow", BLOCK), ("allow", all), 1, "block", "managed"),
        (("allow", ""), ("allow", STEP_UP), 1, "step_up", "own"),
        // What is put in place of the arguments is judged, too, and so are those that came.
        (("allow", limit), ("allow", more), 1, "block", "managed"),
        (("allow", limit), ("allow", seven), 1, "modify 7", "own"),
        (("allow", limit), ("allow", seven), 10, "block", "managed"),
        (("allow", cap), ("allow", more), 1, "modify 9", "managed"),
        (("allow", cap), ("allow", seven), 10, "modify 7", "own"),
        (("allow", cap), ("allow", all), 10, "modify 9", "managed"),
    ] {
        let set =
            |id, (default, rules): (&str, &str)| Some(bound(vec![policy(id, default, rules)]));
        let local = Local::new(Scope::default(), set("own", own)).under(set("managed", managed));
        let verdict = judge(&local, "t", &format!("{{\"n\":{n}}}"));
        let arguments = verdict.effect.arguments().map(Arguments::as_str);
        let n = arguments.map(|text| text.replace(['{', '}'], "").replace("\"n\":", " "));
        let said = format!("{}{}", verdict.effect.word(), n.unwrap_or_default());
        let found = (&*said, &*verdict.grounds.policy.unwrap().id);
        assert_eq!(found, (word, by), "{managed:?} {own:?}");
    }
}

#[test]
fn sequences_and_annotations_are_seen() {
    let rules = "[[rule]]\nid='after'\neffect='block'\nwhen='session.count(\"read\") > 0 && annotations.openWorldHint'\n";
    let set = bound(vec![policy("p", "allow", rules)]);
    let mut calls = Calls::default();
    let mut word = |annotations, read: bool| {
        if read {
            calls.add(&"read".into());
        }
        let verdict =
            set.judge(&Facts { tool: "send", arguments: "{}", annotations, calls: &calls });
        (verdict.effect.word(), verdict.grounds.reason_code.unwrap())
    };
    let open = Some(r#"{"openWorldHint":true}"#);
    assert_eq!(word(open, false).0, "allow");
    assert_eq!(word(open, true), ("block", "rule_matched".into()));
    assert_eq!(word(None, false), ("block", "condition_failed".into()));
    assert_eq!(word(Some("[1]"), false), ("block", "condition_failed".into()));
    assert_eq!(word(Some("{"), false), ("block", "condition_failed".into()));
}

#[test]
fn more_tools_than_are_remembered_are_judged_the_same() {
    let set = bound(vec![policy("p", "allow", "[[rule]]\nid='r'\ntools=['*7']\neffect='block'")]);
    for round in 0..2 {
        for number in 0..600 {
            let tool = format!("tool{number}");
            let blocked = judge(&set, &tool, "{}").effect == Effect::Block;
            assert_eq!(blocked, number % 10 == 7, "{tool} in round {round}");
        }
    }
}

/// Rules whose conditions hold, do not, or fail, by a number.
fn rules() -> impl Strategy<Value = Vec<String>> {
    let effect = prop::sample::select(vec![ALLOW, MODIFY, STEP_UP, DEFER, BLOCK]);
    let when = prop::sample::select(vec![
        "",
        "when='true'\n",
        "when='args.n == 2'\n",
        "when='args.x == 2'\n",
        "tools=['u']\n",
    ]);
    prop::collection::vec((effect, when), 0..7).prop_map(|rules| {
        rules
            .into_iter()
            .enumerate()
            .map(|(nth, (rule, when))| rule.replace("id='", &format!("id='r{nth}-")) + when)
            .collect()
    })
}

/// What the rules mean, said as simply as possible.
fn model(rules: &[String]) -> &'static str {
    ["block", "defer", "step_up", "modify", "allow"]
        .into_iter()
        .find(|word| {
            rules.iter().filter(|rule| rule.contains(&format!("effect='{word}'"))).any(|rule| {
                let fails = rule.contains("args.x");
                let misses = rule.contains("args.n == 2") || rule.contains("['u']");
                if fails { !["modify", "allow"].contains(word) } else { !misses }
            })
        })
        .unwrap_or("step_up")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_rules_and_policies_changes_no_verdict(
        (rules, shuffled) in rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        cut in 0_usize..7,
    ) {
        let verdict = one("step_up", &rules.concat(), r#"{"n":1}"#);
        prop_assert_eq!(verdict.effect.word(), model(&rules));
        let other = one("step_up", &shuffled.concat(), r#"{"n":1}"#);
        prop_assert_eq!(&verdict.effect, &other.effect);
        prop_assert_eq!(&verdict.grounds.reason_code, &other.grounds.reason_code);
        let sorted = |verdict: &Verdict| {
            let mut ids = verdict.grounds.rule_ids.clone();
            ids.sort();
            ids
        };
        prop_assert_eq!(sorted(&verdict), sorted(&other));
        let (one, two) = shuffled.split_at(cut.min(shuffled.len()));
        let split = bound(vec![policy("a", "step_up", &one.concat()), policy("b", "allow", &two.concat())]);
        prop_assert_eq!(sorted(&judge(&split, "t", r#"{"n":1}"#)), sorted(&verdict));
    }
}
