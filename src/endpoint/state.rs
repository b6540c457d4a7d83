//! What this machine remembers of the GovAPI: `~/.thoth/run/endpoint.json`.
//!
//! Written by the holder of [`super::lock`] alone, read by every sidecar and by `thoth health`. What
//! the GovAPI said to do holds until it says otherwise, also while it is away and after a restart;
//! that is what this file is for. The user whose machine it is can remove it: see
//! `docs/govapi.md`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file;
use crate::profile::{self, Unsafe};

/// The longest file that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// What was last heard from the GovAPI, and when.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct State {
    /// What this machine is called there.
    pub endpoint_id: Option<String>,
    /// Whether it is registered; `None` where that was never tried.
    pub registration_ok: Option<bool>,
    /// When it last registered.
    pub registered_at: Option<Timestamp>,
    /// When it last checked in with success.
    pub last_check_in: Option<Timestamp>,
    /// When it last tried.
    pub last_attempt: Option<Timestamp>,
    /// Why the last attempt failed: a sentence without a secret.
    pub last_error: Option<String>,
    /// What the GovAPI said to do.
    pub directives: Directives,
}

/// What the GovAPI says to do. Each holds until the GovAPI says otherwise.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Directives {
    /// Every call is blocked.
    pub quarantined: bool,
    /// Why, in its words.
    pub quarantine_reason: Option<String>,
    /// Keys of these names are not used.
    pub revoked_key_ids: Vec<String>,
    /// An older thoth is unhealthy.
    pub minimum_version: Option<String>,
    /// How often this machine is to check in, in seconds, in place of its own setting.
    pub heartbeat_interval_seconds: Option<u32>,
}

/// Why what is remembered cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or the file is open to others, or cannot be read.
    #[error("what the GovAPI said has no safe place")]
    Place(#[from] Unsafe),
    /// The file holds something else.
    #[error("{} cannot be understood; remove it, and the next check-in writes it anew", path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is remembered; nothing, where there is no file or it cannot be read.
pub fn read(home: &Path) -> State {
    load(home).ok().flatten().unwrap_or_default()
}

/// What is remembered; `None` where there is no file.
///
/// # Errors
///
/// [`StateError::Place`], [`StateError::Garbled`]: what the GovAPI said is not known.
pub fn load(home: &Path) -> Result<Option<State>, StateError> {
    let path = path(home);
    let text = match profile::read_secret(&path, LONGEST) {
        Ok(text) => text,
        Err(Unsafe::Unseen { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let state = serde_json::from_slice(&text);
    state.map(Some).map_err(|source| StateError::Garbled { path, source })
}

/// Remembers this in place of what was remembered. For the holder of the lock alone.
///
/// # Errors
///
/// [`StateError`]: what was remembered still stands.
pub fn write(home: &Path, state: &State) -> Result<(), StateError> {
    super::open(home)?;
    let path = path(home);
    let text = serde_json::to_vec_pretty(state).map_err(io::Error::other);
    // A quarantine must outlive a power failure.
    let written = text.and_then(|text| file::replace(&path, &text, File::sync_all));
    written.map_err(|source| StateError::Unwritten { path, source })
}

pub(super) fn path(home: &Path) -> PathBuf {
    super::directory(home).join("endpoint.json")
}

// === impl Directives ===

impl Directives {
    /// Whether this version of thoth is older than the one the GovAPI demands. What is no version
    /// demands nothing.
    pub fn is_outdated(&self, version: &str) -> bool {
        let demanded = self.minimum_version.as_deref().and_then(numbers);
        demanded.zip(numbers(version)).is_some_and(|(demanded, own)| own < demanded)
    }
}

/// `1.2.3`, with or without a `v`; what follows a hyphen or a plus is not looked at.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let version = version.trim().trim_start_matches(['v', 'V']);
    let core = version.split(['-', '+']).next()?;
    let mut numbers = [0; 3];
    let mut parts = core.split('.');
    for (number, part) in numbers.iter_mut().zip(parts.by_ref()) {
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(load(home.path()).unwrap(), None);
        let state = State {
            endpoint_id: Some("mac-7".to_owned()),
            registration_ok: Some(true),
            last_check_in: Some("2026-11-21T10:00:00Z".parse().unwrap()),
            directives: Directives { quarantined: true, ..Directives::default() },
            ..State::default()
        };
        for state in [State::default(), state] {
            write(home.path(), &state).unwrap();
            assert_eq!(load(home.path()).unwrap(), Some(state));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_told_and_counts_as_nothing() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &State::default()).unwrap();
        for text in ["", "{", "7", r#"{"directives": {"quarantined": 7}}"#] {
            std::fs::write(path(home.path()), text).unwrap();
            assert!(matches!(load(home.path()), Err(StateError::Garbled { .. })), "{text}");
            assert_eq!(read(home.path()), State::default());
        }
        std::fs::write(path(home.path()), r#"{"of a later version": 1}"#).unwrap();
        assert_eq!(load(home.path()).unwrap(), Some(State::default()));
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;

        let home = tempfile::tempdir().unwrap();
        write(home.path(), &State { registration_ok: Some(true), ..State::default() }).unwrap();
        let mode = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(path(home.path()), mode).unwrap();
        assert!(matches!(load(home.path()), Err(StateError::Place(_))));
    }

    #[test]
    fn which_version_is_too_old() {
        for (own, demanded, outdated) in [
            ("0.1.0", Some("0.1.0"), false),
            ("0.1.0", Some("0.1.1"), true),
            ("0.1.0", Some("v0.2"), true),
            ("0.10.0", Some("0.9.9"), false),
            ("1.0.0", Some("0.99.99"), false),
            ("0.1.0-rc1", Some("0.1.0"), false),
            ("0.1.0", Some("1"), true),
            ("0.1.0", Some("latest"), false),
            ("0.1.0", Some("1.2.3.4"), false),
            ("0.1.0", Some(""), false),
            ("0.1.0", None, false),
        ] {
            let minimum_version = demanded.map(str::to_owned);
            let directives = Directives { minimum_version, ..Directives::default() };
            assert_eq!(directives.is_outdated(own), outdated, "{own} {demanded:?}");
        }
    }
}
