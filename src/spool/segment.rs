//! The files of a spool that hold events: `<milliseconds>-<writer>.seg`, and `<writer>.lock`.
//!
//! # Invariants
//!
//! - A segment has one writer, which is the process that holds `<writer>.lock`; a lock file has its
//!   name only once it is locked. So whoever finds no lock, or one that is free, knows that nothing
//!   will be appended any more.
//! - A writer closes a segment before it begins its next one.
//! - In the order of their names, segments are in the order in which they were begun.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::profile;

/// A lock file that has not taken its name after this time never will.
const STILLBORN: Duration = Duration::from_mins(1);

/// What a segment is called, in the order of age.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Name {
    /// When it was begun, in milliseconds since 1970.
    pub(super) begun: i64,
    pub(super) writer: Uuid,
}

/// A segment that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) len: u64,
}

/// What a segment is written to: a file, or in tests one that fails on request.
pub(super) trait Medium: Write {
    /// Takes back what stands beyond `len`.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Waits until everything is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A segment that is being written.
#[derive(Debug)]
pub(super) struct Segment<M> {
    medium: M,
    /// Where the last whole record ends.
    len: u64,
}

/// A failed write, and whether the segment can take more.
#[derive(Debug)]
pub(super) struct Torn {
    pub(super) source: io::Error,
    /// Part of a record may stand at its end: nothing may be written behind it.
    pub(super) is_spoilt: bool,
}

// === impl Name ===

impl Name {
    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{:015}-{}.seg", self.begun, self.writer))
    }

    pub(super) fn parse(name: &OsStr) -> Option<Self> {
        let (begun, writer) = name.to_str()?.strip_suffix(".seg")?.split_once('-')?;
        Some(Self { begun: begun.parse().ok()?, writer: Uuid::try_parse(writer).ok()? })
    }

    /// How long ago it was begun. A clock that was set back makes it brand-new.
    pub(super) fn age(self, now: Timestamp) -> Duration {
        let millis = now.as_millisecond().saturating_sub(self.begun);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

// === impl Segment ===

impl<M: Medium> Segment<M> {
    pub(super) fn new(medium: M) -> Self {
        Self { medium, len: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes whole records, and waits until they are on the disk: all of them, or it is as if none
    /// had been written.
    pub(super) fn append(&mut self, records: &[u8]) -> Result<(), Torn> {
        let written = self.medium.write_all(records).and_then(|()| self.medium.sync());
        written.map_err(|source| {
            let is_spoilt = self.medium.truncate(self.len).is_err();
            Torn { source, is_spoilt }
        })?;
        self.len += records.len() as u64;
        Ok(())
    }
}

impl Medium for File {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Every segment, the oldest first.
pub(super) fn list(directory: &Path) -> io::Result<Vec<Found>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Some(name) = Name::parse(&entry.file_name()) else { continue };
        match entry.metadata() {
            Ok(facts) => segments.push(Found { name, len: facts.len() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // it is gone meanwhile
            Err(error) => return Err(error),
        }
    }
    segments.sort_unstable_by_key(|found| found.name);
    Ok(segments)
}

/// Makes a segment, and sees to it that its name is on the disk, too.
pub(super) fn create(directory: &Path, name: Name) -> io::Result<File> {
    let file = profile::new_file().append(true).open(name.path(directory))?;
    sync_directory(directory)?;
    Ok(file)
}

/// Says that this writer lives, for as long as the file is held.
pub(super) fn live(directory: &Path, writer: Uuid) -> io::Result<File> {
    let draft = directory.join(format!("{writer}.draft"));
    let file = profile::new_file().write(true).open(&draft)?;
    let locked = file.try_lock().map_err(io::Error::from);
    if let Err(error) = locked.and_then(|()| fs::rename(&draft, lock(directory, writer))) {
        let _ = fs::remove_file(&draft); // otherwise as stillborn
        return Err(error);
    }
    Ok(file)
}

/// Whether a writer may still append. Where that cannot be told, it may.
pub(super) fn is_alive(directory: &Path, writer: Uuid) -> bool {
    match File::open(lock(directory, writer)) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Removes the lock files of dead writers that have left no segment. Best effort.
pub(super) fn bury(directory: &Path, segments: &[Found]) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let of_writer = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok());
        let is_over = match (path.extension().and_then(OsStr::to_str), of_writer) {
            (Some("lock"), Some(writer)) => {
                segments.iter().all(|found| found.name.writer != writer)
                    && !is_alive(directory, writer)
            }
            (Some("draft"), Some(_)) => is_stillborn(&path),
            _ => false,
        };
        if is_over {
            let _ = fs::remove_file(path); // the next one tries again
        }
    }
}

fn is_stillborn(path: &Path) -> bool {
    let since = fs::metadata(path).and_then(|facts| facts.modified());
    since.is_ok_and(|since| since.elapsed().is_ok_and(|age| age > STILLBORN))
}

fn lock(directory: &Path, writer: Uuid) -> PathBuf {
    directory.join(format!("{writer}.lock"))
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Elsewhere a directory cannot be opened; its entries are the file system's own business.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Tells a lock that somebody else holds from one that cannot be had.
pub(super) fn try_hold(path: &Path) -> io::Result<Option<File>> {
    let file = match profile::new_file().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            File::options().write(true).open(path)?
        }
        made => made?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
