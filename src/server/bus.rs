//! Tells whoever looks on what has changed: waiting polls, consoles, caches.
//!
//! A word on the bus is a hint to look at the store, never the thing itself: one that is lost makes
//! nobody wrong, only later.

use tokio::sync::broadcast;

use super::Tenant;

/// How many changes a listener may be behind before it is told that it has missed some.
const CAPACITY: usize = 1024;

/// Something has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Whose.
    pub tenant: Tenant,
    /// What.
    pub topic: Topic,
}

/// What has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// An approval: its id.
    Approval(String),
    /// Decisions were written.
    Decisions,
    /// An endpoint: its id.
    Endpoint(String),
    /// A key: its id. What is remembered of it is forgotten.
    Key(String),
}

/// The bus. Clones share it.
#[derive(Clone, Debug)]
pub struct Bus {
    sender: broadcast::Sender<Change>,
}

// === impl Bus ===

impl Default for Bus {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }
}

impl Bus {
    /// Tells this process. The store tells the others when it commits.
    pub fn tell(&self, change: Change) {
        // Nobody listening is no failure.
        let _ = self.sender.send(change);
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.sender.subscribe()
    }
}
