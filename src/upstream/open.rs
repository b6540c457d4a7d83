//! The requests that are under way, and what it means to cancel one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::gate::message::RequestId;

/// The requests of the client that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<Requests>);

#[derive(Debug, Default)]
struct Requests {
    by_id: BTreeMap<RequestId, Entry>,
    /// How many there have been. Ids come again, this does not.
    count: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    stage: Stage,
    /// Whether closing its stream cancels it (MCP 2026-07-28).
    closes: bool,
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Nothing was sent.
    Waiting,
    /// It may have been received.
    Sent,
    /// The client no longer wants its answer.
    GivenUp,
}

/// One request that is under way. Dropped, it no longer is.
#[derive(Debug)]
pub(super) struct Opened {
    open: Arc<Open>,
    id: RequestId,
    number: u64,
    /// Cancelled when its exchange is to end.
    pub(super) stop: CancellationToken,
}

/// What cancelling a request takes.
#[derive(Debug)]
pub(super) enum Cancelled {
    /// Nothing more: it was not sent, or its stream is closed, which says so (MCP 2026-07-28).
    Done,
    /// The server must be told; afterwards, the exchange may be ended with this.
    Tell(CancellationToken),
    /// There is no such request: it was answered, or there never was one.
    Unknown,
}

// === impl Open ===

impl Open {
    /// Takes in a request. `closes` is whether closing its stream cancels it.
    pub(super) fn enter(self: &Arc<Self>, id: RequestId, closes: bool) -> Opened {
        let stop = CancellationToken::new();
        let mut requests = self.lock();
        requests.count += 1;
        let number = requests.count;
        let entry = Entry { number, stage: Stage::Waiting, closes, stop: stop.clone() };
        requests.by_id.insert(id.clone(), entry);
        drop(requests);
        Opened { open: Arc::clone(self), id, number, stop }
    }

    /// The client no longer wants an answer.
    pub(super) fn cancel(&self, id: &RequestId) -> Cancelled {
        let mut requests = self.lock();
        let Some(entry) = requests.by_id.get_mut(id) else { return Cancelled::Unknown };
        let was = std::mem::replace(&mut entry.stage, Stage::GivenUp);
        if was == Stage::Sent && !entry.closes {
            return Cancelled::Tell(entry.stop.clone());
        }
        entry.stop.cancel();
        Cancelled::Done
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Opened ===

impl Opened {
    /// It is about to be sent.
    pub(super) fn sent(&self) {
        if let Some(entry) = self.entry(&mut self.open.lock())
            && entry.stage == Stage::Waiting
        {
            entry.stage = Stage::Sent;
        }
    }

    /// Whether the client no longer wants its answer.
    pub(super) fn is_given_up(&self) -> bool {
        self.entry(&mut self.open.lock()).is_none_or(|entry| entry.stage == Stage::GivenUp)
    }

    fn entry<'a>(&self, requests: &'a mut Requests) -> Option<&'a mut Entry> {
        requests.by_id.get_mut(&self.id).filter(|entry| entry.number == self.number)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut requests = self.open.lock();
        if self.entry(&mut requests).is_some() {
            requests.by_id.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::json::Kind;

    fn id(literal: &str) -> RequestId {
        let kind = if literal.starts_with('"') { Kind::Text } else { Kind::Number };
        RequestId::read(kind, literal.as_bytes()).unwrap()
    }

    #[test]
    fn what_cancelling_takes_depends_on_what_was_sent_and_on_the_era() {
        for (closes, sent, told) in
            [(false, false, false), (false, true, true), (true, false, false), (true, true, false)]
        {
            let open = Arc::new(Open::default());
            let opened = open.enter(id("7"), closes);
            if sent {
                opened.sent();
            }
            let cancelled = open.cancel(&id("7"));
            assert_eq!(matches!(cancelled, Cancelled::Tell(_)), told, "{closes} {sent}");
            assert_eq!(opened.stop.is_cancelled(), !told, "{closes} {sent}");
            assert!(opened.is_given_up());
        }
    }

    #[test]
    fn a_text_does_not_cancel_a_number() {
        let open = Arc::new(Open::default());
        let opened = open.enter(id("7"), true);
        assert!(matches!(open.cancel(&id("\"7\"")), Cancelled::Unknown));
        assert!(!opened.is_given_up());
    }

    #[test]
    fn an_id_that_came_again_is_not_taken_for_the_first() {
        let open = Arc::new(Open::default());
        let first = open.enter(id("7"), true);
        let second = open.enter(id("7"), true);
        assert!(first.is_given_up());
        drop(first);
        assert!(matches!(open.cancel(&id("7")), Cancelled::Done));
        assert!(second.stop.is_cancelled());
        drop(second);
        assert!(matches!(open.cancel(&id("7")), Cancelled::Unknown));
    }
}
