//! Turns: of several thoths, one at a time edits a file.
//!
//! The lock lies in thoth's own directory, named after the file, so that nothing is left beside
//! the file itself. The system takes it back when its holder ends, however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{PlaceError, key};
use crate::profile;

/// How long the holder is waited for: [`STEPS`] times [`STEP`], 30 s in all.
const STEP: Duration = Duration::from_millis(10);
const STEPS: u32 = 3000;

/// The right to edit one file, held until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    /// Stands for the file and for the directory in which turns are taken.
    mark: String,
    _lock: File,
}

/// Opens the lock, and makes it where it is missing.
fn open(path: &Path) -> io::Result<File> {
    match profile::new_file().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            File::options().write(true).open(path)
        }
        made => made,
    }
}

// === impl Turn ===

impl Turn {
    /// Waits for the right to edit `target`, a path without links.
    ///
    /// # Errors
    ///
    /// [`PlaceError::Busy`] where the wait is over; [`PlaceError::NoLock`] and
    /// [`PlaceError::Profile`] where there is nothing to wait at.
    pub(super) fn take(target: &Path, home: &Path) -> Result<Self, PlaceError> {
        let no_lock = |source| PlaceError::NoLock { path: target.to_owned(), source };
        if let Some(owner) = system::guest(home) {
            return Err(PlaceError::Guest { home: home.to_owned(), owner });
        }
        profile::open(home)?;
        let run = home.join("run");
        profile::open_inside(&run)?;
        let path = run.join(format!("edit-{}.lock", key(target)));
        let lock = open(&path).map_err(no_lock)?;
        for _ in 0..STEPS {
            match lock.try_lock() {
                Ok(()) => {
                    let mark = format!("{}-{}", key(target), key(home));
                    return Ok(Self { mark, _lock: lock });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(STEP),
                Err(TryLockError::Error(source)) => return Err(no_lock(source)),
            }
        }
        Err(PlaceError::Busy { path: target.to_owned() })
    }

    /// What the drafts of this turn are named after: a file of this name is ours, and whoever
    /// left it has ended.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }
}

#[cfg(unix)]
mod system {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// Whose home root is a guest in: a profile that root makes there would shut its user out.
    pub(super) fn guest(home: &Path) -> Option<u32> {
        let facts = home.ancestors().find_map(|above| fs::metadata(above).ok())?;
        (nix::unistd::geteuid().is_root() && facts.uid() != 0).then_some(facts.uid())
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) fn guest(_: &std::path::Path) -> Option<u32> {
        None
    }
}
