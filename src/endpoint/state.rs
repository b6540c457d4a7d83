//! What this machine remembers of the GovAPI: `~/.thoth/run/endpoint.json`. (to be written)

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
}

/// What is remembered; nothing, where there is no file or it cannot be read.
pub fn read(home: &Path) -> State {
    let _ = home; // (to be written)
    State::default()
}
