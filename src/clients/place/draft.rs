//! The new text of a file, written beside it, until it takes its place.
//!
//! # Invariants
//!
//! - A draft is complete on the disk, with the owner and the mode of the file it is to replace,
//!   before it takes its place.
//! - A draft that is dropped is removed.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::turn::Turn;
use super::{PlaceError, open};
use crate::profile;

/// More often than this in a row, nobody is quicker by a hair.
const MANY: u32 = 1000;

/// A file beside another one, removed when this is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
}

// === impl Draft ===

impl Draft {
    /// Writes a draft, and takes away those that somebody who was killed has left.
    pub(super) fn write(
        target: &Path,
        turn: &Turn,
        bytes: &[u8],
        like: &Metadata,
    ) -> Result<Self, PlaceError> {
        let unwritable = |source| PlaceError::Unwritable { path: target.to_owned(), source };
        let above = target.parent().unwrap_or(Path::new("/"));
        let prefix = format!(".thoth-{}-", turn.mark());
        tidy(above, &prefix);
        let path = above.join(format!("{prefix}{}.tmp", Uuid::new_v4().simple()));
        let mut file = profile::new_file().write(true).open(&path).map_err(unwritable)?;
        let draft = Self { path };
        file.write_all(bytes).map_err(unwritable)?;
        system::keep(&file, like)
            .map_err(|source| PlaceError::Owner { path: target.to_owned(), source })?;
        file.sync_all().map_err(unwritable)?;
        Ok(draft)
    }

    /// Takes the place of a file that is to hold `old`. `false` where it holds something else by
    /// now; that stays.
    ///
    /// Where two files can be exchanged, what was in the place is seen after it was taken, so that
    /// no change is too late to be noticed but one made through an open file afterwards. Elsewhere
    /// the caller has compared a moment ago.
    pub(super) fn put(self, target: &Path, old: &[u8], new: &[u8]) -> io::Result<bool> {
        let (mut behind, mut ahead) = (Some(old.to_vec()), Some(new.to_vec()));
        let mut kept = true;
        for _ in 0..MANY {
            match system::exchange(&self.path, target) {
                Err(error) if is_unknown(&error) && kept => {
                    fs::rename(&self.path, target)?;
                    break;
                }
                // Gone meanwhile: somebody else's change as well.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                exchanged => exchanged?,
            }
            let out = bytes(&self.path);
            if out == behind {
                break;
            }
            // Somebody was quicker by a hair. What came out goes in again, and what comes out
            // then should be what went in now; otherwise it is newer still.
            kept = false;
            behind = std::mem::replace(&mut ahead, out);
        }
        system::sync(target);
        Ok(kept)
    }

    /// Takes a name that is free.
    pub(super) fn link(self, target: &Path) -> io::Result<()> {
        fs::hard_link(&self.path, target)?;
        system::sync(target);
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone where it was renamed. Where it cannot be removed, the next turn tries again.
        let _ = fs::remove_file(&self.path);
    }
}

fn tidy(directory: &Path, prefix: &str) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path).and_then(|mut file| io::Read::read_to_end(&mut file, &mut bytes)).ok()?;
    Some(bytes)
}

/// Whether this system, or this file system, cannot exchange files.
fn is_unknown(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

#[cfg(unix)]
mod system {
    use std::fs::{File, Metadata, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    use std::path::Path;

    /// Gives a file the owner, the group and the mode of another.
    pub(super) fn keep(file: &File, like: &Metadata) -> io::Result<()> {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            let uid = (own.uid() != like.uid()).then_some(like.uid());
            fchown(file, uid, Some(like.gid()))?;
        }
        // After the owner, whose change takes some bits away.
        file.set_permissions(Permissions::from_mode(like.mode() & 0o7777))
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
        use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

        Ok(renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)?)
    }

    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a change of names last. Not every file system can, and the change is made by now.
    pub(super) fn sync(target: &Path) {
        let above = target.parent().unwrap_or(Path::new("/"));
        let _ = File::open(above).and_then(|above| above.sync_all());
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{File, Metadata};
    use std::io;
    use std::path::Path;

    /// A new file has the access list of its directory, as the old one had when it was made.
    pub(super) fn keep(_: &File, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn sync(_: &Path) {}
}
