//! The sidecar's proof to itself, before the first line is read: calls that the loaded policy
//! denies are denied.
//!
//! A gate that is wired wrongly lets everything pass without a word, and nothing else would show
//! it. The calls are constructed from what the policy *says*, not from what judging it returns:
//!
//! - a tool that no entry of the scope names;
//! - a tool that a restricting rule names, with arguments for which its condition holds;
//! - a tool that no rule names, where the default restricts;
//! - the policies' own cases that expect a denial.

use super::condition::Condition;
use super::glob::Glob;
use super::judge::BoundPolicy;
use super::rule::{Names, Rule};
use super::scene::Scene;
use super::scope::Local;
use crate::gate::verdict::{Calls, Effect, Facts, Judge, Verdict};

/// A tool that nobody has.
const STRANGER: &str = "thoth.proof/a-tool-that-nobody-has";
/// The most arguments that are tried to find some for which a condition holds.
const MOST_TRIES: usize = 512;

/// What the attempt to be denied came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proof {
    /// Calls that the policy denies are denied: how many, and one of them.
    Proven {
        /// In words.
        what: String,
    },
    /// The policy denies nothing, whatever the call: people should know.
    NothingToDeny,
    /// The policy may deny calls, but none is known; a case that expects a denial would be one.
    Untested,
    /// A call that the policy denies is let through. Nothing must be started.
    Broken {
        /// Which call, in words.
        what: String,
    },
}

/// A call that must be denied.
struct Probe {
    why: String,
    tool: String,
    arguments: String,
}

impl Probe {
    /// A call of a tool that nobody has.
    fn stranger(why: &str) -> Self {
        Self { why: why.to_owned(), tool: STRANGER.to_owned(), arguments: "{}".to_owned() }
    }
}

/// Tries to get calls past `judge` that `local` says it denies. `judge` is what the gate will ask:
/// `local` itself, unless something stands in between.
pub fn prove(judge: &dyn Judge, local: &Local) -> Proof {
    let calls = Calls::default();
    let mut denied = Vec::new();
    for probe in probes(local, &calls) {
        let verdict = judge.judge(&Facts {
            tool: &probe.tool,
            arguments: &probe.arguments,
            annotations: None,
            calls: &calls,
        });
        let what = format!("`{}` ({})", probe.tool, probe.why);
        if !is_denial(&verdict) {
            return Proof::Broken { what };
        }
        denied.push(what);
    }
    for set in local.sets().flat_map(|bound| bound.set().each()) {
        let cases = set.policies().iter().flat_map(|policy| &policy.cases);
        for case in cases.filter(|case| case.expect.restricts()) {
            let what = format!("`{}` (case `{}`)", case.tool, case.name);
            if !is_denial(&case.run(&set).verdict) {
                return Proof::Broken { what };
            }
            denied.push(what);
        }
    }
    match denied.first() {
        Some(first) => Proof::Proven {
            what: format!("{} calls are denied as they should be, such as {first}", denied.len()),
        },
        None if could_deny(local) => Proof::Untested,
        None => Proof::NothingToDeny,
    }
}

fn is_denial(verdict: &Verdict) -> bool {
    verdict.effect.strictness() >= Effect::StepUp(None).strictness()
}

fn could_deny(local: &Local) -> bool {
    let scope = local.scope();
    let restricts = |bound: &BoundPolicy| {
        let mut rules = bound.rules().iter().map(|place| bound.set().at(*place).1);
        rules.any(|rule| rule.action.word().restricts())
            || bound.set().strictest_default().default.word().restricts()
    };
    scope.lineage.is_some()
        || scope.approved.is_some()
        || scope.intended.is_some()
        || local.sets().any(restricts)
}

fn probes(local: &Local, calls: &Calls) -> Vec<Probe> {
    let mut probes = Vec::new();
    let scope = local.scope();
    let excludes = |globs: &Option<Vec<Glob>>| {
        globs.as_ref().is_some_and(|globs| !globs.iter().any(|glob| glob.matches(STRANGER)))
    };
    if scope.lineage.is_some() {
        probes.push(Probe::stranger("blocked lineage"));
    }
    if excludes(&scope.approved) {
        probes.push(Probe::stranger("not in the approved scope"));
    }
    if excludes(&scope.intended) {
        probes.push(Probe::stranger("not for the session's intent"));
    }
    probes.extend(local.sets().flat_map(|bound| of_policies(bound, calls)));
    probes
}

/// Calls that the policies of one set deny.
fn of_policies(bound: &BoundPolicy, calls: &Calls) -> Vec<Probe> {
    let mut probes = Vec::new();
    let rules: Vec<&Rule> = bound.rules().iter().map(|at| bound.set().at(*at).1).collect();
    for rule in rules.iter().filter(|rule| rule.action.word().restricts()) {
        let tool = match &rule.tools {
            Names::Any => STRANGER.to_owned(),
            Names::OneOf(globs) => globs.first().map_or(String::new(), |glob| glob.instance("x")),
        };
        let arguments = match &rule.when {
            None => Some("{}".to_owned()),
            Some(when) => witness(when, bound, &tool, calls),
        };
        if let Some(arguments) = arguments {
            let why = format!("rule `{}`", rule.id);
            probes.push(Probe { why, tool, arguments });
        }
    }
    let default = bound.set().strictest_default();
    let is_known = rules.iter().any(|rule| rule.tools.include(STRANGER));
    if default.default.word().restricts() && !is_known {
        let why = format!("default of policy `{}`", default.reference.id);
        probes.push(Probe::stranger(&why));
    }
    probes
}

/// Arguments for which a condition holds: tried from the members it reads and the literals it
/// compares them with. A condition that fails counts as one that holds, but is no proof that it
/// would be evaluated.
fn witness(when: &Condition, bound: &BoundPolicy, tool: &str, calls: &Calls) -> Option<String> {
    let mut values: Vec<String> = vec!["\"\"".into(), "true".into(), "1000000".into()];
    for literal in when.literals() {
        values.push(literal.clone());
        values.push(format!("[{literal}]"));
        if let Ok(number) = literal.parse::<i64>() {
            values.extend(
                [number.checked_add(1), number.checked_sub(1)]
                    .map(|n| n.map_or_else(|| literal.clone(), |n| n.to_string())),
            );
        }
    }
    let names: Vec<&String> = when.members().iter().collect();
    let count = values.len().saturating_pow(u32::try_from(names.len()).unwrap_or(u32::MAX));
    (0..count.min(MOST_TRIES))
        .map(|mut pick| {
            let members = names.iter().map(|name| {
                let value = &values[pick % values.len()];
                pick /= values.len();
                let mut member = String::new();
                super::value::write_string(name, &mut member);
                member + ":" + value
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        })
        .find(|arguments| {
            let facts = Facts { tool, arguments, annotations: None, calls };
            when.holds(&Scene::new(bound.who(), &facts)) == Ok(true)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, PolicySet, Scope, Who};

    fn local(rules: &str) -> Local {
        let text = format!("[policy]\nid = \"p\"\nversion = 1\n{rules}");
        let policy = Policy::parse("p.toml", &text).unwrap_or_else(|problems| panic!("{problems}"));
        let bound = PolicySet::new(vec![policy]).unwrap().bind(Who::default());
        Local::new(Scope::default(), Some(bound))
    }

    /// A gate that was wired wrongly.
    struct AllowAll;

    impl Judge for AllowAll {
        fn judge(&self, _: &Facts<'_>) -> Verdict {
            Verdict::allow()
        }
    }

    #[test]
    fn what_is_denied_is_proven_and_a_broken_judge_is_found_out() {
        for (rules, part) in [
            ("default = \"block\"", "default of policy `p`"),
            (
                "default = \"step_up\"\n[[rule]]\nid=\"a\"\ntools=[\"read_*\"]\neffect=\"allow\"",
                "default",
            ),
            (
                "default = \"allow\"\n[[rule]]\nid=\"no\"\ntools=[\"rm_?_*\"]\neffect=\"block\"",
                "`rm_x_x` (rule `no`)",
            ),
            (
                "default = \"allow\"\n[[rule]]\nid=\"no\"\nwhen='args.n > 7 && args.path.startsWith(\"/etc\")'\neffect=\"block\"",
                "rule `no`",
            ),
            (
                "default = \"allow\"\n[[rule]]\nid=\"no\"\nwhen='args.s.matches(\"^[a-f]{8}$\")'\neffect=\"block\"\n\
                 [[case]]\nname=\"hex\"\ntool=\"t\"\narguments={s=\"abcdefab\"}\nexpect=\"block\"",
                "case `hex`",
            ),
        ] {
            let local = local(rules);
            let proof = prove(&local, &local);
            let Proof::Proven { what } = &proof else {
                panic!("{rules}: {proof:?}");
            };
            assert!(what.contains(part), "{rules}: {what}");
            if !rules.contains("case") {
                let broken = prove(&AllowAll, &local);
                assert!(matches!(broken, Proof::Broken { .. }), "{rules}: {broken:?}");
            }
        }
    }

    #[test]
    fn a_scope_is_proven_without_a_policy() {
        let scope = Scope::new(&["read".to_owned()], "", &[], None);
        let local = Local::new(scope, None);
        assert!(matches!(prove(&local, &local), Proof::Proven { .. }));
        assert!(matches!(prove(&AllowAll, &local), Proof::Broken { .. }));
    }

    #[test]
    fn a_policy_that_denies_nothing_says_so() {
        let open = local("default = \"allow\"");
        assert_eq!(prove(&open, &open), Proof::NothingToDeny);
        let all = local("default = \"block\"\n[[rule]]\nid=\"all\"\neffect=\"allow\"");
        assert_eq!(prove(&all, &all), Proof::Untested);
        let hard = local(
            "default=\"allow\"\n[[rule]]\nid=\"no\"\nwhen='tool.matches(\"^q+$\")'\neffect=\"block\"",
        );
        assert_eq!(prove(&hard, &hard), Proof::Untested);
    }

    #[test]
    fn a_case_that_is_not_denied_stops_the_start() {
        let wrong =
            local("default = \"allow\"\n[[case]]\nname=\"no\"\ntool=\"t\"\nexpect=\"block\"");
        assert!(matches!(prove(&wrong, &wrong), Proof::Broken { .. }));
    }
}
