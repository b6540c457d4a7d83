//! What a client of the listener must know: made anew for each launch, or given by the launcher.
//!
//! # Invariants
//!
//! - It does not print, and is compared in constant time.
//! - What tells it ([`Secret::text`]) is for handing it over, and for nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The fewest characters of a secret that was given: 32 bytes, as base64url spells them.
const SHORTEST: usize = 43;

/// The most.
const LONGEST: usize = 128;

/// The secret of one launch.
#[derive(Clone)]
pub struct Secret(String);

/// A text that cannot be the secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "is no secret: give {SHORTEST} to {LONGEST} characters of A-Z a-z 0-9 - _, 32 random bytes as base64url"
)]
pub struct NotASecret;

// === impl Secret ===

impl Secret {
    /// A new one: 32 random bytes.
    pub fn random() -> Self {
        Self(token())
    }

    /// Takes one that was given.
    ///
    /// # Errors
    ///
    /// [`NotASecret`]; never the text.
    pub fn parse(text: &str) -> Result<Self, NotASecret> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(is_plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(NotASecret) }
    }

    /// The text, for whoever launched thoth.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether this is it. Takes as long for any text of the right length.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(text).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// 32 bytes that nobody can guess, as base64url: 43 characters.
pub(super) fn token() -> String {
    // A version 4 UUID holds 122 random bits of the system's: three of them are more than 256.
    let mut hash = Sha256::new();
    for _ in 0..3 {
        hash.update(Uuid::new_v4().as_bytes());
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_launch_has_its_own() {
        let (one, other) = (Secret::random(), Secret::random());
        assert_eq!(one.text().len(), SHORTEST);
        assert!(Secret::parse(one.text()).is_ok());
        assert!(one.is(one.text().as_bytes()));
        assert!(
            !one.is(other.text().as_bytes())
                && !one.is(b"")
                && !one.is(&one.text().as_bytes()[1..])
        );
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::random();
        assert!(!format!("{secret:?}").contains(secret.text()));
    }

    #[test]
    fn what_could_be_guessed_or_cannot_be_in_a_path_is_no_secret() {
        let long = "a".repeat(LONGEST + 1);
        let strange = format!("{}/", "a".repeat(SHORTEST));
        for text in ["", "hunter2", &long, &strange, &"ü".repeat(SHORTEST)] {
            assert_eq!(Secret::parse(text).unwrap_err(), NotASecret, "{text}");
        }
    }
}
