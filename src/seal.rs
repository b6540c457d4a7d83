//! The audit hash chain: how a line is sealed, and what a seal covers.
//!
//! A journal is a file of lines. Each line is one JSON object that thoth spells in one way only:
//!
//! ```text
//! {"seq":7,"time":"…","kind":"decision", … ,"prev":"<64 hex>","seal":"<64 hex>"}\n
//! └──────────────── the body: exactly these bytes are hashed ──┘
//! ```
//!
//! `seal` is the SHA-256 of the body, `prev` the seal of the line before (64 zeros in the first
//! line). A verifier cuts the last 75 bytes off a line and hashes the rest; it never has to spell
//! JSON the way thoth does, and no member stands outside the hash but the seal itself.
//!
//! Pure: no file, no clock, no randomness. The chain has no key, so whoever can write the file can
//! seal a forged chain; what that takes away, and what gives it back, stands in `docs/journal.md`.
//!
//! # Invariants
//!
//! - A line is begun and sealed here and nowhere else, so [`Checker`] and the writer agree.
//! - [`Checker`] holds a bounded amount of memory, whatever it reads, and never panics.

mod check;
mod line;
mod mac;

use std::fmt::{self, Write as _};

use sha2::Digest as _;

pub use check::{Checker, Fault, Finding, Report};
pub use mac::Mac;

/// What stands between the body and the seal's digits.
const SEAL: &[u8] = b",\"seal\":\"";
/// What stands before the digits of the seal before.
const PREV: &[u8] = b",\"prev\":\"";
/// A digest's digits.
const HEX: usize = 64;
/// The bytes of a line behind its body, newline excluded.
const TAIL: usize = SEAL.len() + HEX + 2;

/// A SHA-256. Shows itself as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Digest([u8; 32]);

/// Where a chain stands: the last record's number and seal.
///
/// Whoever keeps a head elsewhere can tell later that the journal still holds that record, and
/// that nothing before it was changed, even by somebody who can write the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// The last record's number; 0 before the first.
    pub seq: u64,
    /// Its seal; zeros before the first.
    pub seal: Digest,
}

/// The SHA-256 of some bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(bytes).into())
}

// === impl Digest ===

impl Digest {
    const ZERO: Self = Self([0; 32]);

    /// Reads 64 lower-case hexadecimal digits; `None` for anything else.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The digits, written to `room`.
    pub fn digits<'a>(&self, room: &'a mut [u8; HEX]) -> &'a str {
        hex::encode_to_slice(self.0, room).unwrap_or_else(|_| unreachable!("32 bytes, 64 digits"));
        str::from_utf8(room).unwrap_or_else(|_| unreachable!("hexadecimal digits are ASCII"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits(&mut [0; HEX]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Head ===

impl Head {
    /// Where every chain starts.
    pub const ORIGIN: Self = Self { seq: 0, seal: Digest::ZERO };

    /// Empties `line` and begins the next record in it. Members follow, each with a comma before
    /// it; then [`Head::seal`] closes the line.
    ///
    /// `time` is RFC 3339, `kind` a word; neither may need escaping.
    pub fn begin(&self, line: &mut Vec<u8>, time: impl fmt::Display, kind: &str) {
        line.clear();
        let seq = self.seq + 1;
        write!(Text(line), r#"{{"seq":{seq},"time":"{time}","kind":"{kind}""#)
            .unwrap_or_else(|_| unreachable!("a vector takes everything"));
    }

    /// Seals a line that [`Head::begin`] began, and ends it with a newline. Returns where the
    /// chain stands once the line is written.
    #[must_use]
    pub fn seal(&self, line: &mut Vec<u8>) -> Self {
        let mut room = [0; HEX];
        line.extend_from_slice(PREV);
        line.extend_from_slice(self.seal.digits(&mut room).as_bytes());
        line.push(b'"');
        let seal = digest(line);
        line.extend_from_slice(SEAL);
        line.extend_from_slice(seal.digits(&mut room).as_bytes());
        line.extend_from_slice(b"\"}\n");
        Self { seq: self.seq + 1, seal }
    }
}

/// Formats into bytes.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `printf … | sha256sum`, not with this code.
    #[test]
    fn a_line_is_sealed_as_documented() {
        let mut line = b"left over".to_vec();
        Head::ORIGIN.begin(&mut line, "2026-01-02T03:04:05.000006Z", "end");
        line.extend_from_slice(br#","lost":0"#);
        let head = Head::ORIGIN.seal(&mut line);

        let zeros = "0".repeat(64);
        let body = format!(
            r#"{{"seq":1,"time":"2026-01-02T03:04:05.000006Z","kind":"end","lost":0,"prev":"{zeros}""#
        );
        assert_eq!(
            head.seal.to_string(),
            "861aa2ca8f1c25b361e8b9659c2a5ff3111fa3c6b7d5969301eda0d9c71366ab"
        );
        let whole = format!("{body},\"seal\":\"{}\"}}\n", head.seal);
        assert_eq!(str::from_utf8(&line).unwrap(), whole);
        assert_eq!(line.len() - 1 - body.len(), TAIL);
        assert_eq!(head.seq, 1);
    }

    #[test]
    fn a_digest_is_spelled_in_one_way() {
        let some = digest(b"abc");
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(some.to_string(), digits);
        assert_eq!(Digest::parse(digits.as_bytes()), Some(some));
        assert_eq!(Digest::parse(digits.to_uppercase().as_bytes()), None);
        assert_eq!(Digest::parse(&digits.as_bytes()[1..]), None);
        assert_eq!(Digest::parse(b""), None);
    }
}
