//! Random tokens that prove something to the console, and what may be kept of them.
//!
//! # Invariants
//!
//! - A token is 256 random bits; what is stored is its SHA-256, which is as hard to reverse as the token
//!   is to guess.
//! - A token never prints: `Debug` shows none of it.

use std::fmt;

use oauth2::CsrfToken;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How many characters a token has: 32 bytes in base64url without padding.
const LENGTH: usize = 43;

/// A random secret of 256 bits, as text that needs no escaping in a URL, a cookie or a form.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Token(String);

// === impl Token ===

impl Token {
    /// Draws a new one.
    pub(super) fn random() -> Self {
        Self(CsrfToken::new_random_len(32).into_secret())
    }

    /// Takes what could be one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == LENGTH && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// The token itself, for whoever it is meant for.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// What the store keeps: the SHA-256, hexadecimal.
    pub(super) fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }

    /// Another secret that only whoever has this one can make, for this purpose.
    pub(super) fn derived(&self, purpose: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(b"thoth console\0");
        hash.update(purpose.as_bytes());
        hash.update(b"\0");
        hash.update(self.0.as_bytes());
        hex::encode(hash.finalize())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// Compares without telling by the time it takes where the difference is.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_can_be_read_again_and_nothing_else_can() {
        let token = Token::random();
        assert_eq!(Token::read(token.reveal()), Some(token.clone()));
        assert_ne!(Token::random(), token);
        let long = format!("{}x", token.reveal());
        for text in ["", "short", &long, &"é".repeat(LENGTH), &" ".repeat(LENGTH)] {
            assert_eq!(Token::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_kept_or_printed_of_a_token_is_not_the_token() {
        let token = Token::random();
        for text in [token.hash(), token.derived("form"), format!("{token:?}")] {
            assert!(!text.contains(token.reveal()));
        }
        assert_ne!(token.derived("form"), token.hash());
        assert_ne!(token.derived("form"), token.derived("other"));
        assert_eq!(token.hash().len(), 64);
    }

    #[test]
    fn sameness_is_equality() {
        for (one, other, same) in
            [("", "", true), ("a", "a", true), ("a", "b", false), ("a", "ab", false)]
        {
            assert_eq!(is_same(one, other), same);
        }
    }
}
