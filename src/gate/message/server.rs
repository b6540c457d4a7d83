//! Reads one line of the server, as leniently as clients do.
//!
//! A server's line is relayed whatever it is; what is read here only tells which call it ends.
//!
//! # Invariants
//!
//! - A line counts as an answer only if it is one object with one id, no method, and a result or
//!   an error.
//! - A line that names one of those members twice is [`Message::Ambiguous`]: two clients could
//!   match it to two calls.

use std::ops::Range;

use super::super::framing::Line;
use super::super::json::{Fault, Kind, Lenient, Reader, Span};
use super::RequestId;

/// What a server's line says.
#[derive(Debug)]
pub enum Message {
    /// An object that could be taken for more than one message.
    Ambiguous,
    /// An answer.
    Answer(Answer),
    /// A notification, an array, a banner, or nothing that could be read.
    Other,
    /// A request of the server's own, with its id.
    Request(RequestId),
}

/// An answer to a client's request.
#[derive(Debug)]
pub struct Answer {
    /// What the request is found by.
    pub id: RequestId,
    /// The result or the error.
    pub body: Body,
}

/// What an answer says, and where it stands in the line.
#[derive(Debug)]
pub enum Body {
    /// `error`
    Error {
        /// Its `code`, where that is an integer.
        code: Option<i64>,
        /// Where the error stands.
        range: Range<usize>,
    },
    /// `result`
    Result {
        /// Whether it is a tool's result that says `isError: true`.
        is_error: bool,
        /// Where the result stands.
        range: Range<usize>,
    },
}

/// Reads one line.
pub fn read(line: &Line) -> Message {
    let bytes = line.as_bytes();
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Message::Other;
    }
    let mut parts = Parts::default();
    match parts.read(bytes) {
        Ok(()) => parts.into_message(bytes),
        Err(_) => Message::Other,
    }
}

#[derive(Debug, Default)]
struct Parts {
    id: Option<Span>,
    method: bool,
    body: Option<Body>,
    repeated: bool,
}

// === impl Parts ===

impl Parts {
    fn read(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut reader = Reader::<Lenient>::new(bytes);
        reader.object(|reader, name| {
            match name {
                "id" => {
                    self.repeated |= self.id.is_some();
                    self.id = Some(reader.value(1)?);
                }
                "method" => {
                    self.repeated |= self.method;
                    self.method = true;
                    reader.value(1)?;
                }
                "result" => {
                    self.repeated |= self.body.is_some();
                    self.body = Some(result(bytes, reader)?);
                }
                "error" => {
                    // `"error": null` beside a result is how JSON-RPC 1.0 says that it went well.
                    let error = error(bytes, reader)?;
                    let nothing = matches!(&error, Body::Error { range, .. } if &bytes[range.clone()] == b"null");
                    if !nothing {
                        self.repeated |= self.body.is_some();
                        self.body = Some(error);
                    }
                }
                _ => {
                    reader.value(1)?;
                }
            }
            Ok(())
        })?;
        reader.end()
    }

    fn into_message(self, bytes: &[u8]) -> Message {
        if self.repeated {
            return Message::Ambiguous;
        }
        let id = self.id.and_then(|span| RequestId::read_leniently(span.kind, &bytes[span.range]));
        match (id, self.method, self.body) {
            (_, true, Some(_)) => Message::Ambiguous,
            (Some(id), true, None) => Message::Request(id),
            (Some(id), false, Some(body)) => Message::Answer(Answer { id, body }),
            (None, _, _) | (Some(_), false, None) => Message::Other,
        }
    }
}

fn result(bytes: &[u8], reader: &mut Reader<'_, Lenient>) -> Result<Body, Fault> {
    let mut is_error = false;
    let range = members(bytes, reader, |name, value| {
        if name == "isError" {
            is_error = value == b"true";
        }
    })?;
    Ok(Body::Result { is_error, range })
}

fn error(bytes: &[u8], reader: &mut Reader<'_, Lenient>) -> Result<Body, Fault> {
    let mut code = None;
    let range = members(bytes, reader, |name, value| {
        if name == "code" {
            code = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        }
    })?;
    Ok(Body::Error { code, range })
}

/// Reads any value; of an object, shows each member.
fn members<'a>(
    bytes: &'a [u8],
    reader: &mut Reader<'_, Lenient>,
    mut each: impl FnMut(&str, &'a [u8]),
) -> Result<Range<usize>, Fault> {
    if bytes[reader.position()..].trim_ascii_start().first() != Some(&b'{') {
        return Ok(reader.value(1)?.range);
    }
    reader.object(|reader, name| {
        let value = reader.value(2)?;
        if value.kind == Kind::Literal || value.kind == Kind::Number {
            each(name, &bytes[value.range]);
        }
        Ok(())
    })
}
