//! Reads one line of a journal as it passes, of any length, and says what it claims.

use sha2::{Digest as _, Sha256};

use super::{Digest, HEX, PREV, SEAL, TAIL};

/// The bytes of a body from `,"prev":"` to its end.
const LINK: usize = PREV.len() + HEX + 1;
/// How much of a line's end is held: where it hangs on, and its seal.
const HELD: usize = LINK + TAIL;
/// How much of a line's start is held: enough for `seq`, `time` and `kind`.
const FRONT: usize = 128;

/// One line as it passes.
#[derive(Debug)]
pub(super) struct Line {
    /// What was hashed so far: everything but `held`.
    hash: Sha256,
    front: Vec<u8>,
    /// The last bytes, at most [`HELD`].
    held: Vec<u8>,
    /// Whether any byte has come.
    pub(super) begun: bool,
}

/// What a line says of itself.
pub(super) struct Said {
    pub(super) seq: u64,
    pub(super) kind: Kind,
    pub(super) prev: Digest,
    pub(super) seal: Digest,
    /// Whether the seal fits the body.
    pub(super) fits: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Kind {
    End,
    Other,
    Session,
}

// === impl Line ===

impl Default for Line {
    fn default() -> Self {
        Self {
            hash: Sha256::new(),
            front: Vec::with_capacity(FRONT),
            held: Vec::with_capacity(2 * HELD),
            begun: false,
        }
    }
}

impl Line {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.begun |= !bytes.is_empty();
        let front = bytes.len().min(FRONT - self.front.len());
        self.front.extend_from_slice(&bytes[..front]);
        // Of a long part only its end can still be the line's end.
        let (through, rest) = bytes.split_at(bytes.len().saturating_sub(HELD));
        if !through.is_empty() {
            self.hash.update(&self.held);
            self.hash.update(through);
            self.held.clear();
        }
        self.held.extend_from_slice(rest);
        let beyond = self.held.len().saturating_sub(HELD);
        self.hash.update(&self.held[..beyond]);
        self.held.drain(..beyond);
    }

    /// What the line says of itself, if it is shaped like a record.
    pub(super) fn finish(mut self) -> Option<Said> {
        let (rest, seal) = self.held.split_at_checked(self.held.len().checked_sub(TAIL)?)?;
        let seal = seal.strip_prefix(SEAL)?.strip_suffix(b"\"}")?;
        let (_, link) = rest.split_at_checked(rest.len().checked_sub(LINK)?)?;
        let prev = link.strip_prefix(PREV)?.strip_suffix(b"\"")?;
        let (seq, kind) = beginning(&self.front)?;
        let seal = Digest::parse(seal)?;
        self.hash.update(rest);
        Some(Said {
            seq,
            kind,
            prev: Digest::parse(prev)?,
            seal,
            fits: self.hash.finalize()[..] == seal.0,
        })
    }
}

/// Reads `{"seq":7,"time":"…","kind":"end"`.
fn beginning(front: &[u8]) -> Option<(u64, Kind)> {
    let front = front.strip_prefix(b"{\"seq\":")?;
    let (seq, front) = until(front, b',')?;
    let seq: u64 = str::from_utf8(seq).ok()?.parse().ok()?;
    let (_, front) = until(front.strip_prefix(b"\"time\":\"")?, b'"')?;
    let (kind, _) = until(front.strip_prefix(b",\"kind\":\"")?, b'"')?;
    let kind = match kind {
        b"end" => Kind::End,
        b"session" => Kind::Session,
        _ => Kind::Other,
    };
    // The numbers next to the largest would overflow the sums above, and no journal gets there.
    (1..u64::MAX / 2).contains(&seq).then_some((seq, kind))
}

/// What stands before the first `end`, and what stands behind it.
fn until(bytes: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == end)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}
