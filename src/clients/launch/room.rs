//! The directory of one launch: private, gone afterwards, and collected by the next launch where
//! it could not be.
//!
//! A launch holds a lock on the file `owner` in its directory for as long as it lives, and the
//! system lets go of it however it ends. So a directory whose lock can be had is a dead one's; that
//! is judged, and directories are made, by one launch at a time (the lock on `.lock` beside them).
//! The file says who it was, by process and start time, for people.
//!
//! # Invariants
//!
//! - Directories are 0700 and files 0600; a file is made, and never one that is there opened.
//! - Only directories with names as they are made here are looked at, and only those that belong
//!   to this user; symbolic links are not followed, neither to a directory nor in one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::profile::{self, Unsafe};

/// The file that is locked.
const OWNER: &str = "owner";

/// The file whose lock lets one launch at a time look around.
const TURN: &str = ".lock";

/// The directory of one launch. Dropped, it is removed.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    /// Locked.
    owner: Option<File>,
}

/// There is no directory for a launch.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// Others could change it, or it cannot be made.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// Something in it cannot be made.
    #[error("cannot write {}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Where launches have their directories below one that was named. Never in that itself: what else
/// lies there is not thoth's to look at, and may have names like those that are made here.
pub fn below(directory: &Path) -> PathBuf {
    directory.join("thoth")
}

/// Where launches have their directories: below the runtime directory of the session where it is
/// this user's alone, else in thoth's own.
pub fn base(runtime: Option<&Path>, home: &Path) -> PathBuf {
    let is_private = |path: &&Path| path.is_absolute() && profile::check_secret(path).is_ok();
    match runtime.filter(is_private) {
        Some(runtime) => below(runtime),
        None => home.join("run").join("launch"),
    }
}

// === impl Room ===

impl Room {
    /// Makes a directory in `base`, and removes those of launches that are dead.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn make(base: &Path) -> Result<Self, NoRoom> {
        let above = base.parent().unwrap_or(base);
        if !above.is_dir() {
            profile::open(above.parent().unwrap_or(above))?;
            profile::open_inside(above)?;
        }
        profile::open_inside(base)?;
        let turn = base.join(TURN);
        let unwritten = |path: &Path| {
            let path = path.to_owned();
            move |source| NoRoom::Unwritten { path, source }
        };
        profile::put(base, TURN, b"")?;
        let lock = File::open(&turn).map_err(unwritten(&turn))?;
        lock.lock().map_err(unwritten(&turn))?;
        collect(base);
        let path = base.join(Uuid::new_v4().simple().to_string());
        profile::open_inside(&path)?;
        let mut room = Self { path, owner: None };
        let mut owner = room.new_file(OWNER)?;
        let at = room.path.join(OWNER);
        owner.lock().map_err(unwritten(&at))?;
        writeln!(owner, "{}", told()).map_err(unwritten(&at))?;
        room.owner = Some(owner);
        Ok(room)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a new file in it.
    ///
    /// # Errors
    ///
    /// [`NoRoom::Unwritten`].
    pub fn put(&self, name: &str, text: &str) -> Result<PathBuf, NoRoom> {
        let path = self.path.join(name);
        let unwritten = |source| NoRoom::Unwritten { path: path.clone(), source };
        self.new_file(name)?.write_all(text.as_bytes()).map_err(unwritten)?;
        Ok(path)
    }

    fn new_file(&self, name: &str) -> Result<File, NoRoom> {
        let path = self.path.join(name);
        profile::new_file()
            .write(true)
            .open(&path)
            .map_err(|source| NoRoom::Unwritten { path, source })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What stays is collected by the next launch.
        let _ = fs::remove_dir_all(&self.path);
        self.owner = None;
    }
}

/// Removes what dead launches left.
fn collect(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let is_ours = name.to_str().is_some_and(|name| {
            name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        // `file_type` does not follow a link.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_ours && is_directory && profile::check_secret(&path).is_ok() && is_dead(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Whether nobody holds the lock. Where that cannot be told, somebody does.
fn is_dead(path: &Path) -> bool {
    let owner = path.join(OWNER);
    match fs::symlink_metadata(&owner) {
        // Its launch was killed before it had an owner: they are made one at a time.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(facts) if !facts.is_file() => false,
        Ok(_) => File::open(&owner).is_ok_and(|owner| owner.try_lock().is_ok()),
    }
}

/// This process, for people: its number, and when it was started, as far as the system tells.
fn told() -> String {
    let pid = std::process::id();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // `proc(5)`: the twenty-second field, counted behind the name in parentheses.
    let started = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19));
    format!("{{\"pid\": {pid}, \"started\": \"{}\"}}", started.unwrap_or("unknown"))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn base() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let base = super::base(None, &home.path().join(".thoth"));
        (home, base)
    }

    #[test]
    fn a_room_is_private_and_gone_afterwards() {
        let (_home, base) = base();
        let room = Room::make(&base).unwrap();
        let path = room.put("mcp.json", "{}").unwrap();
        assert_eq!((mode(room.path()), mode(&path), mode(&base)), (0o700, 0o600, 0o700));
        assert!(room.put("mcp.json", "{}").is_err(), "there is one");
        let at = room.path().to_owned();
        drop(room);
        assert!(!at.exists());
    }

    #[test]
    fn the_dead_are_collected_and_the_living_are_not() {
        let (home, base) = base();
        let living = Room::make(&base).unwrap();
        let dead = base.join("0123456789abcdef0123456789abcdef");
        let headless = base.join("1123456789abcdef0123456789abcdef");
        for path in [&dead, &headless] {
            profile::open_inside(path).unwrap();
            fs::write(path.join("mcp.json"), "{}").unwrap();
        }
        fs::write(dead.join(OWNER), "{}").unwrap();
        let outside = home.path().join("outside");
        // As private as those that are made here: only their names and kinds tell them apart.
        profile::open_inside(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        symlink(&outside, dead.join("link")).unwrap();
        let link = base.join("2123456789abcdef0123456789abcdef");
        symlink(&outside, &link).unwrap();
        let other = base.join("not-one-of-ours");
        profile::open_inside(&other).unwrap();

        let _next = Room::make(&base).unwrap();
        assert!(living.path().join(OWNER).exists());
        assert!(!dead.exists() && !headless.exists());
        assert!(outside.join("kept").exists() && link.is_symlink() && other.exists());
    }

    #[test]
    fn a_runtime_directory_that_others_may_enter_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let runtime = home.path().join("runtime");
        fs::create_dir(&runtime).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(super::base(Some(&runtime), home.path()), runtime.join("thoth"));
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(super::base(Some(&runtime), home.path()), home.path().join("run/launch"));
        assert_eq!(super::base(None, home.path()), home.path().join("run/launch"));
        assert!(Room::make(&runtime.join("thoth")).is_ok());
    }
}
