//! Tells whoever looks on what has changed: waiting polls, consoles, caches.
//!
//! A word on the bus is a hint to look at the store, never the thing itself: one that is lost makes
//! nobody wrong, only later. Whoever listens is told when some may have been lost, and looks then.
//!
//! With a SQLite store the bus ends at this process. With Postgres it goes through `NOTIFY` to all
//! replicas; the [`Relay`] carries it.

mod relay;
mod word;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

pub use self::relay::Relay;

use super::Tenant;
use super::store::Store;

/// How many changes a listener may be behind before it is told that it has missed some.
const CAPACITY: usize = 1024;

/// Something has changed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Change {
    /// Whose.
    pub tenant: Tenant,
    /// What.
    pub topic: Topic,
}

/// What has changed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
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
    here: broadcast::Sender<Heard>,
    others: Option<Arc<Others>>,
}

/// Hears what is told from the moment it was made.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Heard>);

/// What goes round in this process.
#[derive(Clone, Debug)]
enum Heard {
    Change(Change),
    /// Other replicas may have told something that nobody heard.
    Gap,
}

/// The way to the other replicas.
#[derive(Debug)]
struct Others {
    queue: mpsc::Sender<Change>,
    /// Something did not fit into the queue, or could not be told: they will be told of a gap.
    lost: AtomicBool,
}

// === impl Bus ===

impl Default for Bus {
    /// A bus that ends at this process.
    fn default() -> Self {
        Self { here: broadcast::Sender::new(CAPACITY), others: None }
    }
}

impl Bus {
    /// The bus beside a store, and what carries it to the other replicas while it runs.
    pub fn of(store: &Store) -> (Self, Relay) {
        let here = broadcast::Sender::new(CAPACITY);
        let Some(options) = store.shared() else {
            return (Self { here, others: None }, Relay::nowhere());
        };
        let (queue, told) = mpsc::channel(CAPACITY);
        let others = Arc::new(Others { queue, lost: AtomicBool::new(false) });
        let relay = Relay::through(options.clone(), here.clone(), told, Arc::clone(&others));
        (Self { here, others: Some(others) }, relay)
    }

    /// Tells this process and, soon, the other replicas. Call it once the change is in the store.
    /// Never waits.
    pub fn tell(&self, change: Change) {
        if let Some(others) = &self.others
            && others.queue.try_send(change.clone()).is_err()
        {
            others.lost.store(true, Ordering::Release);
        }
        // Nobody listening is no failure.
        let _ = self.here.send(Heard::Change(change));
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.here.subscribe())
    }
}

// === impl Listener ===

impl Listener {
    /// The next change. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] where some may have been missed: look at the store, and listen on.
    /// [`RecvError::Closed`] where the bus is gone.
    pub async fn recv(&mut self) -> Result<Change, RecvError> {
        match self.0.recv().await? {
            Heard::Change(change) => Ok(change),
            Heard::Gap => Err(RecvError::Lagged(1)),
        }
    }
}
