//! The states of an approval, and the ways between them.
//!
//! ```text
//!            ┌─▶ denied                      a repeated call is refused until it expires
//!  pending ──┼─▶ approved ──claim──▶ spent   single use: one call goes through
//!            ├─▶ withdrawn                   the caller gave up: a late answer changes nothing
//!            └─▶ expired                     so does time, also for what was approved and not used
//! ```
//!
//! Each way is a function of [`Approval`]: [`answer`](Approval::answer), [`claim`](Approval::claim),
//! [`withdraw`](Approval::withdraw), [`expire`](Approval::expire). A keeper that stores approvals
//! elsewhere makes the same changes there.
//!
//! # Invariants
//!
//! - Time is looked at first: from `expires_at` on, nothing but [`State::Spent`] and
//!   [`State::Withdrawn`] is what it was.
//! - Of all claims one at most is [`Claim::Approved`], and none without an answer that approves.
//! - A denial cannot be withdrawn: giving up and asking again would be a way around it.

use jiff::Timestamp;

use crate::gate::plain::is_active;
use crate::gate::verdict::Reply;

/// Where an approval stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Nobody has answered.
    Pending,
    /// The call may be made, once.
    Approved(Answered),
    /// It may not be made.
    Denied(Answered),
    /// It was approved, and was made.
    Spent(Answered),
    /// Whoever made the call does not want it any more.
    Withdrawn,
    /// Time is up.
    Expired,
}

/// Who answered, how sure it is that it was them, when, and in what words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// A name: an address, a key's id, an account.
    pub by: String,
    /// How strongly they were authenticated.
    pub assurance: Assurance,
    /// When.
    pub at: Timestamp,
    /// What they wrote beside it.
    pub note: Option<String>,
}

/// How strongly whoever answered was authenticated. Ordered: the later, the stronger.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Assurance {
    /// Whoever sits at the client, which may be the agent's own hands: MCP elicitation.
    Elicitation,
    /// The same account on the same machine, at a terminal.
    Terminal,
    /// The holder of a key that may resolve approvals.
    ApiKey,
    /// Whoever had the console's one-time link.
    Link,
    /// A person known to the `OpenID` provider.
    Oidc,
}

/// One approval: the part that does not depend on who keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    /// Where it stands.
    pub state: State,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ends, answered or not.
    pub expires_at: Timestamp,
}

/// What a call that asks for its approval is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim {
    /// To wait: nobody has answered.
    Pending,
    /// To go on. The approval is spent with that.
    Approved(Answered),
    /// Not to: somebody has said no.
    Denied(Answered),
    /// Not to: another call has used the approval.
    Used(Answered),
    /// Not to: the approval was given up before.
    Withdrawn,
    /// Not to: time is up.
    Expired,
}

/// The approval cannot be answered any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Closed {
    /// Somebody was quicker.
    #[error("it has been answered already")]
    Answered,
    /// Nobody will make the call.
    #[error("the call was withdrawn by whoever made it")]
    Withdrawn,
    /// It came too late.
    #[error("it has expired")]
    Expired,
}

// === impl Approval ===

impl Approval {
    /// An approval that is asked for now.
    pub fn pending(created_at: Timestamp, expires_at: Timestamp) -> Self {
        Self { state: State::Pending, created_at, expires_at }
    }

    /// Lets time pass: what is past its end, and is neither spent nor withdrawn, has expired.
    pub fn expire(&mut self, now: Timestamp) {
        let is_over = match self.state {
            State::Pending | State::Approved(_) | State::Denied(_) => now >= self.expires_at,
            State::Spent(_) | State::Withdrawn | State::Expired => false,
        };
        if is_over {
            self.state = State::Expired;
        }
    }

    /// A person answers, at the time that stands in `answered`.
    ///
    /// # Errors
    ///
    /// [`Closed`]; nothing changes then, but for time.
    pub fn answer(&mut self, reply: Reply, answered: Answered) -> Result<(), Closed> {
        self.expire(answered.at);
        self.state = match (&self.state, reply) {
            (State::Pending, Reply::Approve) => State::Approved(answered),
            (State::Pending, Reply::Deny) => State::Denied(answered),
            (State::Approved(_) | State::Denied(_) | State::Spent(_), _) => {
                return Err(Closed::Answered);
            }
            (State::Withdrawn, _) => return Err(Closed::Withdrawn),
            (State::Expired, _) => return Err(Closed::Expired),
        };
        Ok(())
    }

    /// A call asks whether it may be made. Told [`Claim::Approved`], it has spent the approval.
    pub fn claim(&mut self, now: Timestamp) -> Claim {
        self.expire(now);
        match &self.state {
            State::Pending => Claim::Pending,
            State::Approved(answered) => {
                let answered = answered.clone();
                self.state = State::Spent(answered.clone());
                Claim::Approved(answered)
            }
            State::Denied(answered) => Claim::Denied(answered.clone()),
            State::Spent(answered) => Claim::Used(answered.clone()),
            State::Withdrawn => Claim::Withdrawn,
            State::Expired => Claim::Expired,
        }
    }

    /// Nobody will make the call any more. What is pending, or approved and not used, is withdrawn.
    pub fn withdraw(&mut self, now: Timestamp) {
        self.expire(now);
        if let State::Pending | State::Approved(_) = self.state {
            self.state = State::Withdrawn;
        }
    }

    /// Whether a call that is made now attaches to this approval. Another one is made where not.
    pub fn is_open(&self, now: Timestamp) -> bool {
        match self.state {
            State::Pending | State::Approved(_) | State::Denied(_) => now < self.expires_at,
            State::Spent(_) | State::Withdrawn | State::Expired => false,
        }
    }
}

// === impl Claim ===

impl Claim {
    /// The stable word for programs, on the wire and in the journal; `None` while it is pending.
    pub fn reason_code(&self) -> Option<&'static str> {
        match self {
            Self::Pending => None,
            Self::Approved(_) => Some("approved"),
            Self::Denied(_) => Some("approval_denied"),
            Self::Used(_) => Some("approval_used"),
            Self::Withdrawn => Some("approval_withdrawn"),
            Self::Expired => Some("approval_expired"),
        }
    }

    /// One sentence for people and models; `None` while it is pending.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Pending => None,
            Self::Approved(answered) => Some(answered.told("approved")),
            Self::Denied(answered) => Some(answered.told("denied")),
            Self::Used(_) => Some(
                "the approval was used by another call that is the same; make this one again to ask anew"
                    .to_owned(),
            ),
            Self::Withdrawn => Some("the request for approval was withdrawn".to_owned()),
            Self::Expired => Some(
                "nobody approved it before the request expired; make the call again to ask anew"
                    .to_owned(),
            ),
        }
    }
}

// === impl Answered ===

impl Answered {
    fn told(&self, did: &str) -> String {
        let Self { by, assurance, at, note } = self;
        let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        let told = format!("{did} by {by} ({}) at {at:.0}{note}", assurance.word());
        // Models read it, and people in terminals.
        told.chars().map(|character| if is_active(character) { ' ' } else { character }).collect()
    }
}

// === impl State ===

impl State {
    /// The word for it in stores and on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved(_) => "approved",
            Self::Denied(_) => "denied",
            Self::Spent(_) => "spent",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

// === impl Assurance ===

impl Assurance {
    /// The word for it in stores and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Terminal => "terminal",
            Self::ApiKey => "api_key",
            Self::Link => "link",
            Self::Oidc => "oidc",
        }
    }
}

#[cfg(test)]
mod tests;
