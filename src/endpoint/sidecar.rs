//! The sidecars that run on this machine: one file each in `~/.thoth/run/sidecars`.
//!
//! `<session>.json` says what a sidecar does; `<session>.lock` is locked by its process as long as
//! that lives, which is how the living are told from the dead, however they died.
//!
//! # Invariants
//!
//! - A lock file has its name only once it is locked, and a session's name is never used again: so
//!   whoever finds one unlocked may remove what is left of its sidecar.
//! - A reader sees a sidecar's file whole.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file;
use crate::credential;
use crate::profile::{self, Unsafe};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 256 * 1024;

/// A lock file that has not taken its name after this time never will.
const STILLBORN: Duration = Duration::from_mins(1);

/// One running `thoth run`, as its file says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Sidecar {
    /// Its process.
    pub pid: u32,
    /// Its session.
    pub session_id: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last wrote this.
    pub updated_at: Timestamp,
    /// Its version.
    pub version: String,
    /// The agent, which is the name of the wrapped server's entry.
    pub agent_id: String,
    /// The server's command, its last part.
    pub server: String,
    /// `dev`, `staging` or `prod`.
    pub environment: String,
    /// How verdicts are enforced.
    pub enforcement_mode: String,
    /// The policies in force.
    pub policies: Vec<Policy>,
    /// What it decided so far.
    pub decisions: Decisions,
    /// When it last decided.
    pub last_decision_at: Option<Timestamp>,
    /// The enforcer, where one is configured.
    pub enforcer: Option<Contact>,
    /// Its credentials.
    pub credentials: Vec<credential::Standing>,
    /// Its journal.
    pub journal: Option<Journal>,
    /// Its friction events, where there are any.
    #[serde(default)]
    pub friction: Option<Friction>,
}

/// How a sidecar's friction events stand.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Friction {
    /// How many were made.
    pub events: u64,
    /// How many went without a part, or were not made.
    pub dropped: u64,
    /// Where they go.
    pub sinks: Vec<Sink>,
}

/// How one place stands that events go to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sink {
    /// The place, as `BATON_EVENT_SINK` has it.
    pub place: String,
    /// How many events are in its file, or its spool.
    pub written: u64,
    /// How many it could not take.
    pub dropped: u64,
    /// How many the collector has; `None` where it is none.
    pub delivered: Option<u64>,
    /// Why the collector's last attempt failed, where it did.
    pub trouble: Option<String>,
}

/// A policy in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// The SHA-256 of its file.
    pub sha256: Option<String>,
}

/// How many calls were decided how.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Decisions {
    /// Forwarded as they were.
    pub allow: u64,
    /// Forwarded with other arguments.
    pub modify: u64,
    /// Refused.
    pub block: u64,
    /// Refused until a person agrees.
    pub step_up: u64,
    /// Refused until later.
    pub defer: u64,
}

/// The last contact with the enforcer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Contact {
    /// Its address.
    pub url: String,
    /// When it was last asked; `None` where nothing was to be asked yet.
    pub asked_at: Option<Timestamp>,
    /// Whether it answered.
    pub reachable: Option<bool>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Whether its certificate and the pins matched; `None` without TLS, or before any handshake.
    pub pin_ok: Option<bool>,
}

/// The end of a journal's chain, so that a journal that was cut can be noticed elsewhere.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Journal {
    /// The file.
    pub path: PathBuf,
    /// How many records it has.
    pub records: u64,
    /// The seal of the last one, hexadecimal.
    pub head: String,
}

/// This process's own place among the sidecars. Dropped, it is gone from there.
#[derive(Debug)]
pub struct Entry {
    /// Locked; the lock goes with it.
    _lock: File,
    lock_path: PathBuf,
    path: PathBuf,
}

/// Why a sidecar is not among those that are listed.
#[derive(Debug, thiserror::Error)]
pub enum Unlisted {
    /// The directory cannot be made, or others can change it.
    #[error("the list of sidecars has no safe place")]
    Place(#[from] Unsafe),
    /// Its file cannot be made, locked or written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its session's name could lead elsewhere.
    #[error("the session's id is no name for a file")]
    Name,
}

/// Every sidecar that runs, the oldest first. Removes the files of those that are gone.
pub fn list(home: &Path) -> Vec<Sidecar> {
    let directory = directory(home);
    let Ok(entries) = fs::read_dir(&directory) else {
        return Vec::new(); // none ever ran here, or they have no safe place
    };
    let mut sidecars: Vec<Sidecar> =
        entries.flatten().filter_map(|entry| living(&entry.path())).collect();
    sidecars.sort_by(|one, other| {
        (one.started_at, &one.session_id).cmp(&(other.started_at, &other.session_id))
    });
    sidecars
}

fn directory(home: &Path) -> PathBuf {
    super::directory(home).join("sidecars")
}

/// The sidecar of this lock file, if it lives and has said something.
fn living(lock: &Path) -> Option<Sidecar> {
    let extension = lock.extension().and_then(OsStr::to_str)?;
    let path = lock.with_extension("json");
    let is_settled = match extension {
        "lock" => true,
        "birth" => is_stillborn(lock),
        _ => false,
    };
    if !is_settled {
        return None;
    }
    // Opening anything but a file could wait for somebody to write into it.
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|facts| facts.is_file());
    if !is_file(lock) || path.exists() && !is_file(&path) {
        return None;
    }
    let file = File::open(lock).ok()?; // it may just have ended
    match file.try_lock_shared() {
        Ok(()) => {
            for left in [&path, &file::draft(&path), lock] {
                let _ = fs::remove_file(left); // another one may have been quicker
            }
            None
        }
        // Where nothing can be locked, whoever has a file counts as living.
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => read(&path),
    }
}

fn is_stillborn(birth: &Path) -> bool {
    let age = fs::metadata(birth).and_then(|facts| facts.modified()).map(|made| made.elapsed());
    matches!(age, Ok(Ok(age)) if age > STILLBORN)
}

fn read(path: &Path) -> Option<Sidecar> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

// === impl Entry ===

impl Entry {
    /// Takes this process's place among the sidecars. It is listed once it has
    /// [written](Self::write).
    ///
    /// # Errors
    ///
    /// [`Unlisted`].
    pub fn open(home: &Path, session_id: &str) -> Result<Self, Unlisted> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if session_id.is_empty() || !session_id.bytes().all(is_name) {
            return Err(Unlisted::Name);
        }
        super::open(home)?;
        let directory = directory(home);
        profile::open_inside(&directory)?;

        let birth = directory.join(session_id).with_extension("birth");
        let lock_path = birth.with_extension("lock");
        let locked = profile::new_file().write(true).open(&birth).and_then(|file| {
            // Nobody else looks at it under this name yet.
            file.try_lock()?;
            fs::rename(&birth, &lock_path)?;
            Ok(file)
        });
        match locked {
            Ok(lock) => Ok(Self { _lock: lock, path: birth.with_extension("json"), lock_path }),
            Err(source) => {
                let _ = fs::remove_file(&birth);
                Err(Unlisted::File { path: lock_path, source })
            }
        }
    }

    /// Says what this sidecar does, in place of what it said before.
    ///
    /// # Errors
    ///
    /// [`Unlisted`]: what it said before still stands.
    pub fn write(&self, sidecar: &Sidecar) -> Result<(), Unlisted> {
        let text = serde_json::to_vec(sidecar).map_err(io::Error::other);
        let written = text.and_then(|text| file::replace(&self.path, &text, |_| Ok(())));
        written.map_err(|source| Unlisted::File { path: self.path.clone(), source })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // What stays is swept up by the next one that lists.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.lock_path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(session_id: &str, started_at: &str) -> Sidecar {
        Sidecar {
            pid: 7,
            session_id: session_id.to_owned(),
            started_at: started_at.parse().unwrap(),
            updated_at: started_at.parse().unwrap(),
            version: "0.1.0".to_owned(),
            agent_id: "files".to_owned(),
            server: "npx".to_owned(),
            environment: "dev".to_owned(),
            enforcement_mode: "progressive".to_owned(),
            policies: vec![Policy { id: "p".to_owned(), version: 3, sha256: None }],
            decisions: Decisions { allow: 2, ..Decisions::default() },
            last_decision_at: None,
            enforcer: None,
            credentials: Vec::new(),
            journal: None,
            friction: None,
        }
    }

    fn names(home: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory(home)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn those_that_run_are_listed_the_oldest_first() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(list(home.path()), []);
        let (young, old) =
            (sidecar("a", "2026-11-21T10:00:01Z"), sidecar("b", "2026-11-21T10:00:00Z"));
        let entries = [&young, &old].map(|sidecar| {
            let entry = Entry::open(home.path(), &sidecar.session_id).unwrap();
            entry.write(sidecar).unwrap();
            entry
        });
        let silent = Entry::open(home.path(), "c").unwrap();
        assert_eq!(list(home.path()), [old, young]);
        drop((entries, silent));
        assert_eq!(list(home.path()), []);
        assert!(names(home.path()).is_empty(), "nothing is left");
    }

    #[test]
    fn what_the_dead_leave_behind_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let living = Entry::open(home.path(), "living").unwrap();
        living.write(&sidecar("living", "2026-11-21T10:00:00Z")).unwrap();
        for left in ["dead.lock", "dead.json", "dead.json.new", "young.birth", "note.txt"] {
            fs::write(directory(home.path()).join(left), "{}").unwrap();
        }
        assert_eq!(list(home.path()).len(), 1);
        assert_eq!(names(home.path()), ["living.json", "living.lock", "note.txt", "young.birth"]);

        let birth = File::options().write(true).open(directory(home.path()).join("young.birth"));
        let long_ago = std::time::UNIX_EPOCH;
        birth.unwrap().set_modified(long_ago).unwrap();
        list(home.path());
        assert_eq!(names(home.path()), ["living.json", "living.lock", "note.txt"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let entry = Entry::open(home.path(), "s").unwrap();
        for text in ["", "{", "{\"pid\": -1}", "null"] {
            fs::write(&entry.path, text).unwrap();
            assert_eq!(list(home.path()), [], "{text}");
        }
    }

    #[test]
    fn no_session_leads_out_of_the_directory() {
        let home = tempfile::tempdir().unwrap();
        for session in ["", "../x", "a/b", "a.b", "a\u{0}"] {
            assert!(matches!(Entry::open(home.path(), session), Err(Unlisted::Name)), "{session}");
        }
    }

    #[test]
    fn many_come_and_go_at_once() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let home = home.path();
                scope.spawn(move || {
                    for turn in 0..25 {
                        let session = format!("s-{thread}-{turn}");
                        let entry = Entry::open(home, &session).unwrap();
                        entry.write(&sidecar(&session, "2026-11-21T10:00:00Z")).unwrap();
                        let listed = list(home);
                        assert!(listed.iter().any(|other| other.session_id == session));
                    }
                });
            }
        });
        assert!(names(home.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn its_files_are_for_its_user_alone() {
        use std::os::unix::fs::MetadataExt as _;

        let home = tempfile::tempdir().unwrap();
        let entry = Entry::open(home.path(), "s").unwrap();
        entry.write(&sidecar("s", "2026-11-21T10:00:00Z")).unwrap();
        for path in [&entry.path, &entry.lock_path] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(directory(home.path())).unwrap().mode() & 0o777, 0o700);
    }
}
