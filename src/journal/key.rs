//! How arguments are written down: in full, or as a hash that can be checked but not guessed.
//!
//! Arguments are often short, such as a path or a number, so a plain hash, or one salted with
//! what stands in the same file, gives them away to whoever tries all of them. Hence an HMAC,
//! with a key that stays in the profile (`journal.key`, 0600, made at the first journal) and a
//! salt for each session, so that equal arguments show as equal within one session only:
//!
//! ```text
//! arguments_hash = HMAC-SHA-256(key, salt ‖ the arguments' text as sent)
//! ```
//!
//! Whoever holds key and journal can check a guess, which is what the owner wants, and so can
//! whoever steals both. Without the key file no guess can be checked any more.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::profile::{self, Unsafe};
use crate::seal::{self, Digest, Mac};

/// The key's file, in the profile: 64 hexadecimal digits and a newline.
const NAME: &str = "journal.key";
/// A key's bytes.
const KEY: usize = 32;

/// How the arguments of one session are written down.
#[derive(Debug)]
pub(super) enum Arguments {
    /// As they are.
    Full,
    /// As a keyed, salted hash.
    Hashed(Box<Hashed>),
}

/// Hashes the arguments of one session.
#[derive(Debug)]
pub(super) struct Hashed {
    mac: Mac,
    salt: [u8; KEY],
    key: Digest,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// Its file cannot be made, read or relied on.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// Its file holds something else.
    #[error("{} does not hold 64 hexadecimal digits; move it away", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Hashed {
    /// Takes the profile's key, made if there is none, and a new salt.
    pub(super) fn new(home: &Path) -> Result<Self, NoKey> {
        profile::put(home, NAME, (hex::encode(random()) + "\n").as_bytes())?;
        let path = home.join(NAME);
        let text = profile::read_secret(&path, 2 * KEY + 2)?;
        let mut key = [0; KEY];
        if hex::decode_to_slice(text.trim_ascii_end(), &mut key).is_err() {
            return Err(NoKey::Malformed { path });
        }
        Ok(Self::with(&key, random()))
    }

    fn with(key: &[u8; KEY], salt: [u8; KEY]) -> Self {
        Self { mac: Mac::new(key).with_prefix(&salt), salt, key: seal::digest(key) }
    }

    pub(super) fn of(&self, arguments: &[u8]) -> Digest {
        self.mac.of(arguments)
    }

    /// The salt, in hexadecimal.
    pub(super) fn salt(&self) -> String {
        hex::encode(self.salt)
    }

    /// Which key it is: the start of its SHA-256, too little to be of use for anything else.
    pub(super) fn key_id(&self) -> String {
        let mut id = self.key.to_string();
        id.truncate(16);
        id
    }
}

/// 244 random bits from the operating system, in two random UUIDs of 122 each.
fn random() -> [u8; KEY] {
    let mut bytes = [0; KEY];
    let (front, back) = bytes.split_at_mut(KEY / 2);
    front.copy_from_slice(Uuid::new_v4().as_bytes());
    back.copy_from_slice(Uuid::new_v4().as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Computed with Python: `hmac.new(bytes(32), b"\1" * 32 + b"{}", "sha256").hexdigest()`.
    #[test]
    fn a_guess_can_be_checked_with_the_key() {
        let hashed = Hashed::with(&[0; KEY], [1; KEY]);
        assert_eq!(
            hashed.of(b"{}").to_string(),
            "762c5fd3cbd60f30bd384246013f24ea33a826bf9f1f9d75cd40f6bc1587bea9"
        );
        assert_eq!(hashed.key_id(), "66687aadf862bd77");
    }

    #[test]
    fn one_profile_has_one_key_and_each_session_its_salt() {
        let home = tempfile::tempdir().unwrap();
        let (a, b) = (Hashed::new(home.path()), Hashed::new(home.path()));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.key_id(), b.key_id());
        assert_ne!(a.salt(), b.salt());
        assert_ne!(a.of(b"{}"), b.of(b"{}"));
        assert_eq!(fs::read(home.path().join(NAME)).unwrap().len(), 65);
    }

    #[test]
    fn what_is_no_key_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        for text in ["", "\n", "abc", &"g".repeat(64), &"0".repeat(128)] {
            let _ = fs::remove_file(home.path().join(NAME));
            profile::put(home.path(), NAME, text.as_bytes()).unwrap();
            assert!(Hashed::new(home.path()).is_err(), "{text:?}");
        }
    }
}
