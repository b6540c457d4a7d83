//! Cuts a byte stream into newline-delimited messages.
//!
//! Sans-I/O: the shell reads straight into [`Framer::space`], and takes lines out with
//! [`Framer::next_line`]. How the bytes were cut up on the way in makes no difference, and a line
//! is a slice of what was read: no byte is copied.
//!
//! # Invariants
//!
//! - A line that is too long is never given out, nor any part of it, and what follows its newline
//!   is a new line.
//! - Memory is bounded by the limit plus one read.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memchr;

/// How much room a read is offered, in bytes. A pipe holds 64 KiB.
const READ: usize = 64 * 1024;

/// The most room offered at once while a long line arrives.
const LONG_READ: usize = 256 * 1024;

/// How much of each end of an overlong line is kept, in bytes, to find its id.
pub const KEPT: usize = 256;

/// A line up to this length is copied when it has to wait, so that it does not keep the whole
/// read it came with alive.
const SMALL: usize = 8 * 1024;

/// One message with the line ending it came with. Never blank, never longer than the limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// The message and its line ending, which is `\n` or `\r\n`.
    wire: Bytes,
    /// The length of the message alone.
    len: usize,
}

/// A message longer than the limit. Its bytes are gone but for both ends; the stream goes on after
/// it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a message longer than {limit} bytes")]
pub struct TooLong {
    /// The limit, in bytes, newline excluded.
    pub limit: usize,
    /// How long the message was, in bytes.
    pub len: usize,
    /// Its first bytes, at most [`KEPT`].
    pub head: Bytes,
    /// Its last bytes, at most [`KEPT`].
    pub tail: Bytes,
}

/// Splits one direction of the session into lines.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    /// Prefix of `buffer` known to contain no newline. `scanned <= buffer.len()`.
    scanned: usize,
    /// The message we are inside of, where it is too long: its bytes are dropped up to its newline.
    skipping: Option<Skipped>,
    limit: usize,
}

#[derive(Debug)]
struct Skipped {
    head: Bytes,
    tail: Vec<u8>,
    len: usize,
}

// === impl Line ===

impl Line {
    /// A line of our own making. `message` must hold no newline.
    pub(super) fn of_message(message: &str) -> Self {
        let mut wire = BytesMut::with_capacity(message.len() + 1);
        wire.put_slice(message.as_bytes());
        wire.put_u8(b'\n');
        Self { len: message.len(), wire: wire.freeze() }
    }

    /// The message's bytes, as they were sent, without the line ending.
    pub fn as_bytes(&self) -> &[u8] {
        &self.wire[..self.len]
    }

    /// A part of the message, without a copy.
    pub(super) fn slice(&self, range: std::ops::Range<usize>) -> Bytes {
        self.wire.slice(range)
    }

    /// The same line with other text in one place: all other bytes stay. The text must hold no
    /// newline.
    pub(super) fn replaced(&self, range: std::ops::Range<usize>, texts: [&[u8]; 3]) -> Self {
        let grown: usize = texts.iter().map(|text| text.len()).sum();
        let mut wire = BytesMut::with_capacity(self.wire.len() - range.len() + grown);
        wire.put_slice(&self.wire[..range.start]);
        for text in texts {
            wire.put_slice(text);
        }
        wire.put_slice(&self.wire[range.end..]);
        Self { len: self.len - range.len() + grown, wire: wire.freeze() }
    }

    /// The message and its line ending, ready to be written.
    pub(super) fn into_wire(self) -> Bytes {
        self.wire
    }

    /// The same line, in memory of its own where it is small: for a line that will wait.
    pub(super) fn detached(self) -> Self {
        if self.wire.len() > SMALL {
            return self;
        }
        Self { wire: Bytes::copy_from_slice(&self.wire), len: self.len }
    }
}

// === impl Framer ===

impl Framer {
    /// Makes a framer for messages of at most `limit` bytes, line ending excluded.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, skipping: None, limit }
    }

    /// Room to read into. Grows with the line that is arriving, so that a long one is not moved
    /// more often than it doubles.
    pub fn space(&mut self) -> &mut BytesMut {
        let room = self.buffer.len().clamp(READ, LONG_READ);
        if self.buffer.capacity() - self.buffer.len() < READ {
            self.buffer.reserve(room);
        }
        &mut self.buffer
    }

    /// Takes the next complete line; `None` until more bytes are read. Blank lines are dropped.
    ///
    /// # Errors
    ///
    /// [`TooLong`] once for each message over the limit, at its newline.
    pub fn next_line(&mut self) -> Option<Result<Line, TooLong>> {
        loop {
            let Some(at) = memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                self.drop_overlong();
                return None;
            };
            let wire = self.buffer.split_to(self.scanned + at + 1).freeze();
            self.scanned = 0;
            let line = self.finished(wire);
            if line.is_some() {
                return line;
            }
        }
    }

    /// Takes what is left when the stream has ended: a last line without its newline is a line all
    /// the same, and is given one.
    ///
    /// # Errors
    ///
    /// [`TooLong`], as [`Framer::next_line`].
    pub fn last_line(&mut self) -> Option<Result<Line, TooLong>> {
        if self.buffer.is_empty() && self.skipping.is_none() {
            return None;
        }
        self.buffer.put_u8(b'\n');
        self.next_line()
    }

    fn finished(&mut self, wire: Bytes) -> Option<Result<Line, TooLong>> {
        let mut len = wire.len() - 1;
        if let Some(mut skipped) = self.skipping.take() {
            skipped.add(&wire[..len]);
            return Some(Err(skipped.into_error(self.limit)));
        }
        if len > self.limit {
            let mut skipped = Skipped::new(&wire[..len]);
            skipped.add(&wire[..len]);
            return Some(Err(skipped.into_error(self.limit)));
        }
        if wire[..len].ends_with(b"\r") {
            len -= 1;
        }
        let blank = wire[..len].iter().all(|byte| matches!(byte, b' ' | b'\t'));
        (!blank).then_some(Ok(Line { wire, len }))
    }

    fn drop_overlong(&mut self) {
        if self.skipping.is_none() && self.buffer.len() > self.limit {
            self.skipping = Some(Skipped::new(&self.buffer));
        }
        if let Some(skipped) = &mut self.skipping {
            skipped.add(&self.buffer);
            let dropped = self.buffer.len();
            self.buffer.advance(dropped);
            self.scanned = 0;
        }
    }
}

// === impl Skipped ===

impl Skipped {
    fn new(start: &[u8]) -> Self {
        Self {
            head: Bytes::copy_from_slice(&start[..start.len().min(KEPT)]),
            tail: Vec::new(),
            len: 0,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        let last = &bytes[bytes.len().saturating_sub(KEPT)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(KEPT);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(last);
    }

    fn into_error(self, limit: usize) -> TooLong {
        TooLong { limit, len: self.len, head: self.head, tail: self.tail.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn push(framer: &mut Framer, bytes: &[u8]) {
        framer.space().put_slice(bytes);
    }

    fn lines(framer: &mut Framer) -> Vec<Result<Vec<u8>, usize>> {
        std::iter::from_fn(|| framer.next_line())
            .map(|line| line.map(|line| line.as_bytes().to_vec()).map_err(|long| long.len))
            .collect()
    }

    proptest! {
        /// The property the pump rests on: chunk boundaries are invisible.
        #[test]
        fn how_bytes_are_chunked_does_not_matter(
            stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x'), Just(b' ')], 0..200),
            cuts in prop::collection::vec(1_usize..9, 0..200),
            limit in 1_usize..12,
        ) {
            let mut whole = Framer::new(limit);
            push(&mut whole, &stream);
            let mut expected = lines(&mut whole);
            expected.extend(whole.last_line().map(|line| line.map(|line| line.as_bytes().to_vec()).map_err(|long| long.len)));

            let mut chunked = Framer::new(limit);
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.into_iter().chain(std::iter::repeat(7)) {
                if rest.is_empty() {
                    break;
                }
                let (chunk, tail) = rest.split_at(cut.min(rest.len()));
                rest = tail;
                push(&mut chunked, chunk);
                found.extend(lines(&mut chunked));
                prop_assert!(chunked.buffer.len() <= limit);
            }
            found.extend(chunked.last_line().map(|line| line.map(|line| line.as_bytes().to_vec()).map_err(|long| long.len)));

            prop_assert_eq!(found, expected);
        }

        /// What is given out is what came in, line endings included.
        #[test]
        fn no_byte_of_a_line_is_changed(messages in prop::collection::vec("[a-z\r]{1,20}", 0..20)) {
            let stream: String = messages.iter().flat_map(|message| ["x", message, "\n"]).collect();
            let mut framer = Framer::new(1024);
            push(&mut framer, stream.as_bytes());
            let wire: Vec<u8> = std::iter::from_fn(|| framer.next_line())
                .flat_map(|line| line.unwrap().into_wire())
                .collect();
            prop_assert_eq!(wire, stream.into_bytes());
        }
    }

    #[test]
    fn a_long_message_costs_one_error_and_no_memory() {
        let mut framer = Framer::new(4);
        for _ in 0..1_000 {
            push(&mut framer, b"xxxxx");
            assert_eq!(framer.next_line(), None);
            assert!(framer.buffer.is_empty());
        }
        push(&mut framer, b"\nok\n");

        assert_eq!(lines(&mut framer), [Err(5_000), Ok(b"ok".to_vec())]);
    }

    #[test]
    fn both_ends_of_a_long_message_are_kept() {
        let mut framer = Framer::new(10);
        let message = format!("head{}tail", "x".repeat(1_000));
        for chunk in message.as_bytes().chunks(7) {
            push(&mut framer, chunk);
            assert_eq!(framer.next_line(), None);
        }
        push(&mut framer, b"\n");

        let long = framer.next_line().unwrap().unwrap_err();
        assert_eq!(long.len, message.len());
        assert!(long.head.starts_with(b"head"));
        assert!(long.tail.ends_with(b"xtail"));
        assert!(long.tail.len() <= KEPT && long.head.len() <= KEPT);
    }

    #[test]
    fn a_last_line_needs_no_newline_and_gets_one() {
        let mut framer = Framer::new(10);
        push(&mut framer, b"one\ntwo");
        assert_eq!(lines(&mut framer), [Ok(b"one".to_vec())]);
        let last = framer.last_line().unwrap().unwrap();
        assert_eq!(last.into_wire(), "two\n");
        assert_eq!(framer.last_line(), None);
    }

    #[test]
    fn blank_lines_are_dropped_and_crlf_survives() {
        let mut framer = Framer::new(10);
        push(&mut framer, b"\n\r\n \t\r\na\r\n");
        let line = framer.next_line().unwrap().unwrap();
        assert_eq!(line.as_bytes(), b"a");
        assert_eq!(line.into_wire(), "a\r\n");
        assert_eq!(framer.next_line(), None);
    }
}
