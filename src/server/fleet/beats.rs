//! Check-ins that were acknowledged and are not in the store yet: a second's worth, written in one
//! transaction.
//!
//! A check-in is telemetry, and comes again: what a crash takes of it is a minute's news of each
//! machine. What decides about calls (registrations, orders) never waits here.
//!
//! # Invariants
//!
//! - The bytes are bounded; whoever brings more writes them himself, and waits.
//! - What could not be written stays, in its order, for the next attempt.
//! - Whoever reads the fleet here writes first, and reads what was acknowledged here.

use std::sync::{Mutex, PoisonError};

use super::report::{CheckIn, EndpointId};
use crate::server::Tenant;
use crate::server::store::{Store, StoreError, fleet};

/// From how many bytes on, about, a check-in is not taken before others are written.
const MOST: usize = 8 * 1024 * 1024;

/// What waits. One for each process.
#[derive(Debug, Default)]
pub struct Beats {
    waiting: Mutex<Waiting>,
    /// Held by whoever writes, so that check-ins are written in their order.
    writing: tokio::sync::Mutex<()>,
}

/// One check-in.
#[derive(Debug)]
pub(in crate::server) struct Beat {
    pub(in crate::server) tenant: Tenant,
    pub(in crate::server) endpoint: EndpointId,
    pub(in crate::server) key_id: String,
    /// When it came, in microseconds.
    pub(in crate::server) at: i64,
    pub(in crate::server) check_in: CheckIn,
}

#[derive(Debug, Default)]
struct Waiting {
    beats: Vec<Beat>,
    bytes: usize,
}

/// Taken out to be written; what is left of it when this is dropped goes back.
struct Taken<'a> {
    from: &'a Mutex<Waiting>,
    waiting: Waiting,
}

// === impl Beats ===

impl Beats {
    /// Takes one in. Says whether it is time to write.
    pub(super) fn push(&self, beat: Beat) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.bytes += beat.weight();
        waiting.beats.push(beat);
        waiting.bytes > MOST
    }

    /// Writes what waits. The endpoints whose journals were found in conflict.
    ///
    /// Cancel safe: what was not written by then goes on waiting.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: all of it goes on waiting.
    pub(super) async fn write(&self, store: &Store) -> Result<Vec<(Tenant, String)>, StoreError> {
        let _in_turn = self.writing.lock().await;
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        if waiting.beats.is_empty() {
            return Ok(Vec::new());
        }
        let mut taken = Taken { from: &self.waiting, waiting };
        let conflicts = fleet::check_in(store, &taken.waiting.beats).await?;
        taken.waiting = Waiting::default();
        Ok(conflicts)
    }
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Taken ===

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.waiting.beats.is_empty() {
            let mut now = lock(self.from);
            let newer = std::mem::replace(&mut *now, std::mem::take(&mut self.waiting));
            now.bytes += newer.bytes;
            now.beats.extend(newer.beats);
        }
    }
}

// === impl Beat ===

impl Beat {
    fn weight(&self) -> usize {
        // What the heads and the facts take beside their texts, about.
        self.check_in.report.len() + 256 * self.check_in.journals.len() + 1024
    }
}
