//! A file of keys to begin with: for deployments, where nobody is there to make the first.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::{Adopted, NewKey, adopt, hash_of};
use crate::profile::{self, Unsafe};
use crate::secret::ApiKey;
use crate::server::Tenant;
use crate::server::caller::{Permissions, Scope};
use crate::server::store::{Store, StoreError};

/// The longest file that is read, in bytes.
const LONGEST: usize = 1 << 20;
/// The shortest key that is taken, in characters. Keys are hashed without salt or delay, so one
/// that a person made up could be guessed from its hash.
const SHORTEST_KEY: usize = 24;

/// The keys of a file, ready to be put in place.
#[derive(Debug)]
pub struct KeyFile(Vec<Entry>);

/// Why a file of keys cannot be used. Names no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read, or others could.
    #[error("the file of keys cannot be used")]
    Unsafe(#[source] Unsafe),
    /// It is neither JSON nor TOML, or does not say what it should.
    #[error(
        "{} is no file of keys; it is a JSON array, or TOML with [[key]], of \
         {{tenant, name, key or key_sha256, permissions}}", .0.display()
    )]
    Unreadable(PathBuf),
    /// One of its keys cannot be used.
    #[error("key {number} in {} {what}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The store failed.
    #[error("the keys cannot be put in place")]
    Store(#[from] StoreError),
}

#[derive(Debug)]
struct Entry {
    tenant: Tenant,
    hash: [u8; 32],
    new: NewKey,
}

#[derive(Deserialize)]
struct Table {
    key: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    tenant: String,
    #[serde(default)]
    name: String,
    key: Option<String>,
    key_sha256: Option<String>,
    permissions: Vec<String>,
    scope_level: Option<String>,
    scope_target_id: Option<String>,
    expires_at: Option<Timestamp>,
}

// === impl KeyFile ===

impl KeyFile {
    /// Reads a file that nobody else can read.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let bytes = profile::read_secret(path, LONGEST).map_err(KeyFileError::Unsafe)?;
        // What the readers say may hold what they read.
        let unreadable = || KeyFileError::Unreadable(path.to_owned());
        let text = std::str::from_utf8(&bytes).map_err(|_| unreadable())?;
        let written: Vec<Written> = if text.trim_start().starts_with('[') && !is_toml(text) {
            serde_json::from_str(text).map_err(|_| unreadable())?
        } else {
            toml::from_str::<Table>(text).map_err(|_| unreadable())?.key
        };
        let entry = |(index, written): (usize, Written)| {
            let number = index + 1;
            let wrong = |what| KeyFileError::Entry { path: path.to_owned(), number, what };
            written.read().map_err(wrong)
        };
        written.into_iter().enumerate().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Puts the keys in place. Those that are there get the file's properties; those that were
    /// revoked stay revoked, and are told in the log.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Store`]
    pub async fn adopt(&self, store: &Store, now: Timestamp) -> Result<(), KeyFileError> {
        for (index, Entry { tenant, hash, new }) in self.0.iter().enumerate() {
            let number = index + 1;
            match adopt(store, tenant, hash, new, now).await? {
                Adopted::Good => {}
                Adopted::Revoked => {
                    tracing::warn!(number, "a key in the file of keys was revoked and stays so");
                }
                Adopted::Foreign => {
                    tracing::warn!(number, "a key in the file of keys is another tenant's already");
                }
            }
        }
        Ok(())
    }
}

/// `[[key]]`, which no JSON begins with.
fn is_toml(text: &str) -> bool {
    text.trim_start().starts_with("[[key]]")
}

// === impl Written ===

impl Written {
    fn read(self) -> Result<Entry, &'static str> {
        let hash = match (&self.key, &self.key_sha256) {
            (Some(key), None) => {
                ApiKey::parse(key).map_err(|_| "cannot be sent in a header")?;
                if key.trim().len() < SHORTEST_KEY {
                    return Err("is too short: 24 characters at least, and random ones");
                }
                hash_of(key.trim())
            }
            (None, Some(digits)) => {
                let mut hash = [0; 32];
                hex::decode_to_slice(digits.trim(), &mut hash)
                    .map_err(|_| "has a key_sha256 that is not 64 hexadecimal digits")?;
                hash
            }
            _ => return Err("needs one of key and key_sha256"),
        };
        let level = self.scope_level.as_deref().unwrap_or("organization");
        let target = self.scope_target_id.as_deref().unwrap_or_default();
        let permissions = Permissions::read(&self.permissions.join(" "))
            .filter(|permissions| *permissions != Permissions::default())
            .ok_or("has permissions that are not known: read, write, execute, admin")?;
        let new = NewKey {
            name: self.name,
            permissions,
            scope: Scope::read(level, target).ok_or("has a scope that is not known")?,
            expires_at: self.expires_at,
        };
        let tenant = Tenant::parse(&self.tenant)
            .map_err(|_| "is of a tenant whose name is not lower-case letters, digits, hyphens")?;
        Ok(Entry { tenant, hash, new })
    }
}
