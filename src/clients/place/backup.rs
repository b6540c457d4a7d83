//! Copies of what a file held before thoth wrapped it, for the person who wants it back.
//!
//! `backups/NAME-KEY/` in thoth's own directory holds the copies of one file, 0600, each named
//! after its time, and `path`, which says whose they are. `KEY` stands for the file's path.
//!
//! # Invariants
//!
//! - A copy is never written over; one is made only where it differs from the latest.
//! - The first copy stays for good: it is from before thoth. Of the others the [`LATEST`] stay.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::fmt::strtime;

use super::{Contents, key, read_now};
use crate::profile;

/// How many copies stay beside the first.
pub const LATEST: usize = 9;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum NoBackup {
    /// It cannot be written.
    #[error("cannot keep a copy in {}", path.display())]
    Unwritable {
        /// The copy, or its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// thoth's own directory is not to be relied on.
    #[error(transparent)]
    Profile(#[from] profile::Unsafe),
}

/// Keeps a copy of what a file holds, and says where it is; `None` where the latest copy is the
/// same. `name` is a client's word.
///
/// # Errors
///
/// [`NoBackup`]; the file should then not be edited.
pub fn keep(
    contents: &Contents,
    home: &Path,
    name: &str,
    now: Timestamp,
) -> Result<Option<PathBuf>, NoBackup> {
    let directory = directory(home, name, contents.target());
    profile::open(home)?;
    profile::open_inside(&home.join("backups"))?;
    profile::open_inside(&directory)?;
    let whose = contents.target().as_os_str().as_encoded_bytes();
    write(&directory, "path", whose)?;
    let copies = copies(&directory);
    let latest = copies.last().and_then(|copy| read_now(copy).ok());
    if latest.is_some_and(|latest| latest.bytes == contents.bytes) {
        return Ok(None);
    }
    let time = strtime::format("%Y%m%dT%H%M%S.%9fZ", now).unwrap_or_else(|_| now.to_string());
    let copy = write(&directory, &time, &contents.bytes)?;
    for old in copies.iter().skip(1).rev().skip(LATEST - 1) {
        let _ = fs::remove_file(old); // one too many is no harm
    }
    Ok(Some(copy))
}

/// Where the copies of a file are.
pub fn directory(home: &Path, name: &str, target: &Path) -> PathBuf {
    home.join("backups").join(format!("{name}-{}", key(target)))
}

/// The copies in a directory, the oldest first.
fn copies(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut copies: Vec<_> = entries
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"2"))
        .map(|entry| entry.path())
        .collect();
    copies.sort();
    copies
}

/// Writes a file, 0600, unless there is one of that name.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, NoBackup> {
    let path = directory.join(name);
    let written = match profile::new_file().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(mut file) => {
            file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
                let _ = fs::remove_file(&path); // half a copy is none
            })
        }
    };
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(NoBackup::Unwritable { path, source }),
    }
}
