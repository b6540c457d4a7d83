//! Keys that were found good a moment ago, so that not every request asks the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::Caller;
use super::attempts::Attempts;
use crate::server::bus::{Bus, Change, Listener, Topic};
use crate::server::keys::Found;
use crate::server::listen::Neighbour;

/// For how long a key that was found good is not looked for again.
pub const FRESH: Duration = Duration::from_secs(2);
/// For how long it is remembered that it was.
const REMEMBERED: Duration = Duration::from_mins(10);
/// How many keys are remembered.
const MOST: usize = 16_384;

/// Who is known, and who has tried in vain.
#[derive(Debug)]
pub struct Callers {
    known: Mutex<Known>,
    attempts: Mutex<Attempts>,
}

#[derive(Debug)]
struct Known {
    of: HashMap<[u8; 32], Entry>,
    changes: Listener,
    /// Counts the times that something was forgotten.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    caller: Caller,
    expires_at: Option<Timestamp>,
    found_at: Instant,
}

/// A key that must be looked for.
#[derive(Debug)]
pub(super) struct Lookup {
    hash: [u8; 32],
    was_known: bool,
    generation: u64,
}

// === impl Callers ===

impl Callers {
    /// Nobody is known yet. Hears from the bus which keys have changed.
    pub fn new(bus: &Bus) -> Self {
        Self {
            known: Mutex::new(Known { of: HashMap::new(), changes: bus.listen(), generation: 0 }),
            attempts: Mutex::default(),
        }
    }

    /// The caller with this key, where it was found good a moment ago and nothing was heard since.
    pub(super) fn recall(&self, hash: [u8; 32], now: Timestamp) -> Result<Caller, Lookup> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.hear();
        let entry = known.of.get(&hash);
        let is_good = |entry: &&Entry| {
            entry.found_at.elapsed() < FRESH && entry.expires_at.is_none_or(|end| now < end)
        };
        match entry.filter(is_good) {
            Some(entry) => Ok(entry.caller.clone()),
            None => Err(Lookup { hash, was_known: entry.is_some(), generation: known.generation }),
        }
    }

    /// Remembers what a lookup has found, unless a key has changed while it was under way.
    pub(super) fn remember(&self, lookup: &Lookup, found: Found) -> Caller {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.hear();
        if known.generation == lookup.generation {
            known.make_room();
            let entry = Entry {
                caller: found.caller.clone(),
                expires_at: found.expires_at,
                found_at: Instant::now(),
            };
            known.of.insert(lookup.hash, entry);
        }
        found.caller
    }

    /// This key is not good any more.
    pub(super) fn forget(&self, hash: &[u8; 32]) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).of.remove(hash);
    }

    /// Whether a key that is not known may be looked for on behalf of this neighbour.
    ///
    /// # Errors
    ///
    /// How long it has to wait.
    pub(super) fn may_try(&self, peer: Neighbour) -> Result<(), Duration> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).check(peer, Instant::now())
    }

    /// The key it brought was none.
    pub(super) fn failed(&self, peer: Neighbour) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).count(peer, Instant::now());
    }
}

// === impl Known ===

impl Known {
    /// Forgets the keys that have changed; everybody, where it may have missed some.
    fn hear(&mut self) {
        // What is there now, whatever else the task has received since it last rested.
        while let Some(heard) = unconstrained(self.changes.recv()).now_or_never() {
            match heard {
                Ok(Change { topic: Topic::Key(id), .. }) => {
                    self.of.retain(|_, entry| entry.caller.key_id != id);
                    self.generation += 1;
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    self.of.clear();
                    self.generation += 1;
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn make_room(&mut self) {
        if self.of.len() < MOST {
            return;
        }
        self.of.retain(|_, entry| entry.found_at.elapsed() < REMEMBERED);
        if self.of.len() >= MOST {
            self.of.clear();
        }
    }
}

// === impl Lookup ===

impl Lookup {
    /// Whether this key was found good before, if not a moment ago.
    pub(super) fn was_known(&self) -> bool {
        self.was_known
    }
}
