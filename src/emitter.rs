//! Turns what happens into friction events, off the line's path, and gives them to the sinks.
//! (To be written.)
//!
//! One thread for one session: the loop hands a happening over and goes on; the thread tells it
//! ([`crate::friction::tale`]), scrubs the events and offers them to every sink.

pub mod client;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::friction::scrub::Scrubber;
use crate::friction::tale::Tale;
use crate::gate::happening::Happening;
use crate::sink::{Sinks, Standing};

/// The way into the emitter. Clones lead to the same one.
#[derive(Clone, Debug)]
pub struct Handle {}

/// The emitter of one session, and its thread.
#[derive(Debug)]
pub struct Emitter {
    sinks: Sinks,
}

/// How the emitter stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Telling {
    /// How many events were made.
    pub events: u64,
    /// How many events went without a part, or were not made, since too much waited.
    pub dropped: u64,
    /// How many texts were taken out, by category.
    pub scrubbed: Vec<(String, u64)>,
    /// How each sink stands.
    pub sinks: Vec<Standing>,
}

impl Emitter {
    /// Starts the thread. `sinks` is called in it, before the first event: making sinks reads files.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn start(
        tale: Tale,
        scrubber: Scrubber,
        sinks: Sinks,
        clock: fn() -> Timestamp,
    ) -> std::io::Result<Self> {
        let _ = (tale, scrubber, clock);
        Ok(Self { sinks })
    }

    /// The way in.
    pub fn handle(&self) -> Handle {
        Handle {}
    }

    /// Tells what is left, and closes the sinks, until the deadline at the latest.
    pub async fn close(self, deadline: Instant) {
        self.sinks.close(deadline).await;
    }
}

impl Handle {
    /// Takes a happening, and never waits: where too much waits already, a result goes without its
    /// text.
    pub fn happened(&self, happening: Happening) {
        let _ = happening;
    }

    /// Waits until everything so far has been written by the sinks that are files, or the deadline.
    pub async fn flushed(&self, deadline: Instant) {
        let _ = deadline;
    }

    /// How it stands. Looks into directories: blocking.
    pub fn telling(&self) -> Telling {
        Telling::default()
    }
}
