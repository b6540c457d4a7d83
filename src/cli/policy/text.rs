//! What `thoth policy` prints: plain text for people, one JSON value for scripts.

use std::error::Error;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::NotLoaded;
use crate::gate::verdict::{Effect, Verdict};
use crate::policy::Policy;
use crate::policy::case::Ran;
use crate::policy::explain::{Explanation, Heard, Says};
use crate::policy::rule::Case;

pub(super) fn checked(out: &mut impl Write, name: &str, policy: &Policy) -> io::Result<()> {
    let (rules, cases) = (policy.rules().len(), policy.cases().len());
    let reference = policy.reference();
    writeln!(
        out,
        "{name}: ok: policy `{}` version {}, {rules} rules, {cases} cases, default {}",
        reference.id,
        reference.version,
        policy.default().word().as_str(),
    )
}

pub(super) fn not_loaded(out: &mut impl Write, error: &NotLoaded) -> io::Result<()> {
    match error.source() {
        Some(source) => writeln!(out, "{error}: {source}"),
        None => writeln!(out, "{error}"),
    }
}

pub(super) fn tested(out: &mut impl Write, name: &str, ran: &[(Case, Ran)]) -> io::Result<()> {
    writeln!(out, "{name}")?;
    let width = ran.iter().map(|(case, _)| case.name().chars().count()).max().unwrap_or(0);
    for (case, ran) in ran {
        let mark = if ran.differs.is_none() { "ok  " } else { "FAIL" };
        let decision = ran.verdict.effect.word();
        let by = decided_by(&ran.verdict);
        writeln!(out, "  {mark}  {:width$}  {decision:7} {by}", case.name())?;
        if let Some(differs) = &ran.differs {
            writeln!(out, "        line {}: {differs}", case.line())?;
            if let Some(reason) = &ran.verdict.grounds.reason {
                writeln!(out, "        because {reason}")?;
            }
        }
    }
    let failed = ran.iter().filter(|(_, ran)| ran.differs.is_some()).count();
    match (ran.len(), failed) {
        (0, _) => writeln!(out, "  no cases: add `[[case]]`, or pass --allow-no-cases"),
        (all, failed) => writeln!(out, "  {} passed, {failed} failed", all - failed),
    }
}

fn decided_by(verdict: &Verdict) -> String {
    if verdict.grounds.rule_ids.is_empty() {
        return "(default)".to_owned();
    }
    verdict.grounds.rule_ids.join(", ")
}

pub(super) fn explained(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    let rules = &explanation.rules;
    let width = |of: fn(&Heard) -> usize| rules.iter().map(of).max().unwrap_or(0);
    let policies = width(|heard| heard.policy.chars().count());
    let names = width(|heard| heard.rule.chars().count());
    for heard in rules {
        let (policy, rule, line) = (&heard.policy, &heard.rule, heard.line);
        let effect = heard.effect.as_str();
        let says = said(&heard.says);
        writeln!(out, "{policy:policies$}  {rule:names$}  line {line:<4} {effect:7}  {says}")?;
    }
    let Verdict { effect, grounds } = &explanation.verdict;
    let code = grounds.reason_code.as_deref().unwrap_or_default();
    writeln!(out, "\nverdict: {} ({code})", effect.word())?;
    writeln!(out, "decided by: {}", decided_by(&explanation.verdict))?;
    if let Some(reason) = &grounds.reason {
        writeln!(out, "reason: {reason}")?;
    }
    if !grounds.control_ids.is_empty() {
        writeln!(out, "controls: {}", grounds.control_ids.join(", "))?;
    }
    if let Effect::Modify(arguments) = effect {
        writeln!(out, "arguments: {}", arguments.as_str())?;
    }
    Ok(())
}

fn said(says: &Says) -> String {
    match says {
        Says::Matches => "matches".to_owned(),
        Says::NotAbout(key) => format!("- not about this call (`{key}`)"),
        Says::False => "- its condition is false".to_owned(),
        Says::Failed { matches: true, why } => format!("matches, because it fails: {why}"),
        Says::Failed { matches: false, why } => format!("- its condition fails: {why}"),
    }
}

pub(super) fn explanation_json(explanation: &Explanation) -> Value {
    let Verdict { effect, grounds } = &explanation.verdict;
    let rules: Vec<_> = explanation.rules.iter().map(heard_json).collect();
    let arguments = match effect {
        Effect::Modify(arguments) => Some(arguments.as_str()),
        Effect::Allow | Effect::Block | Effect::Defer(_) | Effect::StepUp(_) => None,
    };
    json!({
        "decision": effect.word(),
        "rule_ids": grounds.rule_ids,
        "control_ids": grounds.control_ids,
        "reason": grounds.reason,
        "reason_code": grounds.reason_code,
        "policy": grounds.policy.as_ref().map(|policy| json!({
            "id": policy.id, "version": policy.version, "sha256": policy.sha256,
        })),
        "arguments": arguments,
        "rules": rules,
    })
}

fn heard_json(heard: &Heard) -> Value {
    let (says, why) = match &heard.says {
        Says::Matches => ("matches", None),
        Says::NotAbout(key) => ("not_about", Some((*key).to_owned())),
        Says::False => ("false", None),
        Says::Failed { why, .. } => ("failed", Some(why.clone())),
    };
    json!({
        "policy": heard.policy,
        "rule": heard.rule,
        "line": heard.line,
        "effect": heard.effect.as_str(),
        "says": says,
        "why": why,
    })
}
