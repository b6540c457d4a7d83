//! Reads a client's file and replaces it: whole or not at all, and never over somebody else's
//! change.
//!
//! Clients rewrite their files while they run, some of them all the time. So an edit is a
//! function: it is handed what the file holds, and handed it again where the file changed before
//! the answer was in place. Editors of this kind take `turn`s; a client does not, and what it
//! does in the last moment is seen where the system can exchange two files (`draft`).
//!
//! What is kept: the bytes that were not edited, the permission bits, the owner and the group, and
//! a symbolic link, which is followed to its target. What is not: access lists, extended
//! attributes, and further names (hard links), which keep the old contents.
//!
//! # Invariants
//!
//! - The file holds the old bytes or the new ones, also after `kill -9` or a full disk.
//! - Nothing is left beside the file but after `kill -9`; the next edit takes that away.

pub mod backup;
mod draft;
mod turn;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use self::draft::Draft;
use self::turn::Turn;
use crate::profile;

/// The longest file that is read, in bytes.
pub const LONGEST: u64 = 16 * 1024 * 1024;

/// How often an edit is done all over again before it is given up.
const TRIES: u32 = 50;

/// How long somebody who is writing is left alone.
const MOMENT: Duration = Duration::from_millis(20);

/// What a file held when it was read.
#[derive(Debug)]
pub struct Contents {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The file itself, where the path led through symbolic links.
    target: PathBuf,
    facts: Metadata,
}

/// Why a file could not be read or replaced. Nothing of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// No configuration is that long.
    #[error("{} is longer than {LONGEST} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Nobody is to write to it.
    #[error("{} is read-only; make it writable (chmod u+w) and try again", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A link of one user leads root to the file of another.
    #[error(
        "{} leads to {}, which belongs to somebody else; root does not follow it",
        path.display(), target.display()
    )]
    Astray {
        /// The path as it was given.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The new text cannot be put beside it or in its place.
    #[error("cannot replace {}; it is as it was", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no place for turns and copies.
    #[error("there is no home directory for thoth's own files; set HOME or THOTH_HOME_DIR")]
    Homeless,
    /// Root's turn in the home of another user.
    #[error(
        "{} belongs to uid {owner}, and thoth runs as root; run it as that user (sudo -u)",
        home.display()
    )]
    Guest {
        /// thoth's own directory, or the one that it would be made in.
        home: PathBuf,
        /// The user.
        owner: u32,
    },
    /// Its owner, group or mode cannot be given to another file by this user.
    #[error(
        "cannot keep owner, group and mode of {}; run thoth as its owner. It is as it was",
        path.display()
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else changed it, again and again.
    #[error(
        "{} was changed by another program {TRIES} times while it was edited; close that program and try again",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Another thoth does not come to an end with it.
    #[error("another thoth is at work on {}; try again when it is done", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The place where thoths take turns cannot be had.
    #[error("cannot lock {}", path.display())]
    NoLock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// thoth's own directory is not to be relied on.
    #[error(transparent)]
    Profile(#[from] profile::Unsafe),
}

/// Reads a regular file of at most [`LONGEST`] bytes; a pipe or a device is not opened. A file
/// that is empty is looked at again after a moment: somebody may be writing it.
///
/// # Errors
///
/// [`PlaceError`].
pub fn read(path: &Path) -> Result<Contents, PlaceError> {
    let contents = read_now(path)?;
    if !contents.bytes.is_empty() {
        return Ok(contents);
    }
    thread::sleep(MOMENT);
    read_now(path)
}

/// Edits a file. `edit` answers what it held with what it shall hold; where both are alike,
/// nothing is written. It is asked anew where somebody else changed the file meanwhile, and where
/// it failed on a text that was not complete yet. `home` is thoth's own directory.
///
/// # Errors
///
/// What `edit` says, or [`PlaceError`]; the file is as it was, or as somebody else made it.
pub fn edit<T, E: From<PlaceError>>(
    path: &Path,
    home: &Path,
    mut edit: impl FnMut(&Contents) -> Result<(Vec<u8>, T), E>,
) -> Result<T, E> {
    let turn = Turn::take(&follow(path)?, home)?;
    for _ in 0..TRIES {
        let contents = read(path)?;
        let (new, told) = match edit(&contents) {
            Ok(edited) => edited,
            Err(error) => {
                thread::sleep(MOMENT);
                if read_now(path)?.bytes == contents.bytes {
                    return Err(error);
                }
                continue;
            }
        };
        if new == contents.bytes {
            return Ok(told);
        }
        match contents.replace(path, &new, &turn) {
            Ok(()) => return Ok(told),
            Err(PlaceError::Changed { .. }) => thread::sleep(MOMENT),
            Err(error) => return Err(error.into()),
        }
    }
    Err(PlaceError::Changed { path: path.to_owned() }.into())
}

/// Puts a new file in place, with the permission bits and the owner of another; it may not exist.
///
/// # Errors
///
/// [`PlaceError`], also where there is such a file by now.
pub fn create(path: &Path, home: &Path, bytes: &[u8], like: &Contents) -> Result<(), PlaceError> {
    let unwritable = |source| PlaceError::Unwritable { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| unwritable(io::ErrorKind::InvalidInput.into()))?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let target = fs::canonicalize(above.unwrap_or(Path::new("."))).map_err(unwritable)?.join(name);
    let turn = Turn::take(&target, home)?;
    let draft = Draft::write(&target, &turn, bytes, &like.facts)?;
    draft.link(&target).map_err(unwritable)
}

fn read_now(path: &Path) -> Result<Contents, PlaceError> {
    let unreadable = |source| PlaceError::Unreadable { path: path.to_owned(), source };
    let target = follow(path)?;
    let not_a_file = || PlaceError::NotAFile { path: path.to_owned() };
    // Looked at before it is opened: opening some devices does something.
    if !fs::metadata(&target).map_err(unreadable)?.is_file() {
        return Err(not_a_file());
    }
    let file = open(&target).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(not_a_file());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(PlaceError::TooLong { path: path.to_owned() });
    }
    Ok(Contents { bytes, target, facts })
}

/// Where a path leads. Root does not follow the link of a user to what is not that user's.
fn follow(path: &Path) -> Result<PathBuf, PlaceError> {
    let target = fs::canonicalize(path)
        .map_err(|source| PlaceError::Unreadable { path: path.to_owned(), source })?;
    if system::leads_astray(path, &target) {
        return Err(PlaceError::Astray { path: path.to_owned(), target });
    }
    Ok(target)
}

/// Opens a file for reading, without waiting for anybody on the other side.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    system::without_waiting(&mut options);
    options.read(true).open(path)
}

/// Sixteen hexadecimal digits that stand for a path in the name of a file.
fn key(path: &Path) -> String {
    hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..8])
}

// === impl Contents ===

impl Contents {
    /// The file that was read, where the path led through symbolic links.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts a new text in the file's place, if it still holds what was read.
    fn replace(&self, path: &Path, new: &[u8], turn: &Turn) -> Result<(), PlaceError> {
        let changed = || PlaceError::Changed { path: path.to_owned() };
        let now = read_now(path)?;
        if now.facts.permissions().readonly() || !system::is_writable(&self.target) {
            return Err(PlaceError::ReadOnly { path: path.to_owned() });
        }
        let draft = Draft::write(&self.target, turn, new, &now.facts)?;
        let now = read_now(path)?;
        if now.bytes != self.bytes || now.target != self.target {
            return Err(changed());
        }
        let placed = draft.put(&self.target, &self.bytes, new);
        let placed =
            placed.map_err(|source| PlaceError::Unwritable { path: path.to_owned(), source })?;
        if placed { Ok(()) } else { Err(changed()) }
    }
}

#[cfg(unix)]
mod system {
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    use std::path::Path;

    use nix::fcntl::OFlag;
    use nix::unistd::{AccessFlags, access, geteuid};

    pub(super) fn without_waiting(options: &mut OpenOptions) {
        options.custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits());
    }

    pub(super) fn is_writable(path: &Path) -> bool {
        access(path, AccessFlags::W_OK).is_ok()
    }

    /// Whether root is led by a link that a user made to what is not that user's.
    pub(super) fn leads_astray(path: &Path, target: &Path) -> bool {
        geteuid().is_root()
            && fs::metadata(target).is_ok_and(|target| {
                path.ancestors()
                    .filter_map(|above| fs::symlink_metadata(above).ok())
                    .filter(fs::Metadata::is_symlink)
                    .any(|link| link.uid() != 0 && link.uid() != target.uid())
            })
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::OpenOptions;
    use std::path::Path;

    pub(super) fn without_waiting(_: &mut OpenOptions) {}

    /// Told by the read-only attribute, which is looked at elsewhere, and by trying.
    pub(super) fn is_writable(_: &Path) -> bool {
        true
    }

    pub(super) fn leads_astray(_: &Path, _: &Path) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
