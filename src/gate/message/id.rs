//! What a request and its answer are matched by.

use std::cmp::Ordering;

use super::super::framing::TooLong;
use super::super::json::{self, Kind, Lenient, Reader};

/// The longest id that is kept, in bytes as spelled. Real ones have fewer than 40.
const LONGEST: usize = 512;

/// A request's id: an integer or a string.
///
/// Compared by type and value (`7` is not `"7"`, `"a"` is `"\u0061"`), sent back as it was
/// spelled. Integers are compared as text, so that none is too large.
#[derive(Clone, Debug)]
pub struct RequestId {
    literal: Box<str>,
    /// The text, where the literal is a string with an escape in it.
    unescaped: Option<Box<str>>,
}

/// The id of a message that was too long to be read, where it can be told from its ends.
///
/// Clients and servers write the id either among the first members or as the very last one. What
/// is found is a member of the outermost object if the message is JSON at all: the head is read
/// member by member, and the tail ends with the object's own closing brace.
pub fn of_overlong(long: &TooLong) -> Option<RequestId> {
    in_head(&long.head).or_else(|| in_tail(&long.tail))
}

fn in_head(head: &[u8]) -> Option<RequestId> {
    let mut found = None;
    // The head is cut off, so reading it always ends in a fault; what was found before it counts.
    let _ = Reader::<Lenient>::new(head).object(|reader, name| {
        let value = reader.value(1)?;
        if name == "id" && found.is_none() {
            found = RequestId::read(value.kind, &head[value.range]);
        }
        Ok(())
    });
    found
}

fn in_tail(tail: &[u8]) -> Option<RequestId> {
    let tail = tail.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let at = memchr::memmem::rfind(tail, b",\"id\":")?;
    let literal = tail[at + 6..].trim_ascii();
    let mut reader = Reader::<Lenient>::new(literal);
    let value = reader.value(1).ok()?;
    reader.end().ok()?;
    RequestId::read(value.kind, literal)
}

// === impl RequestId ===

impl RequestId {
    /// Takes the literal of an id. `None` for what is no integer and no string, for `-0`, and for
    /// what is longer than 512 bytes.
    pub fn read(kind: Kind, literal: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(literal).ok()?;
        let unescaped = match kind {
            _ if text.len() > LONGEST => return None,
            Kind::Number => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                if text == "-0" || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                    return None;
                }
                None
            }
            Kind::Text => {
                text.contains('\\').then(|| json::unescape(literal).into_owned().into_boxed_str())
            }
            Kind::Array | Kind::Literal | Kind::Object => return None,
        };
        Some(Self { literal: text.into(), unescaped })
    }

    /// As [`RequestId::read`], for servers that give back `7` as `7.0`.
    pub fn read_leniently(kind: Kind, literal: &[u8]) -> Option<Self> {
        /// Up to here every integer is a binary floating point number of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;

        Self::read(kind, literal).or_else(|| {
            let text = std::str::from_utf8(literal).ok()?;
            let value: f64 = text.parse().ok()?;
            let whole = kind == Kind::Number && value.fract() == 0.0 && value.abs() < EXACT;
            whole.then(|| Self { literal: format!("{value:.0}").into(), unescaped: None })
        })
    }

    /// An id of our own: text without quotes, escapes and controls.
    pub(in crate::gate) fn of_text(text: &str) -> Self {
        Self { literal: format!("\"{text}\"").into(), unescaped: None }
    }

    /// The id as it was spelled, for sending it back.
    pub fn literal(&self) -> &str {
        &self.literal
    }

    /// The text, where it is a string.
    pub fn as_text(&self) -> Option<&str> {
        let (is_text, value) = self.key();
        is_text.then_some(value)
    }

    fn key(&self) -> (bool, &str) {
        let is_text = self.literal.starts_with('"');
        (is_text, self.unescaped.as_deref().unwrap_or_else(|| self.literal.trim_matches('"')))
    }
}

impl Ord for RequestId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for RequestId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for RequestId {}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
