//! Secrets that do not print.
//!
//! # Invariants
//!
//! - `expose_secret` is called in this file only; the ways out are named for their use.
//! - `Debug` shows no part of a secret, and none is `Display`, `Serialize` or `PartialEq`.

use secrecy::{ExposeSecret, SecretString};

/// What thoth authenticates with: the enforcer's key, the GovAPI's token or key.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

/// A key that cannot be sent in an HTTP header, or none at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is empty or holds a character that cannot be sent in an HTTP header")]
pub struct NotAKey;

impl ApiKey {
    /// Takes a key as it was given; blanks and line ends around it are dropped.
    ///
    /// # Errors
    ///
    /// [`NotAKey`] where nothing is left, or something that is not visible ASCII.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAKey);
        }
        Ok(Self(text.into()))
    }

    /// The value of an `Authorization` header, `Bearer` scheme, marked sensitive.
    pub fn authorization(&self) -> hyper::header::HeaderValue {
        self.header(&format!("Bearer {}", self.0.expose_secret()))
    }

    /// The value of an `x-api-key` header, marked sensitive.
    pub fn api_key(&self) -> hyper::header::HeaderValue {
        self.header(self.0.expose_secret())
    }

    /// Its SHA-256: tells one key from another.
    pub fn sha256(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};

        Sha256::digest(self.0.expose_secret()).into()
    }

    /// How often this key stands in a text. A key of less than 8 characters is not looked for: it
    /// would be found by accident.
    pub fn occurrences(&self, text: &str) -> usize {
        let key = self.0.expose_secret();
        if key.len() < 8 { 0 } else { text.matches(key).count() }
    }

    /// The key as the value of a variable in a client's configuration: for `--embed-api-key`, and
    /// for nothing else.
    pub fn embedded(&self) -> String {
        self.0.expose_secret().to_owned()
    }

    #[expect(clippy::unused_self, reason = "reads as what it is: one of this key's headers")]
    fn header(&self, text: &str) -> hyper::header::HeaderValue {
        let mut value = hyper::header::HeaderValue::try_from(text)
            .unwrap_or_else(|_| unreachable!("`parse` admits visible ASCII only"));
        value.set_sensitive(true);
        value
    }
}

/// Tells one secret from another without showing it: the first 8 hexadecimal digits of its
/// SHA-256, after `sha256:`.
pub fn fingerprint(secret: &str) -> String {
    use sha2::{Digest, Sha256};

    fingerprint_of(&Sha256::digest(secret.trim()).into())
}

/// The same, of a SHA-256 that was computed already.
pub fn fingerprint_of(sha256: &[u8; 32]) -> String {
    format!("sha256:{}", hex::encode(&sha256[..4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_show_itself() {
        let key = ApiKey::parse(" hunter2\n").unwrap();
        assert_eq!(key.authorization(), "Bearer hunter2");
        assert_eq!(key.api_key(), "hunter2");
        assert!(!format!("{key:?} {:?}", key.authorization()).contains("hunter2"));
    }

    #[test]
    fn a_fingerprint_is_the_start_of_the_hash() {
        assert_eq!(fingerprint(" abc\n"), "sha256:ba7816bf");
        assert_eq!(fingerprint_of(&ApiKey::parse("abc").unwrap().sha256()), "sha256:ba7816bf");
    }

    #[test]
    fn what_cannot_be_a_header_is_no_key() {
        for text in ["", " \n", "a b", "a\nb", "schlüssel", "a\u{7f}"] {
            assert_eq!(ApiKey::parse(text).unwrap_err(), NotAKey, "{text:?}");
        }
    }
}
