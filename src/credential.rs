//! A credential that may change while thoth runs: the API key, the GovAPI's token and key.
//!
//! A file is read at every use, so that a rotated key counts with the next question; what was
//! good last stays good while a file is missing or half written. (to be written)

mod file;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::secret::ApiKey;

/// Where a credential comes from. Of the settings; holds no secret but a given value.
#[derive(Clone, Debug)]
pub enum Source {
    /// It was given as it is, in a flag or a variable: it cannot change.
    Value {
        /// The secret.
        secret: ApiKey,
        /// The flag or variable.
        from: &'static str,
        /// Its name at the issuer, where that was given (`THOTH_API_KEY_ID`).
        key_id: Option<String>,
    },
    /// A file, raw or JSON, read at every use.
    File(PathBuf),
    /// A program that prints it, without a shell.
    Command(Vec<String>),
}

/// One credential. Clones share what was loaded.
#[derive(Clone, Debug)]
pub struct Credential(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    source: Source,
    clock: fn() -> Timestamp,
}

/// The secret as it is at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The secret.
    pub secret: ApiKey,
    /// Counts up with every change.
    pub generation: u64,
    /// Its name at the issuer, where that is known.
    pub key_id: Option<String>,
}

/// Why there is no secret to send.
#[derive(Debug, thiserror::Error)]
#[error("(to be written)")]
pub struct NoCredential;

/// How a credential stands, for people and machines. Holds no secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// Which credential: `api_key`, `govapi_bearer_token`, `govapi_api_key`.
    pub name: String,
    /// Where it comes from: a variable's or flag's name, `file`, `command`.
    pub source: String,
    /// The start of its SHA-256.
    pub fingerprint: Option<String>,
    /// Its name at the issuer.
    pub key_id: Option<String>,
    /// Counts up with every change.
    pub generation: u64,
    /// When it was read.
    pub loaded_at: Option<Timestamp>,
    /// When it ends, where its source says so.
    pub expires_at: Option<Timestamp>,
    /// How it is.
    pub state: State,
}

/// How a credential is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was read, and nobody has rejected it.
    Ok,
    /// Its source cannot be read now; the last secret is used.
    Stale,
    /// The other side has rejected it, and there is no newer one.
    Rejected,
    /// Its name is on a list of revoked ones: it is not used.
    Revoked,
    /// There was never one.
    Missing,
}

// === impl Credential ===

impl Credential {
    /// A credential by its name in reports: `api_key`.
    pub fn new(name: &'static str, source: Source, clock: fn() -> Timestamp) -> Self {
        Self(Arc::new(Inner { name, source, clock }))
    }

    /// The secret as it is now.
    ///
    /// # Errors
    ///
    /// [`NoCredential`], where there never was one, or it is revoked.
    #[expect(clippy::unused_async, reason = "(to be written)")]
    pub async fn current(&self) -> Result<Snapshot, NoCredential> {
        match &self.0.source {
            Source::Value { secret, key_id, .. } => {
                Ok(Snapshot { secret: secret.clone(), generation: 1, key_id: key_id.clone() })
            }
            Source::File(_) | Source::Command(_) => Err(NoCredential),
        }
    }

    /// Told that the other side rejected the secret of this generation: a newer one, waited for
    /// until the grace (2 s) or the deadline is over, whichever comes first. `None` where there is
    /// none, so that trying again would not help.
    #[expect(clippy::unused_async, reason = "(to be written)")]
    pub async fn after_rejection(&self, generation: u64, deadline: Instant) -> Option<Snapshot> {
        let _ = (generation, deadline);
        None
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        Standing {
            name: self.0.name.to_owned(),
            source: String::new(),
            fingerprint: None,
            key_id: None,
            generation: 0,
            loaded_at: Some((self.0.clock)()),
            expires_at: None,
            state: State::Missing,
        }
    }
}

// === impl State ===

impl State {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
            Self::Missing => "missing",
        }
    }
}
