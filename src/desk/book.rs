//! What is held: the approvals of one sidecar, and what becomes of them.
//!
//! Pure: times and ids are arguments.
//!
//! # Invariants
//!
//! - [`MOST`] records and [`MOST_BYTES`] of what people are shown; what is over makes room for what is
//!   new, and nothing that is open does.
//! - Of the calls that were told to wait for one record, one at most is let through.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::wire::Listed;
use crate::approval::CallHash;
use crate::approval::record::{Answered, Approval, Claim, Closed, State};
use crate::gate::verdict::{Effect, Grounds, Hold, Keeper, Reply, Verdict};

/// How long a person has to answer, and the answer to be used.
pub(super) const LIFETIME: Duration = Duration::from_mins(15);
/// How many records are kept.
pub(super) const MOST: usize = 256;
/// How much of what people are shown is kept, in bytes.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The records, oldest first.
#[derive(Debug, Default)]
pub(super) struct Book {
    records: Vec<Record>,
}

/// A call that a person is to agree to.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) hash: CallHash,
    pub(super) tool: String,
    /// The text of its arguments.
    pub(super) arguments: String,
    /// Why a person is to agree.
    pub(super) grounds: Grounds,
}

/// What a call that asks is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    /// It is decided.
    Decided(Box<Verdict>),
    /// It waits for this hold.
    Held(Hold),
    /// There is no room for another one.
    Full,
}

/// Why nothing was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unanswered {
    /// No such record.
    Unknown,
    /// It is over.
    Closed(Closed),
}

#[derive(Debug)]
struct Record {
    /// What people name it by; the first part of each of its tokens.
    id: String,
    call: Call,
    approval: Approval,
    /// How many calls were told to wait for it.
    claims: u32,
    /// Which of them wait right now.
    waiting: BTreeSet<u32>,
}

/// What a token says: a record, and one of the calls that were told to wait for it.
fn parts(token: &str) -> Option<(&str, u32)> {
    let (id, claim) = token.rsplit_once('-')?;
    Some((id, claim.parse().ok()?))
}

/// The same grounds with another reason.
fn because(grounds: Grounds, code: &str, reason: String) -> Grounds {
    Grounds { reason_code: Some(code.to_owned()), reason: Some(reason), ..grounds }
}

// === impl Book ===

impl Book {
    /// Asks about a call: attaches it to the record that is open for it, or makes one by this id.
    pub(super) fn ask(&mut self, call: Call, id: String, now: Timestamp) -> Asked {
        let open = self.records.iter_mut().rev();
        let open = open.filter(|record| record.call.hash == call.hash);
        if let Some(record) = open.into_iter().find(|record| record.approval.is_open(now)) {
            return match record.claim(now) {
                Some(verdict) => Asked::Decided(Box::new(verdict)),
                None => Asked::Held(record.attach(now)),
            };
        }
        if !self.make_room(call.weight(), now) {
            return Asked::Full;
        }
        let approval =
            Approval::pending(now, now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX));
        let mut record = Record { id, call, approval, claims: 0, waiting: BTreeSet::new() };
        let hold = record.attach(now);
        self.records.push(record);
        Asked::Held(hold)
    }

    /// Asks what has become of a hold; `None` while it is pending.
    pub(super) fn claim(&mut self, token: &str, now: Timestamp) -> Option<Verdict> {
        let Some((record, _)) = self.find(token) else {
            return Some(Verdict::block(
                "hold_unknown",
                "thoth no longer knows the hold that a person was to answer; make the call again to ask anew",
            ));
        };
        record.claim(now)
    }

    /// What whoever waited for a hold in vain is told, and may come back with.
    pub(super) fn timed_out(&mut self, hold: Hold, waited: Duration) -> Verdict {
        let grounds = self.find(&hold.token).map(|(record, _)| record.call.grounds.clone());
        let reason = format!(
            "nobody has answered within {} s; the request stays open, so make the same call again later",
            waited.as_secs()
        );
        let grounds = because(grounds.unwrap_or_default(), "step_up_timeout", reason);
        Verdict { effect: Effect::StepUp(Some(hold)), grounds }
    }

    /// When a hold ends.
    pub(super) fn end(&mut self, token: &str) -> Option<Timestamp> {
        self.find(token).map(|(record, _)| record.approval.expires_at)
    }

    /// Somebody waits for a hold, or does no more.
    pub(super) fn waits(&mut self, token: &str, does: bool) {
        if let Some((record, claim)) = self.find(token) {
            if does {
                record.waiting.insert(claim);
            } else {
                record.waiting.remove(&claim);
            }
        }
    }

    /// Whoever made a call gives it up. Its record is withdrawn, unless another call waits for it.
    pub(super) fn release(&mut self, token: &str, now: Timestamp) {
        if let Some((record, claim)) = self.find(token) {
            record.waiting.remove(&claim);
            if record.waiting.is_empty() {
                record.approval.withdraw(now);
            }
        }
    }

    /// A person answers.
    pub(super) fn answer(
        &mut self,
        id: &str,
        reply: Reply,
        answered: Answered,
    ) -> Result<(), Unanswered> {
        let record = self.records.iter_mut().find(|record| record.id == id);
        let record = record.ok_or(Unanswered::Unknown)?;
        record.approval.answer(reply, answered).map_err(Unanswered::Closed)
    }

    /// A person answers inside the client, which counts only where the rule said that they may; and
    /// for a call that is made again, only if it is the same.
    pub(super) fn reply(
        &mut self,
        token: &str,
        call: Option<CallHash>,
        reply: Reply,
        answered: Answered,
    ) {
        let Some((record, _)) = self.find(token) else { return };
        let is_this = call.is_none_or(|call| call == record.call.hash);
        if is_this && record.call.grounds.self_approval == Some(true) {
            // One that is over stays so, and says so to whoever asks.
            let _ = record.approval.answer(reply, answered);
        }
    }

    /// Forgets a record that nobody was told of. One that others were told of stays theirs.
    pub(super) fn forget(&mut self, token: &str) {
        if let Some((id, _)) = parts(token) {
            self.records.retain(|record| record.id != id || record.claims > 1);
        }
    }

    /// What waits for a person, oldest first.
    pub(super) fn pending(&mut self, now: Timestamp) -> Vec<Listed> {
        self.expire(now);
        let pending = self.records.iter().filter(|record| record.approval.state == State::Pending);
        pending.map(Record::listed).collect()
    }

    fn find(&mut self, token: &str) -> Option<(&mut Record, u32)> {
        let (id, claim) = parts(token)?;
        let record = self.records.iter_mut().find(|record| record.id == id)?;
        (1..=record.claims).contains(&claim).then_some((record, claim))
    }

    fn expire(&mut self, now: Timestamp) {
        self.records.iter_mut().for_each(|record| record.approval.expire(now));
    }

    /// Drops what is over, oldest first, until there is room; says whether there is.
    fn make_room(&mut self, weight: usize, now: Timestamp) -> bool {
        self.expire(now);
        let mut bytes: usize = self.records.iter().map(|record| record.call.weight()).sum();
        while self.records.len() >= MOST || bytes + weight > MOST_BYTES {
            let over = self.records.iter().position(|record| !record.approval.is_open(now));
            let Some(over) = over else { return false };
            bytes -= self.records.remove(over).call.weight();
        }
        true
    }
}

// === impl Record ===

impl Record {
    /// Tells one more call to wait.
    fn attach(&mut self, now: Timestamp) -> Hold {
        self.claims += 1;
        let end = self.approval.expires_at;
        Hold {
            token: format!("{}-{}", self.id, self.claims),
            approval_url: None,
            expires_at: Some(format!("{end:.0}")),
            timeout: Some(Duration::try_from(end.duration_since(now)).unwrap_or_default()),
            keeper: Keeper::Sidecar,
        }
    }

    /// What the call may do; `None` while that is pending.
    fn claim(&mut self, now: Timestamp) -> Option<Verdict> {
        let claim = self.approval.claim(now);
        let effect = match claim {
            Claim::Pending => return None,
            Claim::Approved(_) => Effect::Allow,
            Claim::Denied(_) | Claim::Used(_) | Claim::Withdrawn | Claim::Expired => Effect::Block,
        };
        let grounds = because(self.call.grounds.clone(), claim.reason_code()?, claim.reason()?);
        Some(Verdict { effect, grounds })
    }

    fn listed(&self) -> Listed {
        let Grounds { reason, rule_ids, self_approval, .. } = &self.call.grounds;
        Listed {
            id: self.id.clone(),
            tool_name: self.call.tool.clone(),
            arguments: self.call.arguments.clone(),
            rule_ids: rule_ids.clone(),
            reason: reason.clone(),
            self_approval: *self_approval,
            created_at: self.approval.created_at,
            expires_at: self.approval.expires_at,
            waiting: self.waiting.len(),
        }
    }
}

// === impl Call ===

impl Call {
    /// How many bytes of it people are shown, about.
    fn weight(&self) -> usize {
        let Grounds { reason, rule_ids, .. } = &self.grounds;
        let words = reason.as_ref().map_or(0, String::len);
        let rules: usize = rule_ids.iter().map(String::len).sum();
        self.tool.len() + self.arguments.len() + words + rules
    }
}

#[cfg(test)]
mod tests;
