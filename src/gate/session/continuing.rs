//! Approved calls that the server asks back about (MCP 2026-07-28): the client's continuation is a new
//! call, and is judged in full; only the person's approval is used again.
//!
//! # Invariants
//!
//! - A `requestState` is the client's to send. Only one that this session saw the server say about an
//!   approved call continues it, with the same tool and the same arguments, and once.
//! - An approval satisfies again what it has satisfied before: the same rules of the same policy.

use super::super::decide::{self, Basis, Decision, Permit, Ruling};
use super::super::message::Call;
use super::super::message::retry::{asked_back, digest};
use super::super::token::{Digest, FAMILY};
use super::super::verdict::{Arguments, Effect as Verb, Keeper};
use super::super::waiting::{Continuation, Forwarded};
use super::calls::Case;
use super::{Effect, Session};

/// How many continuations are remembered; of more, the oldest need a person again.
pub(super) const MOST_CONTINUING: usize = 64;

/// How many states of other sidecars are remembered.
const MOST_SAID: usize = 64;

/// A result that asks back is no longer than this, in bytes, where another sidecar asks.
const LONGEST_SAID: usize = 64 * 1024;

impl Session {
    /// The server's answer to a forwarded call: whether it asks back, and in which state.
    pub(super) fn answered_back(&mut self, forwarded: &mut Forwarded, result: &[u8]) {
        let is_sidecar = || {
            forwarded.modern
                && result.len() <= LONGEST_SAID
                && memchr::memmem::find(result, FAMILY.as_bytes()).is_some()
        };
        if forwarded.approved.is_none() && !is_sidecar() {
            return;
        }
        let Some(state) = asked_back(result) else { return };
        if let Some(continuation) = forwarded.approved.take() {
            let continuing = &mut self.asking.continuing;
            if continuing.len() == MOST_CONTINUING {
                continuing.pop_front();
            }
            continuing.push_back((of_state(state.as_deref()), *continuation));
        }
        let is_kept = |state: &String| state.starts_with(FAMILY) && state.len() <= LONGEST_SAID;
        if let Some(state) = state.filter(is_kept) {
            let said = &mut self.asking.said;
            if said.len() == MOST_SAID {
                said.pop_front();
            }
            said.push_back(state.into());
        }
    }

    /// The approved call that this one goes on from.
    pub(super) fn continued(
        &mut self,
        call: &Call,
        state: Option<&str>,
    ) -> Option<Box<Continuation>> {
        if self.asking.continuing.is_empty() {
            return None;
        }
        let (state, digest) = (of_state(state), call.digest());
        let continuing = &mut self.asking.continuing;
        let at = continuing
            .iter()
            .position(|(said, continuation)| *said == state && continuation.call == digest)?;
        continuing.remove(at).map(|(_, continuation)| Box::new(continuation))
    }

    /// The ruling, but for a step-up that was approved before the server asked back: that call goes on.
    pub(super) fn granted(&mut self, case: &Case, ruling: Ruling) -> Ruling {
        let (Decision::Hold(_) | Decision::Refuse, Some(continues), Verb::StepUp(hold)) =
            (&ruling.decision, &case.earlier.continues, &ruling.verdict.effect)
        else {
            return ruling;
        };
        let keeper = match (hold, ruling.basis) {
            (Some(hold), _) => hold.keeper,
            (None, Basis::Rules) => Keeper::Sidecar,
            (None, _) => return ruling,
        };
        let is_same = continues.sent == sent(&case.call, ruling.modified.as_ref());
        if !is_same || !continues.grant.covers(keeper, &ruling.verdict.grounds) {
            return ruling;
        }
        if let Some(hold) = hold.clone() {
            self.effects.push_back(Effect::Release(hold));
        }
        decide::decide_granted(case.ticket, ruling)
    }
}

/// What to remember of a call that is forwarded, in case the server asks back.
pub(super) fn approved(case: &Case, permit: &Permit) -> Option<Box<Continuation>> {
    let Case { call, earlier, .. } = case;
    if !call.is_modern() {
        return None;
    }
    let grant = match (permit.basis(), &earlier.grant, &earlier.continues) {
        (Basis::Approved, Some(grant), _) => (**grant).clone(),
        (_, _, Some(continues)) => continues.grant.clone(),
        (_, _, None) => return None,
    };
    let sent = sent(call, permit.arguments());
    Some(Box::new(Continuation { grant, call: call.digest(), sent }))
}

fn sent(call: &Call, modified: Option<&Arguments>) -> Digest {
    match modified {
        Some(modified) => digest(call.tool(), modified.as_str().as_bytes()),
        None => call.digest(),
    }
}

fn of_state(state: Option<&str>) -> Digest {
    match state {
        Some(state) => Digest::of([&b"state"[..], state.as_bytes()]),
        None => Digest::of([&b"none"[..]]),
    }
}
