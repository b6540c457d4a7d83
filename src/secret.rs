//! Secrets that do not print.
//!
//! # Invariants
//!
//! - `expose_secret` is called in this file only; the ways out are named for their use.
//! - `Debug` shows no part of a secret, and none is `Display`, `Serialize` or `PartialEq`.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// What thoth authenticates with: the enforcer's key, the GovAPI's token or key.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

/// A key that cannot be sent in an HTTP header, or none at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is empty or holds a character that cannot be sent in an HTTP header")]
pub struct NotAKey;

/// Several headers whose values are secret: what some servers want in place of a token. Each value
/// is marked sensitive, and no name stands twice.
#[derive(Clone, Debug, Default)]
pub struct SecretHeaders(HeaderMap);

/// A header that cannot be sent: its name is none, it stands twice, or its value is empty or holds
/// anything but visible ASCII and blanks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("has a header that cannot be sent, or that stands twice")]
pub struct NotAHeader;

// === impl ApiKey ===

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
    pub fn authorization(&self) -> HeaderValue {
        self.header(&format!("Bearer {}", self.0.expose_secret()))
    }

    /// The value of an `x-api-key` header, marked sensitive.
    pub fn api_key(&self) -> HeaderValue {
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
    fn header(&self, text: &str) -> HeaderValue {
        let mut value = HeaderValue::try_from(text)
            .unwrap_or_else(|_| unreachable!("`parse` admits visible ASCII only"));
        value.set_sensitive(true);
        value
    }
}

// === impl SecretHeaders ===

impl SecretHeaders {
    /// Takes one more header as it was given; blanks around name and value are dropped.
    ///
    /// # Errors
    ///
    /// [`NotAHeader`], which holds nothing of it.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), NotAHeader> {
        let name: HeaderName = name.trim().parse().map_err(|_| NotAHeader)?;
        let mut value = header_value(value)?;
        value.set_sensitive(true);
        if self.0.insert(name, value).is_some() {
            return Err(NotAHeader);
        }
        Ok(())
    }

    /// Them, to be sent.
    pub fn headers(&self) -> &HeaderMap {
        &self.0
    }

    /// The SHA-256 of them all, in whatever order they were given: tells one set from another.
    pub fn sha256(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};

        let mut lines: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value)).collect();
        lines.sort_unstable_by_key(|(name, _)| *name);
        let mut hash = Sha256::new();
        for (name, value) in lines {
            hash.update(name);
            hash.update(b":");
            hash.update(value);
            hash.update(b"\n"); // in no name and no value
        }
        hash.finalize().into()
    }
}

/// A header's value as it was given, without blanks around it.
///
/// # Errors
///
/// [`NotAHeader`] where nothing is left, or something that is neither visible ASCII nor a blank.
pub fn header_value(text: &str) -> Result<HeaderValue, NotAHeader> {
    let text = text.trim();
    let is_sendable = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    if text.is_empty() || !text.bytes().all(is_sendable) {
        return Err(NotAHeader);
    }
    HeaderValue::try_from(text).map_err(|_| NotAHeader)
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
    fn headers_do_not_show_their_values_and_their_order_is_no_difference() {
        let set = |headers: &[(&str, &str)]| {
            let mut set = SecretHeaders::default();
            headers.iter().try_for_each(|(name, value)| set.insert(name, value)).map(|()| set)
        };
        let one = set(&[("X-Tenant ", " acme"), ("x-key", "hunter2 hunter3\n")]).unwrap();
        assert_eq!(one.headers()["x-key"], "hunter2 hunter3");
        assert!(!format!("{one:?} {:?}", one.headers()).contains("hunter2"));
        let other = set(&[("X-KEY", "hunter2 hunter3"), ("x-tenant", "acme")]).unwrap();
        assert_eq!(one.sha256(), other.sha256());
        for differs in [
            &[("x-key", "hunter2 hunter3")][..],
            &[("x-tenant", "acme"), ("x-key", "hunter2")],
            &[("x-tenant", "acmex-key"), ("x-key", "hunter2 hunter3")],
        ] {
            assert_ne!(one.sha256(), set(differs).unwrap().sha256());
        }
        for wrong in [
            &[("x key", "a")][..],
            &[("", "a")],
            &[("x-key", "")],
            &[("x-key", " ")],
            &[("x-key", "a\nx-admin: 1")],
            &[("x-key", "a\rb")],
            &[("x-key", "a\0")],
            &[("x-key", "schlüssel")],
            &[("x-key", "a"), ("X-Key", "b")],
        ] {
            assert_eq!(set(wrong).unwrap_err(), NotAHeader, "{wrong:?}");
        }
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
