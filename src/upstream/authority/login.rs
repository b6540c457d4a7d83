//! The tokens of a `thoth auth login`, as one of the sources of an authority.
//!
//! Not built yet: it refuses, and says what it stands for.

use std::path::PathBuf;

use tokio::time::Instant;

use super::Refused;
use crate::credential::{Snapshot, Standing, State};

/// A login, by its name and thoth's own directory. Clones share what was loaded.
#[derive(Clone, Debug)]
pub(super) struct Login {
    name: String,
    #[expect(dead_code, reason = "where its tokens will be read")]
    home: PathBuf,
}

impl Login {
    pub(super) fn new(name: String, home: PathBuf) -> Self {
        Self { name, home }
    }

    /// The access token as it is now, refreshed where that is due.
    ///
    /// Cancel safe.
    #[expect(clippy::unused_async, reason = "reading and refreshing tokens will wait")]
    pub(super) async fn current(&self) -> Result<Snapshot, Refused> {
        Err(Refused::NotLoggedIn(self.name.clone()))
    }

    /// Told that the server rejected the token of this generation: a newer one, if there is one.
    ///
    /// Cancel safe.
    #[expect(clippy::unused_async, reason = "refreshing tokens will wait")]
    pub(super) async fn after_rejection(
        &self,
        _generation: u64,
        _deadline: Instant,
    ) -> Option<Snapshot> {
        None
    }

    /// Told that the server accepted the token of this generation.
    #[expect(clippy::unused_self, reason = "what was accepted will be remembered")]
    pub(super) fn accepted(&self, _generation: u64) {}

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            name: "upstream_login".to_owned(),
            source: "login".to_owned(),
            fingerprint: None,
            key_id: Some(self.name.clone()),
            generation: 0,
            loaded_at: None,
            expires_at: None,
            state: State::Missing,
        }
    }
}
