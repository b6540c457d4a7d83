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
        loop {
            if self.after_return && self.buffer.first() == Some(&b'\n') {
                self.buffer.advance(1);
            }
            if self.buffer.is_empty() {
                self.scanned = 0;
                return None;
            }
            self.after_return = false;
            let Some(at) = memchr2(b'\r', b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                self.drop_overlong();
                return None;
            };
            let mut line = self.buffer.split_to(self.scanned + at).freeze();
            self.after_return = self.buffer.first() == Some(&b'\r');
            self.buffer.advance(1);
            self.scanned = 0;
            if std::mem::take(&mut self.at_start) && line.starts_with("\u{feff}".as_bytes()) {
                line.advance(3);
            }
            if !std::mem::take(&mut self.skipping) {
                return Some(line);
            }
        }
    }

    /// A line whose end has not come is dropped once it is longer than any that counts.
    fn drop_overlong(&mut self) {
        const FIELD: &[u8] = b"data: ";
        if !self.skipping && self.buffer.len() > self.limit + FIELD.len() {
            self.skipping = true;
            self.too_long |= self.buffer.starts_with(b"data:");
        }
        if self.skipping {
            self.at_start = false;
            self.buffer.clear();
            self.scanned = 0;
        }
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
        if self.too_long || self.data.len() + value.len() > self.limit {
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
