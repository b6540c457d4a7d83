//! Whatever a rule file holds: every problem has its place in it, or the calls it judges get a verdict
//! that its explanation bears out.

use thoth::gate::verdict::{Calls, Effect, Facts, Judge};
use thoth::policy::{Policy, PolicySet, Who};

/// Calls that are not the file's own: what a rule's author did not think of.
const CALLS: [(&str, &str); 4] = [
    ("read_file", r#"{"path":"/etc/shadow"}"#),
    ("query", r#"{"limit":9007199254740993,"sql":"drop","nested":[{"a":null},1e400]}"#),
    ("é", "{}"),
    ("", r#"{"":{"":""}}"#),
];

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let policy = match Policy::parse("fuzzed.toml", text) {
        Ok(policy) => policy,
        Err(problems) => {
            assert!(!problems.list.is_empty(), "refused for no reason");
            let lines = text.lines().count() + 1;
            for problem in &problems.list {
                assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{problem:?}");
                assert!(!problem.message.is_empty());
            }
            return;
        }
    };
    let cases = policy.cases().to_vec();
    let set = PolicySet::new(vec![policy]).expect("there is one");
    for case in &cases {
        assert_eq!(case.run(&set), case.run(&set), "a case goes one way");
    }
    let bound = set.bind(Who::default());
    let calls = Calls::default();
    for (tool, arguments) in CALLS {
        let facts = Facts { tool, arguments, annotations: None, calls: &calls };
        let verdict = bound.judge(&facts);
        let explanation = bound.explain(&facts);
        assert_eq!(explanation.verdict.effect, verdict.effect, "{tool}");
        if let Effect::Modify(arguments) = &verdict.effect {
            assert!(arguments.as_str().starts_with('{'), "arguments stay an object");
        }
        if verdict.grounds.rule_ids.is_empty() {
            let default = set.policies()[0].default().word().as_str();
            let restricts = default == "allow" || verdict.effect != Effect::Allow;
            assert!(restricts, "no rule allowed this, and the default does not: {tool}");
        }
    }
}
