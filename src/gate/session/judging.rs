//! What the local rules say about a call, and say again when the world has moved on.

use super::super::decide::{self, Ruling};
use super::super::message::Call;
use super::super::verdict::{Arguments, Effect as Verb, Facts, Verdict};
use super::super::waiting::Judged;
use super::Session;

impl Session {
    /// Where an order refuses every call at present.
    pub(super) fn ordered(&self) -> Option<Ruling> {
        self.judge.as_ref()?.order().map(decide::ordered)
    }

    /// What the local rules say, about the arguments that would be sent if they modify them.
    pub(super) fn judged(&self, call: &Call) -> Judged {
        let Some(judge) = self.judge.as_ref() else {
            return Judged { verdict: None, modified: None };
        };
        let arguments = call.arguments();
        // Strictly read, so it is UTF-8; were it not, the rules would see no arguments at all.
        let own = std::str::from_utf8(&arguments).unwrap_or("{}");
        let verdict = judge.judge(&self.facts(call, own));
        let modified = verdict.effect.arguments().cloned();
        let again = modified.as_ref().and_then(|modified| self.judged_again(call, modified));
        Judged { verdict: Some(again.unwrap_or(verdict)), modified }
    }

    /// What the local rules say about other arguments, where that is stricter than to modify.
    fn judged_again(&self, call: &Call, arguments: &Arguments) -> Option<Verdict> {
        let verdict = self.judge.as_ref()?.judge(&self.facts(call, arguments.as_str()));
        (verdict.effect.strictness() >= Verb::StepUp(None).strictness()).then_some(verdict)
    }

    /// What the local rules say about the enforcer's arguments, where they object: rules that would
    /// modify them again and the enforcer cannot both have their way.
    pub(super) fn objects(&self, call: &Call, arguments: &Arguments) -> Option<Verdict> {
        let verdict = self.judge.as_ref()?.judge(&self.facts(call, arguments.as_str()));
        match verdict.effect {
            Verb::Allow => None,
            Verb::Modify(again) if again == *arguments => None,
            Verb::Modify(_) => Some(Verdict::block(
                "modify_conflict",
                "the local rules would modify the arguments that the enforcer put in",
            )),
            Verb::StepUp(_) | Verb::Defer(_) | Verb::Block => Some(verdict),
        }
    }

    /// What the local rules say by now about a call that others have overtaken since `calls_before`
    /// was counted, where that is stricter than to modify: a rule about sequences must see them.
    pub(super) fn overtaken(&self, call: &Call, calls_before: u64) -> Option<Verdict> {
        if calls_before == self.calls.total() {
            return None;
        }
        let verdict = self.judged(call).verdict?;
        (verdict.effect.strictness() >= Verb::StepUp(None).strictness()).then_some(verdict)
    }

    fn facts<'a>(&'a self, call: &'a Call, arguments: &'a str) -> Facts<'a> {
        Facts {
            tool: call.tool(),
            arguments,
            annotations: self.tools.annotations(call.tool()),
            calls: &self.calls,
        }
    }
}
