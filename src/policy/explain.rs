//! Why a call is decided as it is: what every rule says about it, also those that could not
//! change the outcome any more.

use super::judge::BoundPolicy;
use super::rule::{Names, Word};
use super::scene::Scene;
use crate::gate::verdict::{Facts, Judge, Verdict};

/// What every rule says about one call, and the verdict that comes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The rules, in the order of the policies and their files.
    pub rules: Vec<Heard>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What one rule says about a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// The policy's id.
    pub policy: String,
    /// The rule's id.
    pub rule: String,
    /// The line on which the rule begins.
    pub line: usize,
    /// What it does to calls that it matches.
    pub effect: Word,
    /// Whether it matches this one.
    pub says: Says,
}

/// Whether a rule matches a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Says {
    /// It matches.
    Matches,
    /// Its names do not include the call's: the key that does not.
    NotAbout(&'static str),
    /// Its condition is false.
    False,
    /// Its condition cannot be evaluated; whether that counts as a match, and why.
    Failed {
        /// Restricting rules match, others do not.
        matches: bool,
        /// Why.
        why: String,
    },
}

impl BoundPolicy {
    /// Explains the decision about one call.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        let scene = Scene::new(self.who(), facts);
        let who = self.who();
        let mut rules = Vec::new();
        for policy in self.set().policies() {
            for rule in &policy.rules {
                let about: [(&'static str, &Names, &str); 5] = [
                    ("tools", &rule.tools, facts.tool),
                    ("agents", &rule.agents, &who.agent),
                    ("servers", &rule.servers, &who.server),
                    ("intents", &rule.intents, &who.intent),
                    ("environments", &rule.environments, &who.environment),
                ];
                let misses = about.into_iter().find(|(_, names, name)| !names.include(name));
                let effect = rule.action.word();
                let says = match misses {
                    Some((key, ..)) => Says::NotAbout(key),
                    None => match Self::outcome(rule, &scene) {
                        Ok(true) => Says::Matches,
                        Ok(false) => Says::False,
                        Err(failure) => {
                            Says::Failed { matches: effect.restricts(), why: failure.to_string() }
                        }
                    },
                };
                rules.push(Heard {
                    policy: policy.reference.id.clone(),
                    rule: rule.id.clone(),
                    line: rule.line,
                    effect,
                    says,
                });
            }
        }
        Explanation { rules, verdict: self.judge(facts) }
    }
}
