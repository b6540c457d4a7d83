//! Reads server-sent events from bytes, however they were cut up (WHATWG HTML, §9.2).
//!
//! Pure. What an event means is not known here.
//!
//! # Invariants
//!
//! - Where the bytes were cut makes no difference.
//! - Memory is bounded by the limit plus one read: a longer event is dropped whole, and said to be.
//! - An event that was not ended by a blank line is never given out.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

/// A mark of where a stream stands is not longer, in bytes; one that is counts as none.
const LONGEST_ID: usize = 4 * 1024;

/// The longest name of an event that is told from others, in bytes.
const LONGEST_NAME: usize = 256;

/// The longest beginning of a line of data.
const FIELD: &[u8] = b"data: ";

/// One event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its name; `message` where it has none.
    pub name: Box<str>,
    /// Its lines of data, joined by newlines. Never empty.
    pub data: Bytes,
}

/// An event that was longer than the limit. What follows it is read as ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an event longer than {0} bytes")]
pub struct TooLong(pub usize);

/// Reads one stream.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing about the bytes so far")]
pub struct Parser {
    /// What was read and is no whole line yet.
    buffer: BytesMut,
    /// Prefix of `buffer` known to hold no line end. `scanned <= buffer.len()`.
    scanned: usize,
    /// A newline that comes next ends the line that a carriage return has ended already.
    after_return: bool,
    /// Nothing was read yet: a byte order mark may come.
    at_start: bool,
    /// The line that is arriving is too long; its bytes are dropped up to its end.
    skipping: bool,
    /// The event that is arriving is too long.
    too_long: bool,
    name: Box<str>,
    data: Data,
    id: Box<str>,
    last_id: Box<str>,
    retry: Option<Duration>,
    limit: usize,
}

/// The data of the event that is arriving.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line of it, where it was read to.
    One(Bytes),
    More(BytesMut),
}

// === impl Parser ===

impl Parser {
    /// A parser for events of at most `limit` bytes of data.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            after_return: false,
            at_start: true,
            skipping: false,
            too_long: false,
            name: Box::default(),
            data: Data::None,
            id: Box::default(),
            last_id: Box::default(),
            retry: None,
            limit,
        }
    }

    /// The same, for a stream that goes on where this one has ended.
    #[must_use]
    pub fn resumed(&self) -> Self {
        let (id, last_id) = (self.last_id.clone(), self.last_id.clone());
        Self { id, last_id, retry: self.retry, ..Self::new(self.limit) }
    }

    /// Takes in what was read. Take out what is complete with [`Parser::next_event`] before more is
    /// put in.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// How many bytes wait for the rest of their event.
    pub fn held(&self) -> usize {
        self.buffer.len() + self.data.len()
    }

    /// The mark of the last event that ended, to go on after it; `None` where there is none.
    pub fn last_id(&self) -> Option<&str> {
        Some(&*self.last_id).filter(|id| !id.is_empty())
    }

    /// How long the server wants to be left alone before it is connected to again.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next event that is complete; `None` until more is read.
    ///
    /// # Errors
    ///
    /// [`TooLong`] once for each event over the limit, at its end.
    pub fn next_event(&mut self) -> Option<Result<Event, TooLong>> {
        loop {
            let line = self.next_line()?;
            if !line.is_empty() {
                self.field(&line);
            } else if let Some(event) = self.dispatch() {
                return Some(event);
            }
        }
    }

    fn next_line(&mut self) -> Option<Bytes> {
        self.pass_byte_order_mark()?;
        loop {
            if self.buffer.is_empty() {
                self.scanned = 0;
                return None;
            }
            if std::mem::take(&mut self.after_return) && self.buffer.starts_with(b"\n") {
                self.buffer.advance(1);
                continue;
            }
            let end = memchr2(b'\r', b'\n', &self.buffer[self.scanned..]);
            let len = end.map_or(self.buffer.len(), |at| self.scanned + at);
            if len > self.limit + FIELD.len() {
                // No line that counts is longer. Its bytes are dropped, here or up to its end.
                self.too_long |= !self.skipping && self.buffer.starts_with(b"data:");
                self.skipping = true;
            }
            if end.is_none() {
                if self.skipping {
                    self.buffer.clear();
                }
                self.scanned = self.buffer.len();
                return None;
            }
            let line = self.buffer.split_to(len).freeze();
            self.after_return = self.buffer.first() == Some(&b'\r');
            self.buffer.advance(1);
            self.scanned = 0;
            if !std::mem::take(&mut self.skipping) {
                return Some(line);
            }
        }
    }

    /// Drops the mark that a stream may begin with; `None` until it is known whether it does.
    fn pass_byte_order_mark(&mut self) -> Option<()> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if self.at_start {
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return None;
            }
            self.at_start = false;
            if self.buffer.starts_with(MARK) {
                self.buffer.advance(MARK.len());
            }
        }
        Some(())
    }

    fn field(&mut self, line: &Bytes) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return, // a comment
            Some(colon) => {
                let value = line.slice(colon + 1..);
                (&line[..colon], if value.starts_with(b" ") { value.slice(1..) } else { value })
            }
            None => (&line[..], Bytes::new()),
        };
        match name {
            b"data" => self.add(value),
            b"event" => {
                self.name =
                    text(&value).filter(|name| name.len() <= LONGEST_NAME).unwrap_or("?").into();
            }
            b"id" if !value.contains(&0) => {
                self.id =
                    text(&value).filter(|id| id.len() <= LONGEST_ID).unwrap_or_default().into();
            }
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry =
                    text(&value).and_then(|digits| digits.parse().ok()).map(Duration::from_millis);
            }
            _ => {}
        }
    }

    fn add(&mut self, value: Bytes) {
        let newline = usize::from(!matches!(self.data, Data::None));
        if self.too_long || self.data.len() + newline + value.len() > self.limit {
            self.too_long = true;
            self.data = Data::None;
            return;
        }
        self.data.add(value);
    }

    fn dispatch(&mut self) -> Option<Result<Event, TooLong>> {
        self.last_id.clone_from(&self.id);
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data).into_bytes();
        if std::mem::take(&mut self.too_long) {
            return Some(Err(TooLong(self.limit)));
        }
        let name = if name.is_empty() { "message".into() } else { name };
        (!data.is_empty()).then_some(Ok(Event { name, data }))
    }
}

// === impl Data ===

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::More(lines) => lines.len(),
        }
    }

    fn add(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => Self::More(joined(BytesMut::from(first), &line)),
            Self::More(lines) => Self::More(joined(lines, &line)),
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(line) => line,
            Self::More(lines) => lines.freeze(),
        }
    }
}

fn joined(mut lines: BytesMut, line: &[u8]) -> BytesMut {
    lines.extend_from_slice(b"\n");
    lines.extend_from_slice(line);
    lines
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a stream says, read in chunks of this size.
    fn read(stream: &[u8], chunk: usize, limit: usize) -> Vec<Result<(String, String), usize>> {
        let mut parser = Parser::new(limit);
        let mut found = Vec::new();
        for bytes in stream.chunks(chunk.max(1)) {
            parser.push(bytes);
            while let Some(event) = parser.next_event() {
                let text = |event: Event| {
                    (event.name.into(), String::from_utf8_lossy(&event.data).into_owned())
                };
                found.push(event.map(text).map_err(|long| long.0));
            }
            assert!(parser.held() <= 2 * limit + 8);
        }
        found
    }

    #[test]
    fn streams_are_read_as_browsers_read_them() {
        for (stream, expected) in [
            ("data: a\n\n", vec![("message", "a")]),
            ("data:a\r\rdata: b\r\n\r\n", vec![("message", "a"), ("message", "b")]),
            ("data: a\r\n\ndata: b\r\r\n", vec![("message", "a"), ("message", "b")]),
            ("data: a\ndata:  b\ndata\n\n", vec![("message", "a\n b\n")]),
            (
                "event: endpoint\ndata: /m\n\ndata: x\n\n",
                vec![("endpoint", "/m"), ("message", "x")],
            ),
            (": comment\n:\n\ndata: a\n\n", vec![("message", "a")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", vec![("message", "a")]),
            ("data: not ended\n", vec![]),
            ("data: not ended", vec![]),
            ("id: 7\ndata:\n\n", vec![]),
            ("data\n\n", vec![]),
            ("other: a\n data: a\nDATA: a\n\n", vec![]),
            ("event: gone\n\ndata: a\n\n", vec![("message", "a")]),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(name, data)| Ok((name.to_owned(), data.to_owned())))
                .collect();
            for chunk in [1, 2, 3, 1000] {
                assert_eq!(read(stream.as_bytes(), chunk, 100), expected, "{stream:?} by {chunk}");
            }
        }
    }

    #[test]
    fn where_a_stream_stands_counts_from_the_end_of_an_event() {
        let mut parser = Parser::new(100);
        parser.push(b"id: 1\nretry: 1500\ndata: a\n\nid: 2\nretry: soon\n");
        assert!(parser.next_event().is_some() && parser.next_event().is_none());
        assert_eq!(
            (parser.last_id(), parser.retry()),
            (Some("1"), Some(Duration::from_millis(1500)))
        );
        parser.push(b"\nid: 3\0\n\n");
        assert!(parser.next_event().is_none());
        assert_eq!(
            parser.last_id(),
            Some("2"),
            "an event without data counts, an id with NUL does not"
        );
        let resumed = parser.resumed();
        assert_eq!((resumed.last_id(), resumed.retry()), (parser.last_id(), parser.retry()));
        parser.push(b"id\n\n");
        assert!(parser.next_event().is_none());
        assert_eq!(parser.last_id(), None, "it is taken back");
    }

    #[test]
    fn an_event_that_is_too_long_is_dropped_whole_and_the_next_is_read() {
        let long = "x".repeat(50);
        for stream in [
            format!("data: {long}\n\ndata: b\n\n"),
            format!("data: {}\ndata: {}\n\ndata: b\n\n", &long[..20], &long[..20]),
            format!("data: a\ndata:{long}\ndata: a\n\ndata: b\n\n"),
        ] {
            let expected = vec![Err(30), Ok(("message".to_owned(), "b".to_owned()))];
            for chunk in [1, 7, 1000] {
                assert_eq!(read(stream.as_bytes(), chunk, 30), expected, "{stream:?} by {chunk}");
            }
        }
        let comment = format!(":{long}{long}\ndata: b\n\n");
        assert_eq!(read(comment.as_bytes(), 7, 30), [Ok(("message".to_owned(), "b".to_owned()))]);
    }

    proptest! {
        /// Where the bytes are cut makes no difference, and nothing is longer than the limit.
        #[test]
        fn cuts_make_no_difference(
            stream in prop::collection::vec(
                prop::sample::select(vec!["data", "data: a", "\r\n", "event", "id", "retry", ":", " ", "\r", "\n", "\n\n", "x", "é", "1", "\0"]),
                0..80,
            ),
            chunk in 1usize..40,
            limit in 1usize..30,
        ) {
            let stream = stream.concat();
            let whole = read(stream.as_bytes(), usize::MAX, limit);
            prop_assert_eq!(read(stream.as_bytes(), chunk, limit), whole.clone());
            prop_assert!(whole.iter().flatten().all(|(_, data)| data.len() <= limit));
        }

        /// What a server writes is what is read.
        #[test]
        fn any_text_survives(lines in prop::collection::vec("[^\r\n]{0,20}", 1..5), chunk in 1usize..40) {
            let data = lines.join("\n");
            let stream = format!("data: {}\n", data.replace('\n', "\ndata: "));
            let expected: Vec<_> =
                (!data.is_empty()).then(|| Ok(("message".to_owned(), data))).into_iter().collect();
            prop_assert_eq!(read(format!("{stream}\n").as_bytes(), chunk, 1000), expected);
        }
    }
}
