//! Whether the GovAPI has quarantined this machine, as one flag that the gate asks and the sidecar's
//! task keeps up to date.
//!
//! # Invariants
//!
//! - Asking costs one atomic load while there is no quarantine, and touches no file.
//! - A quarantine that is known holds until the file says otherwise: a file that has vanished lifts
//!   it, one that cannot be read does not.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::state::{self, Directives, State, StateError};

/// The flag. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Quarantine(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_on: AtomicBool,
    reason: Mutex<Option<String>>,
}

/// Looks at what the holder of the lock has written, whenever that has changed.
#[derive(Debug)]
pub struct Watch {
    home: PathBuf,
    seen: Option<(SystemTime, u64)>,
}

// === impl Quarantine ===

impl Quarantine {
    /// Whether every call is to be blocked.
    pub fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Acquire)
    }

    /// Why, in the GovAPI's words.
    pub fn reason(&self) -> Option<String> {
        self.0.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does as it is told. Counts for every call that is decided from now on.
    pub fn heed(&self, directives: &Directives) {
        let reason = directives.quarantine_reason.clone();
        *self.0.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        self.0.is_on.store(directives.quarantined, Ordering::Release);
    }
}

// === impl Watch ===

impl Watch {
    /// Watches the file of this profile, which was not looked at yet.
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), seen: None }
    }

    /// What is remembered, where that has changed since the last look. Without a file, that is
    /// nothing. One look is one `stat`.
    ///
    /// # Errors
    ///
    /// [`StateError`]: told once for each change; whatever was known before still holds.
    pub fn look(&mut self) -> Result<Option<State>, StateError> {
        let path = state::path(&self.home);
        let now = std::fs::metadata(path)
            .ok()
            .map(|facts| (facts.modified().unwrap_or(SystemTime::UNIX_EPOCH), identity(&facts)));
        if now == self.seen {
            return Ok(None);
        }
        self.seen = now;
        state::load(&self.home).map(|state| Some(state.unwrap_or_default()))
    }
}

/// Tells a file that took the place of another within one tick of the file system's clock.
#[cfg(unix)]
fn identity(facts: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(facts)
}

#[cfg(not(unix))]
fn identity(facts: &std::fs::Metadata) -> u64 {
    facts.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(quarantined: bool) -> State {
        let reason = quarantined.then(|| "lost".to_owned());
        let directives =
            Directives { quarantined, quarantine_reason: reason, ..Directives::default() };
        State { directives, ..State::default() }
    }

    #[test]
    fn clones_share_the_flag() {
        let quarantine = Quarantine::default();
        let other = quarantine.clone();
        assert!(!other.is_on());
        quarantine.heed(&state(true).directives);
        assert!(other.is_on());
        assert_eq!(other.reason().as_deref(), Some("lost"));
        quarantine.heed(&state(false).directives);
        assert!(!other.is_on());
        assert_eq!(other.reason(), None);
    }

    #[test]
    fn a_change_is_seen_once() {
        let home = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(home.path());
        assert_eq!(watch.look().unwrap(), None, "there never was a file");
        for quarantined in [true, false, true] {
            state::write(home.path(), &state(quarantined)).unwrap();
            assert_eq!(watch.look().unwrap(), Some(state(quarantined)));
            assert_eq!(watch.look().unwrap(), None);
        }
        std::fs::write(state::path(home.path()), "{").unwrap();
        assert!(watch.look().is_err());
        assert_eq!(watch.look().unwrap(), None);
        std::fs::remove_file(state::path(home.path())).unwrap();
        assert_eq!(watch.look().unwrap(), Some(State::default()), "and so it is lifted");
    }
}
