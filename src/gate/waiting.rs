//! The requests that are open, and the calls among them that wait for a decision.
//!
//! # Invariants
//!
//! - An id is open at most once: a second request with it finds the first.
//! - A call is in one place: it waits here, or it was taken out to be forwarded or refused.
//! - The number of open requests and the memory of waiting calls are bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::message::client::Method;
use super::message::{Call, RequestId};
use super::record::Ticket;
use super::token::Digest;
use super::verdict::{Arguments, Grounds, Hold, Keeper, PolicyRef, Reply, Verdict};

/// How many requests of the client may be open at once. Beyond, one that it has cancelled makes room,
/// and without such a one further ones are refused.
pub const MOST_OPEN: usize = 32_768;

/// How much memory the calls that wait may hold, in bytes of their lines. Beyond, further calls are
/// refused; one alone is always admitted.
pub const MOST_WAITING: usize = 256 * 1024 * 1024;

/// How many calls of thoth's own tools may wait at once. Beyond, further ones are told to come back.
pub const MOST_OWN: usize = 16;

/// One open request of the client.
#[derive(Debug)]
pub enum Open {
    /// A call that was forwarded.
    Forwarded(Forwarded),
    /// A call of a tool of thoth's own, which waits for what it asked for.
    Own(Ticket),
    /// Another request, forwarded.
    Request(Requested),
    /// A call that waits for its decision.
    Waiting(Ticket),
}

/// A request that is no call, and that the server works on.
#[derive(Clone, Copy, Debug)]
pub struct Requested {
    /// What it asks for.
    pub method: Method,
    /// Its number among those that are told.
    pub number: Option<u64>,
    /// Whether the client has cancelled it: an answer may still come, or not.
    pub cancelled: bool,
}

/// A call the server works on.
#[derive(Debug)]
pub struct Forwarded {
    /// Which call.
    pub ticket: Ticket,
    /// Its tool.
    pub tool: Arc<str>,
    /// When it was forwarded.
    pub since: Instant,
    /// Whether it belongs to the era in which a server asks back.
    pub modern: bool,
    /// What it goes on with where the server does, and a person has approved it.
    pub approved: Option<Box<Continuation>>,
    /// Whether the client has cancelled it: an answer may still come, or not.
    pub cancelled: bool,
}

/// A call that waits for its decision.
#[derive(Debug)]
pub struct Waiting {
    /// The call.
    pub call: Call,
    /// When it arrived.
    pub since: Instant,
    /// How many calls had been forwarded when it began to wait: rules may look at sequences.
    pub calls_before: u64,
    /// What earlier tries of the same call have brought.
    pub earlier: Earlier,
    /// Whom it waits for.
    pub stage: Stage,
}

/// Whom a call waits for.
#[derive(Debug)]
pub enum Stage {
    /// The remote enforcer.
    Enforcer(Box<Judged>),
    /// This sidecar's own desk: whether it has an answer, or keeps a hold.
    Desk(Box<Pending>),
    /// A person.
    Held(Box<Held>),
}

/// What the local rules say about a call.
#[derive(Debug)]
pub struct Judged {
    /// Their verdict; `None` where there are none.
    pub verdict: Option<Verdict>,
    /// The arguments they put in place of the call's own. Also with a verdict that is stricter than
    /// to modify: they judge what they have modified, too.
    pub modified: Option<Arguments>,
}

/// A step-up that nobody has agreed to yet.
#[derive(Debug)]
pub struct Pending {
    /// The verdict.
    pub verdict: Verdict,
    /// The arguments that would be sent in place of the call's own: what a person is asked about.
    pub modified: Option<Arguments>,
}

/// A step-up that a person was asked about.
#[derive(Debug)]
pub struct Held {
    /// What was asked.
    pub hold: Hold,
    /// The step-up.
    pub pending: Pending,
    /// How many times the client was told.
    pub told: u32,
    /// The number of the question that the person at the client has not answered.
    pub elicited: Option<u64>,
    /// The number of the question by which the person at the client has opened the hold's page.
    pub opened: Option<u64>,
    /// What the person at the client has answered.
    pub reply: Option<Reply>,
}

/// What earlier tries of the same call have brought.
#[derive(Debug, Default)]
pub struct Earlier {
    /// What the person at the client has said about it.
    pub words: Words,
    /// The approved call that it goes on from.
    pub continues: Option<Box<Continuation>>,
    /// The approval that it is forwarded with.
    pub grant: Option<Box<Grant>>,
}

/// What the person at the client has said about a call before it was made again.
#[derive(Debug, Default)]
pub enum Words {
    /// They were not asked.
    #[default]
    Unasked,
    /// Nothing that counts.
    Silence,
    /// They have opened the page on which it is answered.
    Opened,
    /// They agree to it: to this hold, for these reasons.
    Agreed(Box<(Hold, Grounds)>),
}

/// A person's approval: which step-up it has satisfied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    keeper: Keeper,
    policy: Option<PolicyRef>,
    rule_ids: Vec<String>,
}

/// An approved call that the server may ask back about.
#[derive(Clone, Debug)]
pub struct Continuation {
    /// The approval.
    pub grant: Grant,
    /// The call as the client made it.
    pub call: Digest,
    /// The call as it was sent.
    pub sent: Digest,
}

/// A call of a tool of thoth's own that waits.
#[derive(Debug)]
pub struct OwnCall {
    /// What it is answered by.
    pub id: RequestId,
    /// Whether it belongs to the era without handshake.
    pub modern: bool,
}

/// All open requests.
#[derive(Debug, Default)]
pub struct Requests {
    open: BTreeMap<RequestId, Open>,
    waiting: BTreeMap<Ticket, Waiting>,
    own: BTreeMap<Ticket, OwnCall>,
    bytes_waiting: usize,
    /// When to tell the client about held calls. A call that is gone is passed over when it is due.
    due: BTreeSet<(Instant, Ticket)>,
}

/// There is no room for one more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoRoom {
    /// The id belongs to a request that is still open.
    IdInUse,
    /// Too many requests are open, or the waiting calls hold too much memory.
    Full,
}

// === impl Open ===

impl Open {
    fn is_cancelled(&self) -> bool {
        match self {
            Self::Forwarded(forwarded) => forwarded.cancelled,
            Self::Request(requested) => requested.cancelled,
            Self::Own(_) | Self::Waiting(_) => false,
        }
    }
}

// === impl Held ===

impl Held {
    /// A step-up that nobody at the client is asked about.
    pub fn new(hold: Hold, pending: Pending) -> Self {
        Self { hold, pending, told: 0, elicited: None, opened: None, reply: None }
    }
}

// === impl Words ===

impl Words {
    /// What is passed on to this keeper first.
    pub fn reply_to(&self, keeper: Keeper) -> Option<(Hold, Reply)> {
        match self {
            Self::Agreed(agreed) if agreed.0.keeper == keeper => {
                Some((agreed.0.clone(), Reply::Approve))
            }
            Self::Agreed(_) | Self::Unasked | Self::Silence | Self::Opened => None,
        }
    }
}

// === impl Grant ===

impl Grant {
    /// The approval of a step-up for these reasons.
    pub fn of(keeper: Keeper, grounds: &Grounds) -> Self {
        let Grounds { policy, rule_ids, .. } = grounds;
        Self { keeper, policy: policy.clone(), rule_ids: rule_ids.clone() }
    }

    /// Whether it is good for a step-up for these reasons: the same rules of the same policy, or some
    /// of them. Where no rule is named, as for a policy's default, none was.
    pub fn covers(&self, keeper: Keeper, grounds: &Grounds) -> bool {
        self.keeper == keeper
            && self.policy == grounds.policy
            && self.rule_ids.is_empty() == grounds.rule_ids.is_empty()
            && grounds.rule_ids.iter().all(|rule| self.rule_ids.contains(rule))
    }
}

// === impl Requests ===

impl Requests {
    /// Whether a request with this id may be opened. A cancelled request makes room for a new one
    /// with its id.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]
    pub fn room_for(&self, id: &RequestId, bytes: usize) -> Result<(), NoRoom> {
        match self.open.get(id) {
            Some(open) if open.is_cancelled() => {}
            Some(_) => return Err(NoRoom::IdInUse),
            None if self.open.len() >= MOST_OPEN => return Err(NoRoom::Full),
            None => {}
        }
        if self.bytes_waiting > 0 && self.bytes_waiting + bytes > MOST_WAITING {
            return Err(NoRoom::Full);
        }
        Ok(())
    }

    /// Opens a request. What stood under its id, a cancelled call, is returned.
    pub fn open(&mut self, id: RequestId, open: Open) -> Option<Open> {
        self.open.insert(id, open)
    }

    /// Closes a request that the client has cancelled, where the number of open ones leaves no room:
    /// servers need not answer what was cancelled, and sessions are long.
    pub fn give_up_cancelled(&mut self) -> Option<Open> {
        if self.open.len() < MOST_OPEN {
            return None;
        }
        let id = self.open.iter().find(|(_, open)| open.is_cancelled())?.0.clone();
        self.close(&id)
    }

    /// The open request with this id.
    pub fn get(&mut self, id: &RequestId) -> Option<&mut Open> {
        self.open.get_mut(id)
    }

    /// Closes the request with this id.
    pub fn close(&mut self, id: &RequestId) -> Option<Open> {
        self.open.remove(id)
    }

    /// Lets a call wait. Its id must be open as [`Open::Waiting`] or be about to be.
    pub fn wait(&mut self, ticket: Ticket, waiting: Waiting) {
        self.bytes_waiting += waiting.call.size();
        self.waiting.insert(ticket, waiting);
    }

    /// Takes a call out of waiting; its id stays open.
    pub fn take(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.bytes_waiting -= waiting.call.size();
        Some(waiting)
    }

    /// The call that waits under this ticket.
    pub fn waiting(&mut self, ticket: Ticket) -> Option<&mut Waiting> {
        self.waiting.get_mut(&ticket)
    }

    /// Lets a call of a tool of thoth's own wait; gives it back where too many do.
    ///
    /// # Errors
    ///
    /// The call, where [`MOST_OWN`] wait already.
    pub fn wait_own(&mut self, ticket: Ticket, call: OwnCall) -> Result<(), OwnCall> {
        if self.own.len() >= MOST_OWN {
            return Err(call);
        }
        self.open.insert(call.id.clone(), Open::Own(ticket));
        self.own.insert(ticket, call);
        Ok(())
    }

    /// Closes a call of a tool of thoth's own.
    pub fn close_own(&mut self, ticket: Ticket) -> Option<OwnCall> {
        let call = self.own.remove(&ticket)?;
        self.open.remove(&call.id);
        Some(call)
    }

    /// The tickets of the calls of thoth's own tools that wait, oldest first.
    pub fn own(&self) -> Vec<Ticket> {
        self.own.keys().copied().collect()
    }

    /// The tickets of all waiting calls, oldest first.
    pub fn tickets(&self) -> Vec<Ticket> {
        self.waiting.keys().copied().collect()
    }

    /// The tickets of the calls that wait for a person.
    pub fn held(&self) -> Vec<Ticket> {
        let is_held = |waiting: &Waiting| matches!(waiting.stage, Stage::Held(_));
        let held = self.waiting.iter().filter(|(_, waiting)| is_held(waiting));
        held.map(|(ticket, _)| *ticket).collect()
    }

    /// Remembers to tell the client about a held call.
    pub fn tell_again(&mut self, ticket: Ticket, at: Instant) {
        self.due.insert((at, ticket));
    }

    /// When the client is to be told about a held call next.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A held call that the client is to be told about now.
    pub fn pop_due(&mut self, now: Instant) -> Option<Ticket> {
        if self.next_due()? > now {
            return None;
        }
        self.due.pop_first().map(|(_, ticket)| ticket)
    }

    /// Whether the client still waits for an answer of the server, or for a decision.
    pub fn is_busy(&self) -> bool {
        self.open.values().any(|open| match open {
            Open::Request(Requested { method: Method::Listen, .. }) => false,
            Open::Forwarded(_) | Open::Own(_) | Open::Request(_) | Open::Waiting(_) => {
                !open.is_cancelled()
            }
        })
    }

    /// Whether every call is decided: what is outstanding is the server's to answer.
    pub fn waits_for_server_only(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Closes all requests.
    pub fn drain(&mut self) -> impl Iterator<Item = (RequestId, Open)> {
        std::mem::take(&mut self.open).into_iter()
    }
}
