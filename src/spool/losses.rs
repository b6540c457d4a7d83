//! What a spool has lost for good: `losses.json`, added to by every process.

use std::fs;
use std::io;
use std::ops::AddAssign;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::segment;
use crate::profile;

const NAME: &str = "losses.json";
const LOCK: &str = "losses.lock";

/// How many events were lost, and to what.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Losses {
    /// They were the oldest when a bound was reached. At most so many: an event that was on its way
    /// at that moment may have arrived.
    pub evicted: u64,
    /// The collector did not want them.
    pub refused: u64,
    /// Lines of segments that could not be read back.
    pub damaged: u64,
}

impl Losses {
    /// All of them.
    pub fn total(self) -> u64 {
        self.evicted.saturating_add(self.refused).saturating_add(self.damaged)
    }
}

impl AddAssign for Losses {
    fn add_assign(&mut self, more: Self) {
        self.evicted = self.evicted.saturating_add(more.evicted);
        self.refused = self.refused.saturating_add(more.refused);
        self.damaged = self.damaged.saturating_add(more.damaged);
    }
}

pub(super) fn read(directory: &Path) -> Losses {
    let text = fs::read(directory.join(NAME)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Adds to what was lost; what was added is taken out of `pending`. Where another process is
/// adding at this moment, or nothing can be written, it stays there for the next time.
pub(super) fn add(directory: &Path, pending: &mut Losses) {
    if *pending != Losses::default() && try_add(directory, *pending).unwrap_or(false) {
        *pending = Losses::default();
    }
}

fn try_add(directory: &Path, more: Losses) -> io::Result<bool> {
    let Some(_held) = segment::try_hold(&directory.join(LOCK))? else { return Ok(false) };
    let mut losses = read(directory);
    losses += more;
    let text = serde_json::to_vec(&losses)?;
    profile::replace(directory, NAME, &text).map_err(io::Error::other)?;
    Ok(true)
}
