//! Where logins are kept: one file each, `~/.thoth/logins/NAME.json`, 0600 in a directory 0700.
//!
//! # Invariants
//!
//! - A login is read whole, and replaced whole.
//! - Whoever changes one holds its turn: the system's lock on `NAME.lock` beside it, which ends with its
//!   holder, however that ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::record::{Record, SCHEMA};
use crate::profile::{self, Unsafe};

/// No login is longer, in bytes.
const LONGEST: usize = 256 * 1024;
/// How often a lock that another process holds is looked at.
const STEP: Duration = Duration::from_millis(20);
/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;

/// What a login is called: letters of the lower case, digits, `-`, `_` and `.`, so that no two names are one
/// file on any system.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

/// A name that cannot be a login's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "write a name of at most {LONGEST_NAME} lower-case letters, digits, `-`, `_` and `.`, a letter or digit first"
)]
pub struct BadName;

/// The directory of all logins.
#[derive(Clone, Debug)]
pub(super) struct Store {
    home: PathBuf,
}

/// The right to change one login, held until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _lock: File,
}

/// Why a login cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The profile has no place.
    #[error("there is no home directory; set THOTH_HOME_DIR to a directory for thoth's own files")]
    Homeless,
    /// Others could read or change it, or it cannot be read or written.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// It is not what thoth writes.
    #[error("{} is no login of this version of thoth; log in again", .0.display())]
    Unreadable(PathBuf),
    /// It cannot be locked.
    #[error("cannot lock {}", path.display())]
    NoLock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process holds it, and does not let go.
    #[error("another thoth is changing this login, and does not end")]
    Busy,
    /// It cannot be removed.
    #[error("cannot remove {}", path.display())]
    NotRemoved {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

// === impl Name ===

impl Name {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`BadName`].
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=LONGEST_NAME).contains(&text.len())
            && text.bytes().all(|byte| is_plain(byte) || b"-_.".contains(&byte))
            && text.bytes().next().is_some_and(is_plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(BadName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Store ===

impl Store {
    /// The store of a profile. Makes nothing yet.
    pub(super) fn of(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// The names of all logins, in their order.
    pub(super) fn names(&self) -> Result<Vec<Name>, StoreError> {
        let folder = self.folder();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Unsafe::Unseen { path: folder, source }.into()),
        };
        let name = |entry: io::Result<fs::DirEntry>| {
            let file = entry.ok()?.file_name();
            Name::parse(file.to_str()?.strip_suffix(".json")?).ok()
        };
        let mut names: Vec<_> = entries.filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// Reads a login; `None` where there is none. Blocking.
    pub(super) fn read(&self, name: &Name) -> Result<Option<Record>, StoreError> {
        let path = self.file(name);
        if let Err(error) = fs::symlink_metadata(&path)
            && error.kind() == io::ErrorKind::NotFound
        {
            return Ok(None);
        }
        let bytes = match profile::read_secret(&path, LONGEST) {
            // It went away meanwhile.
            Err(Unsafe::Unseen { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            read => read?,
        };
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) if record.schema == SCHEMA => Ok(Some(record)),
            Ok(_) | Err(_) => Err(StoreError::Unreadable(path)),
        }
    }

    /// Puts a login in place. Blocking.
    pub(super) fn write(&self, name: &Name, record: &Record, _: &Turn) -> Result<(), StoreError> {
        self.open()?;
        let mut text = serde_json::to_vec_pretty(record)
            .unwrap_or_else(|_| unreachable!("a login is made of text and numbers"));
        text.push(b'\n');
        profile::replace(&self.folder(), &format!("{}.json", name.0), &text)?;
        Ok(())
    }

    /// Removes a login. Blocking.
    pub(super) fn remove(&self, name: &Name, _: &Turn) -> Result<(), StoreError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| StoreError::NotRemoved { path, source }),
        }
    }

    /// Waits for the right to change a login.
    ///
    /// Cancel safe.
    pub(super) async fn turn(&self, name: &Name, deadline: Instant) -> Result<Turn, StoreError> {
        self.open()?;
        let path = self.folder().join(format!("{}.lock", name.0));
        let no_lock = |source| StoreError::NoLock { path: path.clone(), source };
        profile::put(&self.folder(), &format!("{}.lock", name.0), b"")?;
        let lock = File::options().write(true).open(&path).map_err(no_lock)?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Turn { _lock: lock }),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(StoreError::Busy);
                }
                Err(TryLockError::WouldBlock) => {
                    sleep_until(deadline.min(Instant::now() + STEP)).await;
                }
                Err(TryLockError::Error(source)) => return Err(no_lock(source)),
            }
        }
    }

    /// Where a login is kept.
    pub(super) fn file(&self, name: &Name) -> PathBuf {
        self.folder().join(format!("{}.json", name.0))
    }

    fn folder(&self) -> PathBuf {
        self.home.join("logins")
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.home.as_os_str().is_empty() {
            return Err(StoreError::Homeless);
        }
        profile::open(&self.home)?;
        profile::open_inside(&self.folder())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_file_on_every_system() {
        for (text, fits) in [
            ("github", true),
            ("a-b_c.1", true),
            ("7", true),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
            ("", false),
            ("GitHub", false),
            ("../a", false),
            ("a/b", false),
            (".a", false),
            ("-a", false),
            ("a b", false),
            ("\u{e4}", false),
        ] {
            assert_eq!(Name::parse(text).is_ok(), fits, "{text:?}");
        }
    }
}
