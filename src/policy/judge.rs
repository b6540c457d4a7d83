//! Policies × call → verdict.
//!
//! # Invariants
//!
//! - All matching rules count, and the strictest effect wins: the order of rules changes nothing
//!   but the order in which they are named.
//! - A restricting rule whose condition fails matches; an allowing or modifying one does not.
//! - A default counts only where no rule of any policy matched; then the strictest one does.
//! - A call is never forwarded unmodified because modifying it failed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Who;
use super::condition::Failure;
use super::pointer;
use super::rule::{Action, Policy, Rule, Word};
use super::scene::Scene;
use crate::gate::verdict::{Arguments, Effect, Facts, Grounds, Judge, Verdict};

/// A rule, or a default, said so.
pub const RULE_MATCHED: &str = "rule_matched";
/// No rule matched, so the default decided.
pub const NO_RULE_MATCHED: &str = "no_rule_matched";
/// A rule that could not be evaluated had a say in it.
pub const CONDITION_FAILED: &str = "condition_failed";
/// The call was to be modified, and could not be.
pub const MODIFY_FAILED: &str = "modify_failed";

/// For how many tools the rules about them are remembered, and how long their names may be, in
/// bytes: the caller chooses both.
const REMEMBERED_TOOLS: usize = 256;
const REMEMBERED_NAME: usize = 256;

/// Policies that decide together. Never empty.
#[derive(Clone, Debug)]
pub struct PolicySet {
    policies: Arc<[Arc<Policy>]>,
}

/// Policies bound to whose calls they judge.
#[derive(Debug)]
pub struct BoundPolicy {
    set: PolicySet,
    who: Who,
    /// The rules that are about this session, the strictest first.
    rules: Vec<Place>,
    /// Those of them that are about a tool.
    by_tool: Mutex<HashMap<Box<str>, Arc<[Place]>>>,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) policy: usize,
    pub(super) rule: usize,
}

/// What evaluating a rule's condition came to.
pub(super) type Outcome = Result<bool, Failure>;

/// The rules of one effect that had something to say.
#[derive(Default)]
struct Voices<'p> {
    /// Whose conditions held, or counted as if they had.
    matched: Vec<(&'p Policy, &'p Rule)>,
    /// Whose conditions failed.
    failed: Vec<(&'p Rule, Failure)>,
}

// === impl PolicySet ===

impl PolicySet {
    /// Policies that decide together; `None` where there are none.
    pub fn new(policies: Vec<Policy>) -> Option<Self> {
        (!policies.is_empty())
            .then(|| Self { policies: policies.into_iter().map(Arc::new).collect() })
    }

    /// The policies, in the order given.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// Each policy by itself.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        self.policies.iter().map(|policy| Self { policies: Arc::new([Arc::clone(policy)]) })
    }

    /// Binds the policies to whose calls they judge: once for a session.
    pub fn bind(&self, who: Who) -> BoundPolicy {
        let mut rules: Vec<Place> = Vec::new();
        for (policy, of) in self.policies.iter().enumerate() {
            let about = of.rules.iter().enumerate().filter(|(_, rule)| rule.is_about(&who));
            rules.extend(about.map(|(rule, _)| Place { policy, rule }));
        }
        rules.sort_by_key(|place| std::cmp::Reverse(self.at(*place).1.action.word()));
        BoundPolicy { set: self.clone(), who, rules, by_tool: Mutex::default() }
    }

    pub(super) fn at(&self, place: Place) -> (&Policy, &Rule) {
        let policy = &self.policies[place.policy];
        (policy, &policy.rules[place.rule])
    }

    /// The policy with the strictest default; the first of several.
    pub(super) fn strictest_default(&self) -> &Policy {
        let (first, rest) = self
            .policies
            .split_first()
            .unwrap_or_else(|| unreachable!("`new` takes no empty list"));
        rest.iter().fold(
            first,
            |strictest, policy| {
                if policy.default > strictest.default { policy } else { strictest }
            },
        )
    }
}

// === impl BoundPolicy ===

impl BoundPolicy {
    /// The policies.
    pub fn set(&self) -> &PolicySet {
        &self.set
    }

    /// Whose calls are judged.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The rules that are about this session, the strictest first.
    pub(super) fn rules(&self) -> &[Place] {
        &self.rules
    }

    /// The rules that are about this session and this tool, the strictest first.
    fn candidates(&self, tool: &str) -> Arc<[Place]> {
        let mut by_tool = self.by_tool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_tool.get(tool) {
            return Arc::clone(known);
        }
        let about = |place: &&Place| self.set.at(**place).1.tools.include(tool);
        let found: Arc<[Place]> = self.rules.iter().filter(about).copied().collect();
        if by_tool.len() < REMEMBERED_TOOLS && tool.len() <= REMEMBERED_NAME {
            by_tool.insert(tool.into(), Arc::clone(&found));
        }
        found
    }

    pub(super) fn outcome(rule: &Rule, scene: &Scene<'_>) -> Outcome {
        rule.when.as_ref().map_or(Ok(true), |when| when.holds(scene))
    }

    /// What the rules of one effect say.
    fn listen(&self, places: &[Place], word: Word, scene: &Scene<'_>) -> Voices<'_> {
        let mut voices = Voices::default();
        for place in places {
            let (policy, rule) = self.set.at(*place);
            match Self::outcome(rule, scene) {
                Ok(true) => voices.matched.push((policy, rule)),
                Ok(false) => {}
                Err(failure) => {
                    if word.restricts() {
                        voices.matched.push((policy, rule));
                    }
                    voices.failed.push((rule, failure));
                }
            }
        }
        voices
    }

    fn default(&self, failed: &[(&Rule, Failure)]) -> Verdict {
        let policy = self.set.strictest_default();
        let effect = effect(policy.default.word());
        let mut reason = format!("no rule of policy `{}` matches this call", policy.reference.id);
        for failure in failed {
            reason.push_str("; ");
            reason.push_str(&not_evaluated(failure));
        }
        let code = if failed.is_empty() { NO_RULE_MATCHED } else { CONDITION_FAILED };
        let grounds =
            Grounds { policy: Some(policy.reference.clone()), ..Grounds::coded(code, &reason) };
        Verdict { effect, grounds }
    }
}

impl Judge for BoundPolicy {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let candidates = self.candidates(facts.tool);
        let scene = Scene::new(&self.who, facts);
        let mut failed = Vec::new();
        let mut rest = &candidates[..];
        while let Some(first) = rest.first() {
            let word = self.set.at(*first).1.action.word();
            let same = |place: &Place| self.set.at(*place).1.action.word() == word;
            let (tier, milder) = rest.split_at(rest.partition_point(same));
            rest = milder;
            let mut voices = self.listen(tier, word, &scene);
            if voices.matched.is_empty() {
                failed.append(&mut voices.failed);
                continue;
            }
            // Milder rules cannot change the effect, and only its own rules are reported.
            voices.failed.append(&mut failed);
            return voices.verdict(word, facts, &scene);
        }
        self.default(&failed)
    }
}

// === impl Voices ===

impl Voices<'_> {
    fn verdict(&self, word: Word, facts: &Facts<'_>, scene: &Scene<'_>) -> Verdict {
        let grounds = self.grounds();
        let effect = match word {
            Word::Modify => match self.modified(facts.arguments, scene) {
                Ok(arguments) => Effect::Modify(arguments),
                Err(why) => {
                    let reason = format!("the arguments could not be modified: {why}");
                    let grounds = Grounds {
                        reason: Some(reason),
                        reason_code: Some(MODIFY_FAILED.to_owned()),
                        ..grounds
                    };
                    return Verdict { effect: Effect::Block, grounds };
                }
            },
            // Come back when the last of them lets the call pass.
            Word::Defer => Effect::Defer(self.retry_after()),
            Word::Allow | Word::Block | Word::StepUp => effect(word),
        };
        Verdict { effect, grounds }
    }

    fn grounds(&self) -> Grounds {
        let failed = |rule: &Rule| {
            let found = |(other, _): &&(&Rule, Failure)| std::ptr::eq(*other, rule);
            self.failed.iter().find(found)
        };
        let mut reasons: Vec<String> = Vec::new();
        let mut grounds = Grounds::default();
        let mut some_held = false;
        for (_, rule) in &self.matched {
            grounds.rule_ids.push(rule.id.clone());
            for control in &rule.controls {
                if !grounds.control_ids.contains(control) {
                    grounds.control_ids.push(control.clone());
                }
            }
            if failed(rule).is_none() {
                some_held = true;
                let reason = rule.reason.clone();
                let reason = reason.unwrap_or_else(|| format!("rule `{}` applies", rule.id));
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        reasons.extend(self.failed.iter().map(not_evaluated));
        let restricts = self.matched.iter().any(|(_, rule)| rule.action.word().restricts());
        let sound = self.failed.is_empty() || some_held && restricts;
        let code = if sound { RULE_MATCHED } else { CONDITION_FAILED };
        grounds.reason = Some(reasons.join("; "));
        grounds.reason_code = Some(code.to_owned());
        grounds.policy = self.matched.first().map(|(policy, _)| policy.reference.clone());
        grounds.self_approval = self.self_approval();
        grounds
    }

    /// Whether all step-ups among the rules let whoever made the call agree to it; one that forbids it
    /// is enough.
    fn self_approval(&self) -> Option<bool> {
        let said = self.matched.iter().filter_map(|(_, rule)| match rule.action {
            Action::StepUp { self_approval } => Some(self_approval),
            Action::Allow | Action::Block | Action::Defer { .. } | Action::Modify(_) => None,
        });
        said.reduce(|one, other| match (one, other) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        })
        .flatten()
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        let times = self.matched.iter().filter_map(|(_, rule)| match rule.action {
            Action::Defer { retry_after } => retry_after,
            Action::Allow | Action::Block | Action::Modify(_) | Action::StepUp { .. } => None,
        });
        times.max()
    }

    /// The arguments with everything set that the matching rules set. Every value is computed
    /// from the call as it came.
    fn modified(&self, arguments: &str, scene: &Scene<'_>) -> Result<Arguments, String> {
        let mut changes = Vec::new();
        for (_, rule) in &self.matched {
            let Action::Modify(sets) = &rule.action else {
                continue;
            };
            for set in sets {
                let value = set.value.json(scene).map_err(|failure| {
                    format!("rule `{}`, value of `{}`: {failure}", rule.id, set.pointer)
                })?;
                changes.push((&set.pointer, value));
            }
        }
        let text = pointer::set(arguments, &changes).map_err(|unchanged| unchanged.to_string())?;
        Arguments::parse(&text).map_err(|not_arguments| not_arguments.to_string())
    }
}

fn not_evaluated((rule, failure): &(&Rule, Failure)) -> String {
    format!("rule `{}` cannot be evaluated: {failure}", rule.id)
}

/// The effect that a word without particulars means.
fn effect(word: Word) -> Effect {
    match word {
        Word::Allow => Effect::Allow,
        Word::StepUp => Effect::StepUp(None),
        Word::Defer => Effect::Defer(None),
        // A modification without new arguments is none, and forwarding is not what was asked for.
        Word::Block | Word::Modify => Effect::Block,
    }
}
