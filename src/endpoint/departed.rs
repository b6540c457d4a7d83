//! Sidecars that have ended since the last check-in, as they last stood: `~/.thoth/run/departed`.
//!
//! A session may begin and end between two check-ins. What it leaves here lets its journal's end be
//! reported all the same, by whoever checks in next.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::file;
use super::sidecar::Sidecar;
use crate::profile;

/// How many are kept. Where the GovAPI is away for long, the later ones are not reported.
const MOST: usize = 1000;
/// How many are told of at once.
const AT_ONCE: usize = 100;
/// The longest file that is read, in bytes.
const LONGEST: u64 = 256 * 1024;

/// Leaves word of a sidecar that ends.
///
/// # Errors
///
/// The system's own, and where there are too many already.
pub fn leave(home: &Path, sidecar: &Sidecar) -> io::Result<()> {
    super::open(home).map_err(io::Error::other)?;
    let directory = directory(home);
    profile::open_inside(&directory).map_err(io::Error::other)?;
    if fs::read_dir(&directory)?.count() >= MOST {
        return Err(io::Error::other("too many sidecars have ended unreported"));
    }
    let text = serde_json::to_vec(sidecar).map_err(io::Error::other)?;
    file::replace(&path(home, &sidecar.session_id), &text, |_| Ok(()))
}

/// Some of those that have ended.
pub fn list(home: &Path) -> Vec<Sidecar> {
    let Ok(entries) = fs::read_dir(directory(home)) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    paths.take(AT_ONCE).filter_map(|path| read(&path)).collect()
}

/// Forgets these sessions: they were reported.
pub fn forget<'a>(home: &Path, sessions: impl IntoIterator<Item = &'a str>) {
    for session in sessions {
        let _ = fs::remove_file(path(home, session)); // what stays is reported again
    }
}

/// What cannot be read was not written by a thoth of this version, and is in the way.
fn read(path: &Path) -> Option<Sidecar> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    let sidecar = serde_json::from_slice(&text).ok();
    if sidecar.is_none() {
        let _ = fs::remove_file(path);
    }
    sidecar
}

fn directory(home: &Path) -> PathBuf {
    super::directory(home).join("departed")
}

/// A session's id was its lock file's name already ([`super::sidecar::Entry::open`]); what is read back
/// from a file names that file only.
fn path(home: &Path, session: &str) -> PathBuf {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let name = if session.bytes().all(is_name) { session } else { "-" };
    directory(home).join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(session_id: &str) -> Sidecar {
        let text = serde_json::json!({
            "pid": 7, "session_id": session_id, "started_at": "2026-11-21T10:00:00Z",
            "updated_at": "2026-11-21T10:00:00Z", "version": "0.1.0", "agent_id": "files",
            "server": "npx", "environment": "dev", "enforcement_mode": "observe", "policies": [],
            "decisions": {"allow": 1, "modify": 0, "block": 0, "step_up": 0, "defer": 0},
            "last_decision_at": null, "enforcer": null, "credentials": [], "journal": null,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn who_has_ended_is_told_of_until_that_was_reported() {
        let home = tempfile::tempdir().unwrap();
        assert!(list(home.path()).is_empty());
        for session in ["a", "b"] {
            leave(home.path(), &sidecar(session)).unwrap();
        }
        fs::write(path(home.path(), "c"), "{").unwrap();
        assert_eq!(list(home.path()).len(), 2);
        forget(home.path(), ["a", "../../x"]);
        assert_eq!(list(home.path()), [sidecar("b")]);
        assert!(!path(home.path(), "c").exists());
    }

    #[test]
    fn there_is_a_bound() {
        let home = tempfile::tempdir().unwrap();
        for session in 0..MOST {
            leave(home.path(), &sidecar(&session.to_string())).unwrap();
        }
        leave(home.path(), &sidecar("x")).unwrap_err();
        assert_eq!(list(home.path()).len(), AT_ONCE);
    }
}
