//! What a client's message says, as far as it must be known to carry it.
//!
//! Whether it is a message at all, and what it means, is read by the gate's own reader: so what is
//! waited for here is what the gate will answer. Nothing is decided about it, and nothing changed but
//! line ends between its parts, which would end a line.
//!
//! # Invariants
//!
//! - One body is one line.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;

use super::members::{self, Value};
use crate::gate::framing::{Framer, Line};
use crate::gate::json::{Kind, Strict};
use crate::gate::message::RequestId;
use crate::gate::message::client::{self, Unreadable};
use crate::mirror::{Named, VERSION_MEMBER};

/// The member that says what its client can do.
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// One message of a client.
#[derive(Debug)]
pub(super) struct Message {
    /// The line that it becomes.
    pub(super) line: Bytes,
    /// What is to be waited for.
    pub(super) kind: MessageKind,
    /// What else it says.
    pub(super) parts: Parts,
}

/// What is to be waited for.
#[derive(Debug)]
pub(super) enum MessageKind {
    /// An answer to a request with this id.
    Request(RequestId),
    /// Nothing; and nothing more of this request, either.
    Cancelled(RequestId),
    /// Nothing.
    Notice,
    /// The gate's refusal, which names this id or none.
    Doubtful(Unreadable),
}

/// Parts of a message.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// `method`
    pub(super) method: Option<String>,
    /// The protocol's version, where the message names one in `params._meta`.
    pub(super) version: Option<String>,
    /// Whether `params._meta` says what the client can do, as it must without sessions.
    pub(super) has_capabilities: bool,
    /// The progress token, by type and value.
    pub(super) token: Option<String>,
    /// `params.name`
    pub(super) name: Option<String>,
    /// `params.uri`
    pub(super) uri: Option<String>,
    /// `params.taskId`
    pub(super) task: Option<String>,
    /// The text of `params.arguments`.
    arguments: Option<Bytes>,
}

// === impl Message ===

impl Message {
    /// Reads a body. `None` for a blank one.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut wire = BytesMut::with_capacity(body.len() + 1);
        wire.put_slice(&on_one_line(body));
        wire.put_u8(b'\n');
        let wire = wire.freeze();
        let text = wire.slice(..wire.len() - 1);
        let kind = MessageKind::of(line(&text)?);
        let parts = match kind {
            MessageKind::Doubtful(_) => Parts::default(),
            MessageKind::Request(_) | MessageKind::Cancelled(_) | MessageKind::Notice => {
                Parts::read(&text)
            }
        };
        Some(Self { line: wire, kind, parts })
    }

    /// Whether it belongs to the era without sessions.
    pub(super) fn is_modern(&self) -> bool {
        self.parts.version.is_some()
    }
}

impl MessageKind {
    fn of(line: Line) -> Self {
        match client::read(line) {
            Ok(client::Message::Call(call)) => Self::Request(call.id().clone()),
            Ok(client::Message::Request(request)) => Self::Request(request.id),
            Ok(client::Message::Cancelled(id, _)) => Self::Cancelled(id),
            Ok(client::Message::Answer(..) | client::Message::Notification(_)) => Self::Notice,
            Err(unreadable) => Self::Doubtful(unreadable),
        }
    }
}

// === impl Parts ===

impl Parts {
    /// The member that the header `Mcp-Name` says again.
    pub(super) fn named(&self, named: Named) -> Option<&str> {
        match named {
            Named::Name => self.name.as_deref(),
            Named::Uri => self.uri.as_deref(),
            Named::TaskId => self.task.as_deref(),
        }
    }

    /// The text of the arguments; of none where there are none.
    pub(super) fn arguments(&self) -> &[u8] {
        self.arguments.as_deref().unwrap_or(b"{}")
    }

    fn read(text: &Bytes) -> Self {
        let mut parts = Self::default();
        members::each::<Strict>(text, |name, value| match name {
            "method" => parts.method = value.string(),
            "params" => parts.read_params(text, value),
            _ => {}
        });
        parts
    }

    fn read_params(&mut self, text: &Bytes, params: Value<'_>) {
        members::each::<Strict>(params.text, |name, value| match name {
            "name" => self.name = value.string(),
            "uri" => self.uri = value.string(),
            "taskId" => self.task = value.string(),
            "arguments" if value.kind == Kind::Object => {
                self.arguments = Some(text.slice_ref(value.text));
            }
            "_meta" => members::each::<Strict>(value.text, |name, value| match name {
                VERSION_MEMBER => self.version = value.string(),
                CAPABILITIES => self.has_capabilities = value.kind == Kind::Object,
                "progressToken" => self.token = value.key(),
                _ => {}
            }),
            _ => {}
        });
    }
}

/// The line that these bytes are; `None` for a blank one.
fn line(text: &[u8]) -> Option<Line> {
    let mut framer = Framer::new(text.len());
    framer.space().put_slice(text);
    framer.last_line()?.ok()
}

/// The body with blanks in place of line ends between its parts. Those inside of a string are left
/// for the gate to refuse: no JSON holds them.
fn on_one_line(body: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\n', b'\r', body).is_none() {
        return Cow::Borrowed(body);
    }
    let (mut in_string, mut is_escaped) = (false, false);
    let spelled = body.iter().map(|&byte| {
        match byte {
            b'"' if !is_escaped => in_string = !in_string,
            b'\n' | b'\r' if !in_string => return b' ',
            // A line end would make two lines of it; this makes one that is refused.
            b'\n' => return b'\r',
            _ => {}
        }
        is_escaped = in_string && byte == b'\\' && !is_escaped;
        byte
    });
    Cow::Owned(spelled.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Message {
        Message::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_message_is_what_the_gate_takes_it_for() {
        let kind = |body| match read(body).kind {
            MessageKind::Request(id) => format!("request {}", id.literal()),
            MessageKind::Cancelled(id) => format!("cancelled {}", id.literal()),
            MessageKind::Notice => "notice".to_owned(),
            MessageKind::Doubtful(Unreadable { why, .. }) => format!("doubtful: {why}"),
        };
        for (body, is) in [
            (r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#, "request \"a\""),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}"#,
                "request 7",
            ),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "notice"),
            (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, "notice"),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
                "cancelled 7",
            ),
            (
                "[]",
                "doubtful: batches are not part of this protocol: send each message on a line of its own",
            ),
            ("{\"jsonrpc\":\"2.0\",\"id\":7,\n\"method\":\"ping\"}\r\n", "request 7"),
            (
                "{\"jsonrpc\":\"2.0\",\"id\":\"a\n\",\"method\":\"ping\"}",
                "doubtful: a raw carriage return, which some readers take for the end of a message",
            ),
            (
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n{\"jsonrpc\":\"2.0\"}",
                "doubtful: more than one JSON value",
            ),
        ] {
            assert_eq!(kind(body), is, "{body}");
        }
    }

    #[test]
    fn a_body_becomes_one_line_that_says_the_same() {
        let message = read("\r\n{\n  \"a\": \"x\\\"\\\\\",\r\n  \"b\": [1,\n2]\n}\n");
        assert_eq!(message.line, "  {   \"a\": \"x\\\"\\\\\",    \"b\": [1, 2] } \n");
        assert!(Message::read(b" \r\n").is_none());
    }

    #[test]
    fn parts_are_found_wherever_they_stand() {
        let parts = read(
            r#"{"params":{"_meta":{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28"},
            "arguments":{"a":1},"name":"\u0078"},"method":"tools/call","id":1,"jsonrpc":"2.0"}"#,
        )
        .parts;
        assert_eq!(parts.method.as_deref(), Some("tools/call"));
        assert_eq!(parts.version.as_deref(), Some("2026-07-28"));
        assert_eq!(parts.token.as_deref(), Some("1"));
        assert_eq!(parts.name.as_deref(), Some("x"));
        assert_eq!(parts.arguments(), br#"{"a":1}"#);
    }
}
