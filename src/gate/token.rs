//! Names that nobody can guess, and digests of what is to be recognised.
//!
//! What thoth asks the client in its own name is answered under a name of its own. Whether a name is
//! one of those is told by the name itself, so that none has to be remembered in order to be kept
//! from the server.
//!
//! # Invariants
//!
//! - Without the secret, no name can be made that [`Secret::number`] takes for its own.
//! - A name of one kind is none of another.

use sha2::{Digest as _, Sha256};

/// What all such names begin with, whichever sidecar made them: one may wrap another.
pub const FAMILY: &str = "thoth-ask-";

/// What a session's names are made with. Does not print.
pub struct Secret([u8; 16]);

/// What a name is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The page that a person is sent to.
    Page,
    /// A request to the client.
    Request,
    /// A member of `inputRequests` (MCP 2026-07-28).
    Input,
    /// A `requestState` (MCP 2026-07-28).
    State,
}

/// The SHA-256 of some texts, told apart by their lengths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digest([u8; 32]);

// === impl Secret ===

impl Secret {
    /// Takes 16 bytes from a source of randomness.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The name with this number. Plain ASCII without quotes.
    pub fn name(&self, kind: Kind, number: u64) -> String {
        let Self(secret) = self;
        let kind: &[u8] = match kind {
            Kind::Page => b"page",
            Kind::Request => b"request",
            Kind::Input => b"input",
            Kind::State => b"state",
        };
        let Digest(proof) = Digest::of([secret, kind, &number.to_be_bytes()]);
        let proof = proof[..16].iter().fold(0, |proof, byte| proof << 8 | u128::from(*byte));
        format!("{FAMILY}{number}-{proof:032x}")
    }

    /// The number of a name that was made with this secret for this purpose.
    pub fn number(&self, kind: Kind, name: &str) -> Option<u64> {
        let (number, _) = name.strip_prefix(FAMILY)?.split_once('-')?;
        let number = number.parse().ok()?;
        (self.name(kind, number) == name).then_some(number)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

// === impl Digest ===

impl Digest {
    /// The digest of these texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_by_whoever_made_it_for_what_it_was_made_for() {
        let (ours, theirs) = (Secret::new([7; 16]), Secret::new([8; 16]));
        let name = ours.name(Kind::Request, 12);
        assert_eq!(ours.number(Kind::Request, &name), Some(12));
        assert_eq!(ours.number(Kind::State, &name), None);
        assert_eq!(theirs.number(Kind::Request, &name), None);
        for other in [
            "",
            "thoth-ask-",
            "thoth-ask-12-",
            &name[..name.len() - 1],
            &format!("{name}0"),
            &name.replacen("-12-", "-13-", 1),
            &name.replacen("-12-", "-+12-", 1),
            &name.replacen("-12-", "-012-", 1),
            &name.to_uppercase(),
        ] {
            assert_eq!(ours.number(Kind::Request, other), None, "{other}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new([7; 16])), "Secret(…)");
    }

    #[test]
    fn texts_are_told_apart_by_where_they_end() {
        let digest = |texts: [&str; 2]| Digest::of(texts.map(str::as_bytes));
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        assert_eq!(digest(["ab", "c"]), digest(["ab", "c"]));
    }
}
