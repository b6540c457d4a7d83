//! Writes what a program says as JSON, up to the length of an event.

use std::io;

use bytes::Bytes;
use serde::Serialize;

use super::told::LEFT_OUT;
use crate::emitter::LONGEST_TEXT;

/// Takes so many bytes and no more.
struct Bounded(Vec<u8>);

/// The text of a value; `None` where it cannot be written, or is too long.
pub(super) fn value(value: &impl Serialize) -> Option<Bytes> {
    let mut text = Bounded(Vec::new());
    serde_json::to_writer(&mut text, value).ok()?;
    Some(text.0.into())
}

/// The text of an object: of the value, if it is one; `{}` for nothing at all; else of an object
/// that holds it as `value`.
pub(super) fn object(params: &impl Serialize) -> Bytes {
    match value(params) {
        None => Bytes::from_static(LEFT_OUT),
        Some(text) if text.starts_with(b"{") => text,
        Some(text) if &text[..] == b"null" => Bytes::from_static(b"{}"),
        Some(text) => [b"{\"value\":", &text[..], b"}"].concat().into(),
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
