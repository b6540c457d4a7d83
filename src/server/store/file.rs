//! The SQLite file: made for this user alone, and locked for this process alone.
//!
//! SQLite would let two enforcers work with one file, but neither would hear what the other
//! changes: a hold approved in one would wait on in the other. The lock is on a file beside it,
//! `PATH-lock`, because closing any handle on the file itself would end SQLite's own locks on it.
//! It is the kernel's, and ends with its holder, however that ends.
//!
//! Not judged: the directory. Who can write there can put another file in its place.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::profile::{self, Unsafe};

/// Proof that the file is this process's, for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    /// The file, without links and dots.
    path: PathBuf,
    /// Locked; the lock goes with it.
    _file: File,
}

/// What SQLite keeps beside the file. It gives them the file's own mode.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes the file, 0600, or checks the one there is with all that belongs to it, and locks it.
///
/// # Errors
///
/// [`StoreError::File`], [`StoreError::Lock`], [`StoreError::InUse`]
pub(super) fn prepare(path: &Path) -> Result<Lock, StoreError> {
    make(path)?;
    let real =
        path.canonicalize().map_err(|source| Unsafe::Unseen { path: path.to_owned(), source })?;
    if !real.is_file() {
        return Err(Unsafe::NotAFile { path: real }.into());
    }
    profile::check_secret(&real)?;
    let lock = beside(&real, "-lock");
    make(&lock)?;
    profile::check_secret(&lock)?;
    let opened = File::options().write(true).open(&lock);
    let locked = opened.and_then(|file| match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    });
    let Some(file) = locked.map_err(|source| StoreError::Lock { path: lock, source })? else {
        return Err(StoreError::InUse { path: real });
    };
    // Looked at under the lock: nobody else makes or removes them now.
    for suffix in BESIDE {
        let path = beside(&real, suffix);
        if fs::symlink_metadata(&path).is_ok() {
            profile::check_secret(&path)?;
        }
    }
    Ok(Lock { path: real, _file: file })
}

fn make(path: &Path) -> Result<(), Unsafe> {
    let unmade = |source| Unsafe::Unmade { path: path.to_owned(), source };
    match profile::new_file().write(true).open(path) {
        Ok(file) => file.sync_all().and_then(|()| settle(path)).map_err(unmade),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unmade(error)),
    }
}

/// Sees to it that a new file's name is on the disk.
#[cfg(unix)]
fn settle(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Windows keeps names in a journal of its own, and opens no directories.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same as on Unix")]
fn settle(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

// === impl Lock ===

impl Lock {
    /// The file that is locked.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
