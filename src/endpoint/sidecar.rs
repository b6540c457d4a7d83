//! The sidecars that run on this machine: one file each in `~/.thoth/run/sidecars`, which its
//! sidecar holds locked as long as it lives. (to be written)

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::credential;

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

/// Every sidecar that runs, the oldest first. Removes the files of those that are gone.
pub fn list(home: &Path) -> Vec<Sidecar> {
    let _ = home; // (to be written)
    Vec::new()
}
