//! The tokens of a `thoth auth login`, as one of the sources of an authority.
//!
//! What a login does is in [`crate::oauth`]; a build without the feature `login` has none, and says so.

use tokio::time::Instant;

use super::Refused;
use crate::config::settings::{self, Tls};
use crate::credential::{Snapshot, Standing};

/// A login, by its name. Clones share what was loaded.
#[derive(Clone, Debug)]
pub(super) struct Login {
    name: String,
    #[cfg(feature = "login")]
    live: Result<crate::oauth::Login, crate::oauth::LoginError>,
}

#[cfg(feature = "login")]
impl Login {
    pub(super) fn new(name: &str, settings: &settings::Upstream, tls: &Tls) -> Self {
        let (url, clock) = (settings.url.to_string(), crate::machine::clock::now);
        let live =
            crate::oauth::Login::open(&settings.home, name, &url, tls, settings.proxied, clock);
        Self { name: name.to_owned(), live }
    }

    /// The access token as it is now, refreshed where that is due.
    ///
    /// Cancel safe.
    pub(super) async fn current(&self) -> Result<Snapshot, Refused> {
        let refused = |error: &crate::oauth::LoginError| Refused::Login(error.to_string());
        self.live.as_ref().map_err(refused)?.current().await.map_err(|error| refused(&error))
    }

    /// Told that the server rejected the token of this generation: a newer one, if there is one.
    ///
    /// Cancel safe.
    pub(super) async fn after_rejection(
        &self,
        generation: u64,
        deadline: Instant,
    ) -> Option<Snapshot> {
        self.live.as_ref().ok()?.after_rejection(generation, deadline).await
    }

    /// Told that the server accepted the token of this generation.
    pub(super) fn accepted(&self, generation: u64) {
        if let Ok(live) = &self.live {
            live.accepted(generation);
        }
    }

    /// Waits until no token is being refreshed.
    pub(super) async fn settle(&self) {
        if let Ok(live) = &self.live {
            live.settle().await;
        }
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        self.live.as_ref().map_or_else(|_| self.missing(), crate::oauth::Login::standing)
    }
}

#[cfg(not(feature = "login"))]
impl Login {
    pub(super) fn new(name: &str, _settings: &settings::Upstream, _tls: &Tls) -> Self {
        Self { name: name.to_owned() }
    }

    #[expect(clippy::unused_async, reason = "other builds wait here")]
    pub(super) async fn current(&self) -> Result<Snapshot, Refused> {
        let name = &self.name;
        Err(Refused::Login(format!(
            "the login {name} is not used: this build of thoth knows no logins"
        )))
    }

    #[expect(clippy::unused_async, reason = "other builds wait here")]
    pub(super) async fn after_rejection(
        &self,
        _generation: u64,
        _deadline: Instant,
    ) -> Option<Snapshot> {
        None
    }

    #[expect(clippy::unused_self, reason = "other builds remember it")]
    pub(super) fn accepted(&self, _generation: u64) {}

    #[expect(clippy::unused_async, clippy::unused_self, reason = "other builds wait here")]
    pub(super) async fn settle(&self) {}

    pub(super) fn standing(&self) -> Standing {
        self.missing()
    }
}

impl Login {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How a login stands that there is none of.
    fn missing(&self) -> Standing {
        Standing {
            name: "upstream_login".to_owned(),
            source: "login".to_owned(),
            fingerprint: None,
            key_id: Some(self.name.clone()),
            generation: 0,
            loaded_at: None,
            expires_at: None,
            state: crate::credential::State::Missing,
        }
    }
}
