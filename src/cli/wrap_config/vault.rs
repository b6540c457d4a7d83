//! The files in which the secrets of clients' servers are kept: `secrets/` in thoth's own directory,
//! 0700, each file 0600.
//!
//! # Invariants
//!
//! - No file is written over, and none is read or removed that lies elsewhere.
//! - Where the client's file was not replaced in the end, none is left behind.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::clients::document::{Hole, bridged};
use crate::profile;

/// The directory's name.
pub(super) const DIRECTORY: &str = "secrets";

/// No secret is longer, in bytes.
const LONGEST: usize = 64 * 1024;

/// Why a secret could not be kept.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum NotKept {
    /// The file cannot be written.
    #[error("cannot keep a secret in {}", path.display())]
    Unwritable {
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

/// Files that were made and are taken away again unless they are settled.
#[derive(Debug, Default)]
pub(super) struct Fresh(Vec<PathBuf>);

// === impl Fresh ===

impl Fresh {
    /// Writes files below thoth's own directory, in the place of those that were made before.
    ///
    /// # Errors
    ///
    /// [`NotKept`]; none of them is left.
    pub(super) fn write(
        &mut self,
        home: &Path,
        files: &[(PathBuf, String)],
    ) -> Result<(), NotKept> {
        self.clear();
        if files.is_empty() {
            return Ok(());
        }
        profile::open(home)?;
        profile::open_inside(&home.join(DIRECTORY))?;
        for (path, held) in files {
            let unwritable = |source| NotKept::Unwritable { path: path.clone(), source };
            let mut file = profile::new_file().write(true).open(path).map_err(unwritable)?;
            self.0.push(path.clone());
            file.write_all(held.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritable)?;
        }
        Ok(())
    }

    /// They stay.
    pub(super) fn settle(mut self) {
        self.0.clear();
    }

    fn clear(&mut self) {
        for path in self.0.drain(..) {
            let _ = fs::remove_file(path); // it was made a moment ago, and nobody knows of it
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The secret that stood in an entry, and the file it is kept in; `None` where it is not there, or is
/// none that can stand in a client's file.
pub(super) fn recall(
    home: &Path,
    command: &str,
    args: &[String],
    wanted: &Hole,
) -> Option<(PathBuf, String)> {
    let flags = bridged(command, args)?.flags;
    let flag = match &wanted.header {
        None => "--upstream-token-file",
        Some(_) => "--upstream-header-file",
    };
    let joined = format!("{flag}=");
    let path = flags.iter().enumerate().find_map(|(at, word)| {
        if word == flag {
            flags.get(at + 1).map(String::as_str)
        } else {
            word.strip_prefix(&joined)
        }
    })?;
    let path = PathBuf::from(path);
    if path.parent() != Some(&*home.join(DIRECTORY)) {
        return None;
    }
    let held = profile::read_secret(&path, LONGEST).ok()?;
    let held = String::from_utf8(held).ok()?;
    let secret = match &wanted.header {
        None => held.trim(),
        Some(header) => held.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(header).then(|| value.trim())
        })?,
    };
    crate::clients::remote::is_movable(secret).then(|| (path, secret.to_owned()))
}
