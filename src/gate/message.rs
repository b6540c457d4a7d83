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
//!   inside strings, which are sent as escapes, for what thoth had added to the arguments or asked the
//!   client and takes out before anybody judges it, and for arguments that a permit replaces.

pub mod client;
pub mod elicitation;
pub mod retry;
pub mod server;

mod id;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use self::id::{RequestId, of_overlong as overlong_id};
use super::decide::Permit;
use super::framing::Line;
use super::verdict::Arguments;

/// A tool call that is not decided yet.
#[derive(Debug)]
pub struct Call {
    id: RequestId,
    tool: Arc<str>,
    line: Line,
    arguments: Place,
    /// Where `params._meta` stands, where that is an object.
    meta: Option<Range<usize>>,
    /// Where `params.requestState` stands, where that is text.
    state: Option<Range<usize>>,
    /// Where `params.inputResponses` stands, where that is an object.
    responses: Option<Range<usize>>,
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

    /// The text of `params._meta`, where that is an object. A slice of the line.
    pub fn meta(&self) -> Option<Bytes> {
        self.meta.clone().map(|range| self.line.slice(range))
    }

    /// The same call with other arguments. Whatever is judged, written down and sent from here on
    /// is this one.
    #[must_use]
    pub fn with_arguments(self, arguments: &Arguments) -> Self {
        let (line, range) = self.arguments.fill(&self.line, arguments);
        let (was, is) = (self.size(), line.as_bytes().len());
        let moved = |at: usize| if at < self.arguments.at() { at } else { at + is - was };
        let moved = |part: Range<usize>| moved(part.start)..moved(part.end);
        let (meta, state) = (self.meta.map(moved), self.state.map(moved));
        let responses = self.responses.map(moved);
        Self { line, arguments: Place::At(range), meta, state, responses, ..self }
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

// === impl Place ===

impl Place {
    /// Where the arguments begin, or would.
    fn at(&self) -> usize {
        match self {
            Self::At(range) => range.start,
            Self::AloneAt(at) | Self::BeforeOthersAt(at) => *at,
        }
    }

    /// The line with these arguments here, and where they stand in it.
    fn fill(&self, line: &Line, arguments: &Arguments) -> (Line, Range<usize>) {
        const MEMBER: &[u8] = b"\"arguments\":";

        let arguments = arguments.as_str().as_bytes();
        let (range, before, after): (_, &[u8], &[u8]) = match self {
            Self::At(range) => (range.clone(), b"", b""),
            Self::AloneAt(at) => (*at..*at, MEMBER, b""),
            Self::BeforeOthersAt(at) => (*at..*at, MEMBER, b","),
        };
        let start = range.start + before.len();
        (line.replaced(range, [before, arguments, after]), start..start + arguments.len())
    }
}

// === impl Passthrough ===

impl Passthrough {
    /// The message's bytes, without the line ending.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

// === impl Outbound ===

impl Outbound {
    /// Lets one call through, for one permit.
    pub fn permitted(call: Call, permit: Permit) -> Self {
        let Some(arguments) = permit.into_arguments() else {
            return Self(call.line.into_wire());
        };
        Self(call.arguments.fill(&call.line, &arguments).0.into_wire())
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
