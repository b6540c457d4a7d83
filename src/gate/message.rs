//! What a line means: a call, another request, a cancellation, an answer; or nothing that may be
//! forwarded.
//!
//! Client lines are read strictly ([`client`]), server lines as leniently as clients read them
//! ([`server`]). Nothing here decides: a [`Call`] is only what the line says.
//!
//! # Invariants
//!
//! - Only [`Outbound`] can be written to the server, and a call becomes one only together with a
//!   [`Permit`].
//! - What is judged is what is sent: a line is forwarded byte for byte, but for line separators
//!   inside strings, which are sent as escapes, and for arguments that a permit replaces.

pub mod client;
pub mod server;

mod id;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

pub use self::id::{RequestId, of_overlong as overlong_id};
use super::decide::Permit;
use super::framing::Line;

/// A tool call that is not decided yet.
#[derive(Debug)]
pub struct Call {
    id: RequestId,
    tool: Arc<str>,
    line: Line,
    arguments: Place,
    progress_token: Option<Box<str>>,
    modern: bool,
    task: bool,
}

/// A line that needs no decision.
#[derive(Debug)]
pub struct Passthrough(Line);

/// A line that may be written to the server: the only kind its writer takes.
#[derive(Debug)]
pub struct Outbound(Bytes);

/// Where a call's arguments stand in its line.
#[derive(Clone, Debug)]
enum Place {
    /// The text of an object.
    At(Range<usize>),
    /// There are none; they would go here, into an object without members.
    AloneAt(usize),
    /// There are none; they would go here, before other members.
    BeforeOthersAt(usize),
}

// === impl Call ===

impl Call {
    /// What its answer is matched by.
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The tool's name, unescaped.
    pub fn tool(&self) -> &Arc<str> {
        &self.tool
    }

    /// The text of its arguments, one JSON object; `{}` where it has none. A slice of the line.
    pub fn arguments(&self) -> Bytes {
        match &self.arguments {
            Place::At(range) => self.line.slice(range.clone()),
            Place::AloneAt(_) | Place::BeforeOthersAt(_) => Bytes::from_static(b"{}"),
        }
    }

    /// The token to send progress notifications with, as the client spelled it.
    pub fn progress_token(&self) -> Option<&str> {
        self.progress_token.as_deref()
    }

    /// Whether it belongs to the era without handshake (MCP 2026-07-28 and later): such messages
    /// carry their protocol version. The era is a property of the message, not of the connection.
    pub fn is_modern(&self) -> bool {
        self.modern
    }

    /// Whether it asks to be run as a task (MCP 2025-11-25). Such a call must not be answered with
    /// a tool result.
    pub fn is_task(&self) -> bool {
        self.task
    }

    /// How much memory the call holds, in bytes.
    pub fn size(&self) -> usize {
        self.line.as_bytes().len()
    }

    /// The same call, in memory of its own where it is small: for a call that will wait.
    #[must_use]
    pub fn detached(self) -> Self {
        Self { line: self.line.detached(), ..self }
    }
}

// === impl Outbound ===

impl Outbound {
    /// Lets one call through, for one permit.
    pub fn permitted(call: Call, permit: Permit) -> Self {
        let Some(arguments) = permit.into_arguments() else {
            return Self(call.line.into_wire());
        };
        let arguments = arguments.as_str().as_bytes();
        let (range, before, after): (_, &[u8], &[u8]) = match call.arguments {
            Place::At(range) => (range, b"", b""),
            Place::AloneAt(at) => (at..at, b"\"arguments\":", b""),
            Place::BeforeOthersAt(at) => (at..at, b"\"arguments\":", b","),
        };
        let wire = call.line.into_wire();
        let mut modified = BytesMut::with_capacity(wire.len() + arguments.len() + 16);
        modified.put_slice(&wire[..range.start]);
        modified.put_slice(before);
        modified.put_slice(arguments);
        modified.put_slice(after);
        modified.put_slice(&wire[range.end..]);
        Self(modified.freeze())
    }

    /// The bytes to write, with their line ending.
    pub fn into_wire(self) -> Bytes {
        self.0
    }

    /// The bytes to write, with their line ending.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
}

impl From<Passthrough> for Outbound {
    fn from(Passthrough(line): Passthrough) -> Self {
        Self(line.into_wire())
    }
}
