//! Events on their way to a collector, on disk: `~/.thoth/spool/<sink>/`.
//!
//! Every process that has events appends them to segments of its own ([`Writer`]); whichever
//! process holds the lock sends them ([`Drain`]), also those of others, also those of processes
//! that are long gone. `docs/friction.md` describes the files.
//!
//! # What is promised
//!
//! - An event that [`Writer::append`] took is on the disk (`fdatasync`) when that returns: it survives
//!   the death of this process at any instruction, and of the machine. It is given out until it is
//!   settled, or the bounds below are reached.
//! - An event may be given out again where its drain died between sending and settling: at least
//!   once. One drain never gives out an id twice, as far as its memory reaches ([`REMEMBERED`]).
//! - The bytes are bounded by [`Limits::bytes`], plus the last two segments of each living process; the
//!   age by [`Limits::age`]. The oldest go, and are counted for good ([`Spool::losses`]).
//!
//! Everything here blocks, and has no place on a line's path.

mod bounds;
mod cursor;
mod drain;
mod event;
mod look;
mod losses;
mod neighbours;
mod record;
mod segment;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::profile::{self, Unsafe};

pub use self::drain::{Drain, NotDrained, REMEMBERED, Window};
pub use self::event::{Event, MAX_EVENT, NotAnEvent};
pub use self::look::look;
pub use self::losses::Losses;
pub use self::neighbours::{all, expire};
pub use self::writer::{NotWritten, Writer};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many bytes, over all segments.
    pub bytes: u64,
    /// How long an event is kept, give or take [`Limits::segment_age`].
    pub age: Duration,
    /// The length from which on a segment is closed, in bytes.
    pub segment_bytes: u64,
    /// The age from which on it is closed.
    pub segment_age: Duration,
}

/// The spool of one sink. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Spool {
    directory: PathBuf,
    limits: Limits,
}

/// What lies in a spool.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stock {
    /// How many segments.
    pub segments: usize,
    /// How many bytes, delivered ones among them until their segment goes.
    pub bytes: u64,
}

/// Where spools lie, in thoth's directory.
const FOLDER: &str = "spool";
/// What says whose events lie there, for people.
const PLACE: &str = "place";

// === impl Limits ===

impl Default for Limits {
    /// 64 MiB, a week.
    fn default() -> Self {
        Self {
            bytes: 64 * 1024 * 1024,
            age: Duration::from_hours(168),
            segment_bytes: 1024 * 1024,
            segment_age: Duration::from_hours(1),
        }
    }
}

// === impl Spool ===

impl Spool {
    /// Makes `spool/<name>` in thoth's directory, or checks the one there is. `name` is one part of
    /// a path; `place` is what people call the sink, without anything secret, for [`all`].
    ///
    /// # Errors
    ///
    /// [`Unsafe`] where it cannot be made, or others could change it.
    pub fn open(home: &Path, name: &str, place: &str, limits: Limits) -> Result<Self, Unsafe> {
        profile::open(home)?;
        profile::open_inside(&home.join(FOLDER))?;
        let spool = Self::at(home, name, limits);
        profile::open_inside(&spool.directory)?;
        let _ = profile::put(&spool.directory, PLACE, place.as_bytes()); // only people miss it
        Ok(spool)
    }

    /// The spool of that name, whether it was ever made or not.
    pub fn at(home: &Path, name: &str, limits: Limits) -> Self {
        Self { directory: home.join(FOLDER).join(name), limits }
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What lies in it. What cannot be read counts as nothing.
    pub fn stock(&self) -> Stock {
        let segments = segment::list(&self.directory).unwrap_or_default();
        Stock { segments: segments.len(), bytes: segments.iter().map(|found| found.len).sum() }
    }

    /// What was lost for good, by all processes so far.
    pub fn losses(&self) -> Losses {
        losses::read(&self.directory)
    }

    /// Lets go what is too old or too much, and counts it; leaves alone what somebody drains, who
    /// does the same.
    fn expire(&self, now: Timestamp) -> io::Result<()> {
        let Some(_held) = segment::try_hold(&self.directory.join(drain::LOCK))? else {
            return Ok(());
        };
        let evicted = bounds::keep(&self.directory, &self.limits, now)?;
        segment::bury(&self.directory, &segment::list(&self.directory)?);
        losses::add(&self.directory, &mut Losses { evicted, ..Losses::default() });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
