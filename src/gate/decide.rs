//! Turns verdicts about one call into what happens to it.
//!
//! Pure: no clock, no I/O, no logging. Everything that can sway the outcome is an argument, so a
//! decision can be replayed from its journal record.
//!
//! # Invariants
//!
//! - A [`Permit`] is made in this file and nowhere else, and [`super::message::Outbound`] asks for
//!   one. A call that was not decided cannot be forwarded: it does not compile.
//! - The strictest verdict wins: block > defer > `step_up` > modify > allow.
//! - [`Mode::Observe`] never refuses and never modifies; an order ([`ordered`]) is no decision about
//!   a call, and holds in every mode.
//! - With no verdict at all, nothing is forwarded.
//! - A person's approval satisfies a step-up, and nothing stricter; one given inside the client only
//!   the step-ups whose rules say so.

use super::message::elicitation::{Modes, Way};
use super::record::Ticket;
use super::verdict::{Answer, Arguments, Effect, Grounds, Hold, Keeper, Verdict};

/// How verdicts are enforced.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// A step-up becomes a block: nobody may let the call through.
    Block,
    /// Decide and record, always forward.
    Observe,
    /// Verdicts as they come.
    #[default]
    Progressive,
    /// A block becomes a step-up: a person may let the call through.
    StepUp,
}

/// What happens to a call the enforcer does not answer about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outage {
    /// Forward it, if the local rules allow it.
    Allow,
    /// Refuse it.
    #[default]
    Block,
    /// Refuse it as one a person would have to approve.
    StepUp,
}

/// Proof that one call was decided. Not `Clone`: one permit forwards one call.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a permit that is dropped is a call that is never answered"]
pub struct Permit {
    ticket: Ticket,
    basis: Basis,
    arguments: Option<Arguments>,
}

/// On what ground a call was forwarded or refused: who decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// A person approved a held call.
    Approved,
    /// The remote enforcer decided, or both it and the local rules.
    Enforcer,
    /// The failure decision, because the enforcer did not answer.
    Outage,
    /// Observe mode: forwarded whatever was decided.
    Observed,
    /// An order for this machine: refused whatever would have been decided.
    Ordered,
    /// The local rules decided.
    Rules,
}

/// What happens to one call.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// It goes on.
    Forward(Permit),
    /// It waits for a person, unless [`StepUp::course`] says otherwise.
    Hold(Hold),
    /// It is answered with a refusal: the verdict is a block, a defer or a step-up.
    Refuse,
}

/// One decision and what it rests on.
#[derive(Debug, PartialEq)]
pub struct Ruling {
    /// What happens to the call.
    pub decision: Decision,
    /// The verdict that won.
    pub verdict: Verdict,
    /// Who decided.
    pub basis: Basis,
    /// For a call that waits for a person: the arguments that were put in place of its own. They are
    /// what the person is asked about, and what is sent if they agree.
    pub modified: Option<Arguments>,
}

/// The settings a decision depends on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// How verdicts are enforced.
    pub mode: Mode,
    /// What an enforcer's silence means.
    pub outage: Outage,
    /// What becomes of a step-up with a hold.
    pub step_up: StepUp,
}

/// What happens to a call that a person must agree to, where there is a hold to agree to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StepUp {
    /// It is answered at once with -32002 and the token.
    #[default]
    Return,
    /// It waits until a person has answered, for a time.
    Wait,
    /// The person at the client is asked, where the rule and the client let them be; else as
    /// [`StepUp::Return`].
    Elicit,
    /// The person at the client is asked, where the rule and the client let them be, and it waits
    /// for whoever answers first, for a time.
    Auto,
}

/// Whether the person at the client may be asked about a step-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asking {
    /// They were asked about this very call before, and have not answered.
    Asked,
    /// They may be, where the client can.
    May(Modes),
    /// They were sent to the page on which it is answered, and have opened it.
    Opened,
}

/// What becomes of a call whose step-up has a hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Course {
    /// The person at the client is asked.
    Ask(Way),
    /// It is refused with the token.
    Refuse,
    /// It waits for whoever answers.
    Wait,
}

/// What was asked about a call, and what came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinions {
    /// What the local rules say; `None` where there are none.
    pub local: Option<Verdict>,
    /// How asking the enforcer ended; `None` where there is none, or where the local rules had
    /// already blocked the call.
    pub remote: Option<Answer>,
}

/// Whether the local verdict is already final, so that nobody else is asked.
pub fn is_final(mode: Mode, local: &Verdict) -> bool {
    match &local.effect {
        Effect::Block => mode != Mode::StepUp,
        Effect::StepUp(_) => mode == Mode::Block,
        Effect::Allow | Effect::Modify(_) | Effect::Defer(_) => false,
    }
}

/// Whether a local verdict stands although a person has approved the call: it is stricter than a
/// step-up, or a step-up that its rules do not let whoever sits at the client agree to, where the
/// approval came from there (`in_client`).
pub fn outranks_approval(mode: Mode, local: &Verdict, in_client: bool) -> bool {
    if is_final(mode, local) {
        return true;
    }
    match &local.effect {
        Effect::Allow | Effect::Modify(_) => false,
        Effect::StepUp(_) | Effect::Block => in_client && local.grounds.self_approval != Some(true),
        Effect::Defer(_) => true,
    }
}

/// Decides about the call with this ticket.
pub fn decide(ticket: Ticket, rules: Rules, opinions: Opinions) -> Ruling {
    let modified = match (&opinions.remote, &opinions.local) {
        (Some(Answer::Said(Verdict { effect: Effect::Modify(arguments), .. })), _) => {
            Some(arguments.clone())
        }
        (_, Some(local)) => local.effect.arguments().cloned(),
        (_, None) => None,
    };
    let (verdict, basis) = weigh(rules, opinions);
    let permit = |basis, arguments| Decision::Forward(Permit { ticket, basis, arguments });
    let (decision, basis) = match (rules.mode, &verdict.effect) {
        (Mode::Observe, _) => (permit(Basis::Observed, None), Basis::Observed),
        (_, Effect::Allow) => (permit(basis, None), basis),
        (_, Effect::Modify(arguments)) => (permit(basis, Some(arguments.clone())), basis),
        (_, Effect::StepUp(Some(hold))) if rules.step_up != StepUp::Return => {
            (Decision::Hold(hold.clone()), basis)
        }
        (_, Effect::StepUp(_) | Effect::Defer(_) | Effect::Block) => (Decision::Refuse, basis),
    };
    Ruling { decision, verdict, basis, modified }
}

/// Refuses a call because of an order for this machine ([`super::verdict::Judge::order`]): in every
/// mode, and whatever else was said about the call.
pub fn ordered(grounds: Grounds) -> Ruling {
    let verdict = Verdict { effect: Effect::Block, grounds };
    Ruling { decision: Decision::Refuse, verdict, basis: Basis::Ordered, modified: None }
}

/// Decides about a call whose step-up this sidecar's own desk was to hold, once the desk has
/// answered: an allow is a person's approval, as in [`decide_held`], which says the rest, too.
pub fn decide_at_desk(
    ticket: Ticket,
    rules: Rules,
    modified: Option<Arguments>,
    answer: Answer,
) -> Ruling {
    let pending = modified.clone();
    let ruling = decide_held(ticket, Keeper::Sidecar, modified, answer);
    match &ruling.verdict.effect {
        Effect::StepUp(Some(hold)) if rules.step_up != StepUp::Return => {
            Ruling { decision: Decision::Hold(hold.clone()), modified: pending, ..ruling }
        }
        Effect::Allow
        | Effect::Modify(_)
        | Effect::StepUp(_)
        | Effect::Defer(_)
        | Effect::Block => ruling,
    }
}

/// Decides about a held call, once asking about its hold has ended.
///
/// `modified` is what was put in place of the call's arguments, before it was held.
/// An approval satisfies the local rules' step-up, too, but nothing stricter: those were weighed
/// before the call was held. Silence is no approval, whatever the failure decision says: a person
/// was to be asked and did not answer.
pub fn decide_held(
    ticket: Ticket,
    keeper: Keeper,
    modified: Option<Arguments>,
    answer: Answer,
) -> Ruling {
    let verdict = match answer {
        Answer::Said(verdict) => verdict,
        Answer::Silent(grounds) => Verdict { effect: Effect::Block, grounds },
    };
    let arguments = match &verdict.effect {
        Effect::Allow => modified,
        Effect::Modify(arguments) => Some(arguments.clone()),
        Effect::StepUp(_) | Effect::Defer(_) | Effect::Block => {
            let (decision, basis) = (Decision::Refuse, Basis::of(keeper));
            return Ruling { decision, verdict, basis, modified: None };
        }
    };
    approved(ticket, arguments, verdict)
}

/// Forwards a call that goes on from one which a person has approved. `ruling` is the step-up that
/// this approval satisfies.
pub fn decide_granted(ticket: Ticket, ruling: Ruling) -> Ruling {
    approved(ticket, ruling.modified, ruling.verdict)
}

/// Refuses a call whose hold is not waited for any more.
pub fn given_up(keeper: Keeper, verdict: Verdict) -> Ruling {
    Ruling { decision: Decision::Refuse, verdict, basis: Basis::of(keeper), modified: None }
}

fn approved(ticket: Ticket, arguments: Option<Arguments>, verdict: Verdict) -> Ruling {
    let basis = Basis::Approved;
    let decision = Decision::Forward(Permit { ticket, basis, arguments });
    Ruling { decision, verdict, basis, modified: None }
}

/// The strictest of both opinions, and whose it is.
fn weigh(rules: Rules, opinions: Opinions) -> (Verdict, Basis) {
    let local = opinions.local.map(|verdict| enforced(rules.mode, verdict));
    let remote = opinions.remote.map(|answer| match answer {
        Answer::Said(verdict) => (verdict, Basis::Enforcer),
        Answer::Silent(grounds) => (silence(rules.outage, grounds), Basis::Outage),
    });
    match (local, remote) {
        (None, None) => {
            (Verdict::block("no_decision", "nothing decided about this call"), Basis::Rules)
        }
        (Some(local), None) => (local, Basis::Rules),
        (None, Some(remote)) => remote,
        (Some(local), Some((remote, basis))) => stricter(local, remote, basis),
    }
}

/// On a tie the enforcer's verdict stands: it knows the hold, and it judged what the local rules
/// had already modified. The local rules' names are kept beside its own.
fn stricter(local: Verdict, mut remote: Verdict, basis: Basis) -> (Verdict, Basis) {
    if local.effect.strictness() > remote.effect.strictness() {
        return (local, Basis::Rules);
    }
    if local.effect.strictness() == remote.effect.strictness() {
        remote.grounds.rule_ids.extend(local.grounds.rule_ids);
        remote.grounds.control_ids.extend(local.grounds.control_ids);
        remote.grounds.policy = remote.grounds.policy.or(local.grounds.policy);
        remote.grounds.reason = remote.grounds.reason.or(local.grounds.reason);
        // Whoever agrees to the one agrees to the other, so both must let them.
        remote.grounds.self_approval =
            match (remote.grounds.self_approval, local.grounds.self_approval) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                (None | Some(true), None) | (None, Some(true)) => None,
            };
    }
    (remote, basis)
}

/// The mode applied to a local verdict. The enforcer is told the mode and applies it itself.
fn enforced(mode: Mode, mut verdict: Verdict) -> Verdict {
    verdict.effect = match (mode, verdict.effect) {
        (Mode::StepUp, Effect::Block) => Effect::StepUp(None),
        (Mode::Block, Effect::StepUp(_)) => Effect::Block,
        (_, effect) => effect,
    };
    verdict
}

fn silence(outage: Outage, grounds: Grounds) -> Verdict {
    let effect = match outage {
        Outage::Allow => Effect::Allow,
        Outage::Block => Effect::Block,
        Outage::StepUp => Effect::StepUp(None),
    };
    Verdict { effect, grounds }
}

// === impl Permit ===

impl Permit {
    /// Which call it is for.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Who decided.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// The arguments to put in place of the call's own.
    pub fn arguments(&self) -> Option<&Arguments> {
        self.arguments.as_ref()
    }

    /// Spends the permit.
    pub(super) fn into_arguments(self) -> Option<Arguments> {
        self.arguments
    }
}

// === impl Ruling ===

impl Ruling {
    /// Whether this sidecar's own desk is asked, where there is one: the rules' step-up has won, no
    /// enforcer holds it, and no rule forbids that it is answered on this machine.
    pub fn is_for_the_desk(&self) -> bool {
        self.decision == Decision::Refuse
            && self.basis == Basis::Rules
            && self.verdict.effect == Effect::StepUp(None)
            && self.verdict.grounds.self_approval != Some(false)
    }
}

// === impl Basis ===

impl Basis {
    /// Who decided, where whoever keeps the hold did.
    pub fn of(keeper: Keeper) -> Self {
        match keeper {
            Keeper::Enforcer => Self::Enforcer,
            Keeper::Sidecar => Self::Rules,
        }
    }

    /// The word for it in the journal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Enforcer => "enforcer",
            Self::Observed => "observed",
            Self::Ordered => "ordered",
            Self::Outage => "outage",
            Self::Rules => "rules",
        }
    }
}

// === impl StepUp ===

impl StepUp {
    /// Whether the person at the client may be asked.
    pub fn elicits(self) -> bool {
        match self {
            Self::Elicit | Self::Auto => true,
            Self::Return | Self::Wait => false,
        }
    }

    /// What becomes of a call with this hold. `self_approval` is the step-up's own.
    pub fn course(self, asking: Asking, self_approval: Option<bool>, hold: &Hold) -> Course {
        let way = match asking {
            Asking::May(modes) => modes.way(self_approval, hold),
            Asking::Asked | Asking::Opened => None,
        };
        match (self, way) {
            (Self::Elicit | Self::Auto, Some(way)) => Course::Ask(way),
            // Whoever has opened the page is about to answer.
            (Self::Elicit, None) if asking == Asking::Opened => Course::Wait,
            (Self::Return, _) | (Self::Elicit, None) => Course::Refuse,
            (Self::Wait, _) | (Self::Auto, None) => Course::Wait,
        }
    }
}

// === impl Mode ===

impl Mode {
    /// The word for it on the command line, on the wire and in the journal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Observe => "observe",
            Self::Progressive => "progressive",
            Self::StepUp => "step_up",
        }
    }
}

#[cfg(test)]
mod tests;
