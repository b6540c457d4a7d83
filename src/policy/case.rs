//! Runs a policy's cases: the calls that it says something about, written beside its rules.

use super::judge::PolicySet;
use super::rule::Case;
use crate::gate::verdict::{Calls, Effect, Facts, Judge, Verdict};

/// How one case went.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// The policy's verdict.
    pub verdict: Verdict,
    /// What differs from what was expected; `None` where nothing does.
    pub differs: Option<String>,
}

/// The calls of a session so far, by their names.
pub fn calls(names: &[impl AsRef<str>]) -> Calls {
    let mut calls = Calls::default();
    for name in names {
        calls.add(&name.as_ref().into());
    }
    calls
}

impl Case {
    /// Judges the case's call and compares.
    pub fn run(&self, policies: &PolicySet) -> Ran {
        let bound = policies.bind(self.who.clone());
        let calls = calls(&self.calls);
        let verdict = bound.judge(&Facts {
            tool: &self.tool,
            arguments: &self.arguments,
            annotations: self.annotations.as_deref(),
            calls: &calls,
        });
        let differs = self.difference(&verdict);
        Ran { verdict, differs }
    }

    /// The same case with other annotations, in JSON: what if the server said something else?
    #[must_use]
    pub fn with_annotations(&self, json: &str) -> Self {
        Self { annotations: Some(json.to_owned()), ..self.clone() }
    }

    fn difference(&self, verdict: &Verdict) -> Option<String> {
        let (expected, found) = (self.expect.as_str(), verdict.effect.word());
        if expected != found {
            return Some(format!("expected {expected}, not {found}"));
        }
        if let Some(rule) = &self.rule
            && !verdict.grounds.rule_ids.contains(rule)
        {
            return Some(format!("expected rule `{rule}` to decide"));
        }
        if let (Some(expected), Effect::Modify(found)) = (&self.expect_arguments, &verdict.effect) {
            let parse = |text| serde_json::from_str::<serde_json::Value>(text).ok();
            if parse(expected) != parse(found.as_str()) {
                return Some(format!("expected {expected}, not {}", found.as_str()));
            }
        }
        None
    }
}
