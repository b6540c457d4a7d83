//! The lock on what is done once per machine: `~/.thoth/run/heartbeat.lock`.
//!
//! The kernel's own lock on an open file: it ends with its holder, however that ends, so there is
//! nothing stale to be told apart and nothing to clean up. The file itself is empty and stays.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::profile::{self, Unsafe};

const NAME: &str = "heartbeat.lock";

/// Proof that this process does what is done once per machine, for as long as it lives.
#[derive(Debug)]
pub struct Held {
    /// Locked; the lock goes with it.
    _file: File,
}

/// Why it cannot even be tried: a profile that is not safe, or a file system without locks.
#[derive(Debug, thiserror::Error)]
pub enum NotLockable {
    /// The directory or the file cannot be made, or others can change it.
    #[error("the heartbeat's lock has no safe place")]
    Place(#[from] Unsafe),
    /// The file cannot be locked.
    #[error("cannot lock {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Takes the lock, unless another process holds it: then `None`, at once.
///
/// # Errors
///
/// [`NotLockable`].
pub fn try_hold(home: &Path) -> Result<Option<Held>, NotLockable> {
    let directory = super::open(home)?;
    profile::put(&directory, NAME, b"")?;
    let path = directory.join(NAME);
    let file = File::options().write(true).open(&path);
    let locked = file.and_then(|file| match file.try_lock() {
        Ok(()) => Ok(Some(Held { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    });
    locked.map_err(|source| NotLockable::File { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_next_takes_over() {
        let home = tempfile::tempdir().unwrap();
        let held = try_hold(home.path()).unwrap();
        assert!(held.is_some());
        assert!(try_hold(home.path()).unwrap().is_none());
        drop(held);
        assert!(try_hold(home.path()).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_profile_that_others_can_change_has_no_lock() {
        use std::os::unix::fs::PermissionsExt as _;

        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(try_hold(home.path()), Err(NotLockable::Place(_))));
    }
}
