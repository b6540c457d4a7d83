//! Reads one line of the client, strictly.
//!
//! # Invariants
//!
//! - A line is [`Message`] only if every reader reads it alike, as one JSON-RPC 2.0 message.
//! - A message whose method is `tools/call`, however it is spelled, is a [`Call`] or refused.
//! - A refused line says its id only where that can be told without doubt.

mod params;
mod unreadable;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use self::params::Params;
pub use self::unreadable::{Attempt, Unreadable, Why};
use super::super::framing::Line;
use super::super::json::{self, Fault, Kind, Lenient, Reader, Span, Strict};
use super::{Call, Passthrough, Place, RequestId};

/// The method that is decided about.
const CALL: &str = "tools/call";

/// What stands for arguments or params that are not there.
const EMPTY: &[u8] = b"{}";

/// The members of a JSON-RPC 2.0 message.
const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// What a client's line says.
#[derive(Debug)]
pub enum Message {
    /// Call a tool.
    Call(Box<Call>),
    /// Another request.
    Request(Request),
    /// The client no longer waits for the request with this id.
    Cancelled(RequestId, Passthrough),
    /// An answer to the server's request with this id.
    Answer(RequestId, Passthrough),
    /// A notification.
    Notification(Passthrough),
}

/// A request that needs no decision.
#[derive(Debug)]
pub struct Request {
    /// What its answer is matched by.
    pub id: RequestId,
    /// Which of the requests it is that the gate looks at.
    pub method: Method,
    /// The line.
    pub line: Passthrough,
    params: Option<Range<usize>>,
}

/// The requests that the gate tells apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `server/discover` (MCP 2026-07-28)
    Discover,
    /// `prompts/get`
    GetPrompt,
    /// `initialize`
    Initialize,
    /// `subscriptions/listen` (MCP 2026-07-28): stays open as long as the client likes.
    Listen,
    /// `prompts/list`
    ListPrompts,
    /// `resources/list`
    ListResources,
    /// `tools/list`
    ListTools {
        /// Whether it asks for the first page: it has no cursor, or `null` for one.
        first: bool,
    },
    /// Any other.
    Other,
    /// `resources/read`
    ReadResource,
}

/// Reads one line.
///
/// # Errors
///
/// [`Unreadable`] for all but one JSON-RPC message that every reader reads alike.
pub fn read(line: Line) -> Result<Message, Unreadable> {
    let text = std::str::from_utf8(line.as_bytes()).map_err(|_| Fault::Utf8);
    let parts = text.map_err(Why::from).and_then(|text| Ok((text, Parts::read(text)?)));
    let (text, parts) = match parts {
        Ok(read) => read,
        Err(why) => {
            let id = id_without_doubt(line.as_bytes());
            return Err(Unreadable { why, id, attempt: None });
        }
    };
    if parts.has_line_breaks {
        // Respelled once, it has none, so this ends.
        return read(Line::of_message(&json::respell(text)));
    }
    match parts.meaning(line.as_bytes()) {
        Ok(meaning) => Ok(parts.into_message(meaning, line)),
        Err(why) => Err(parts.unreadable(why, &line)),
    }
}

/// Where the parts of a message stand, as far as the gate needs them.
#[derive(Debug, Default)]
struct Parts {
    version: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    has_result: bool,
    has_error: bool,
    has_line_breaks: bool,
    params: Params,
}

/// Which message it is, with what was found out on the way to knowing it.
enum Meaning {
    Answer(RequestId),
    Call { id: RequestId, tool: Arc<str>, arguments: Place },
    Cancelled(RequestId),
    Notification,
    Request(RequestId, Method),
}

// === impl Parts ===

impl Parts {
    fn read(text: &str) -> Result<Self, Why> {
        let mut parts = Self::default();
        let mut look_alike = false;
        let mut reader = Reader::<Strict>::new(text.as_bytes());
        match text.trim_start_matches([' ', '\t']).as_bytes().first() {
            Some(b'{') => {}
            Some(b'[') => return Err(Why::Batch),
            _ => {
                reader.value(0)?;
                reader.end()?;
                return Err(Why::NotAnObject);
            }
        }
        reader.object(|reader, name| {
            match name {
                "jsonrpc" => parts.version = Some(reader.value(1)?),
                "id" => parts.id = Some(reader.value(1)?),
                "method" => parts.method = Some(reader.value(1)?),
                "params" => parts.params = Params::read(text, reader)?,
                "result" => {
                    parts.has_result = true;
                    reader.value(1)?;
                }
                "error" => {
                    parts.has_error = true;
                    reader.value(1)?;
                }
                other => {
                    look_alike |= looks_like(other, ENVELOPE);
                    reader.value(1)?;
                }
            }
            Ok(())
        })?;
        reader.end()?;
        if look_alike {
            return Err(Why::LookAlike);
        }
        parts.has_line_breaks = reader.has_line_breaks();
        Ok(parts)
    }

    fn meaning(&self, bytes: &[u8]) -> Result<Meaning, Why> {
        let is_2_0 = |span: &Span| {
            span.kind == Kind::Text && json::unescape(&bytes[span.range.clone()]) == "2.0"
        };
        if !self.version.as_ref().is_some_and(is_2_0) {
            return Err(Why::BadVersion);
        }
        let id = match &self.id {
            None => None,
            Some(span) => {
                Some(RequestId::read(span.kind, &bytes[span.range.clone()]).ok_or(Why::BadId)?)
            }
        };
        let answers = self.has_result || self.has_error;
        let Some(method) = &self.method else {
            return match id {
                _ if self.has_result && self.has_error => Err(Why::MethodAndResult),
                Some(id) if answers => Ok(Meaning::Answer(id)),
                _ => Err(Why::NoMethod),
            };
        };
        if answers {
            return Err(Why::MethodAndResult);
        }
        if method.kind != Kind::Text {
            return Err(Why::BadMethod);
        }
        let name = json::unescape(&bytes[method.range.clone()]);
        check_method(&name)?;
        let Some(id) = id else {
            return match &*name {
                CALL => Err(Why::CallWithoutId),
                "notifications/cancelled" => Ok(self.cancelled(bytes)),
                _ => Ok(Meaning::Notification),
            };
        };
        if name == CALL {
            let tool = self.params.tool(bytes)?;
            let arguments = self.params.place()?;
            return Ok(Meaning::Call { id, tool, arguments });
        }
        Ok(Meaning::Request(id, Method::of(&name, &self.params)))
    }

    fn cancelled(&self, bytes: &[u8]) -> Meaning {
        let id = self
            .params
            .request_id
            .as_ref()
            .and_then(|span| RequestId::read(span.kind, &bytes[span.range.clone()]));
        id.map_or(Meaning::Notification, Meaning::Cancelled)
    }

    fn into_message(self, meaning: Meaning, line: Line) -> Message {
        let params = self.params;
        match meaning {
            Meaning::Answer(id) => Message::Answer(id, Passthrough(line)),
            Meaning::Cancelled(id) => Message::Cancelled(id, Passthrough(line)),
            Meaning::Notification => Message::Notification(Passthrough(line)),
            Meaning::Request(id, method) => {
                let params = params.span.map(|span| span.range);
                Message::Request(Request { id, method, line: Passthrough(line), params })
            }
            Meaning::Call { id, tool, arguments } => {
                let progress_token = params
                    .progress_token
                    .filter(|span| matches!(span.kind, Kind::Number | Kind::Text))
                    .and_then(|span| std::str::from_utf8(&line.as_bytes()[span.range]).ok())
                    .map(Into::into);
                Message::Call(Box::new(Call {
                    id,
                    tool,
                    arguments,
                    meta: params.meta,
                    state: of_kind(params.state, Kind::Text),
                    responses: of_kind(params.responses, Kind::Object),
                    progress_token,
                    modern: params.modern,
                    task: params.task,
                    line,
                }))
            }
        }
    }

    fn unreadable(&self, why: Why, line: &Line) -> Unreadable {
        let bytes = line.as_bytes();
        let id = self
            .id
            .as_ref()
            .and_then(|span| RequestId::read(span.kind, &bytes[span.range.clone()]));
        Unreadable { why, id, attempt: self.attempt(line).map(Box::new) }
    }

    /// The call that a refused line would have been. The whole line was read strictly.
    fn attempt(&self, line: &Line) -> Option<Attempt> {
        let bytes = line.as_bytes();
        let method = self.method.as_ref().filter(|span| span.kind == Kind::Text)?;
        if self.has_result || self.has_error || json::unescape(&bytes[method.range.clone()]) != CALL
        {
            return None;
        }
        let arguments = match &self.params.arguments {
            Some(Span { kind: Kind::Object, range }) => line.slice(range.clone()),
            Some(_) | None => Bytes::from_static(EMPTY),
        };
        Some(Attempt {
            tool: self.params.tool(bytes).ok()?,
            arguments,
            meta: self.params.meta.clone().map(|range| line.slice(range)),
        })
    }
}

// === impl Request ===

impl Request {
    /// The text of its `params`; `{}` where it has none. A slice of the line.
    pub fn params(&self) -> Bytes {
        match &self.params {
            Some(range) => self.line.0.slice(range.clone()),
            None => Bytes::from_static(EMPTY),
        }
    }
}

// === impl Method ===

impl Method {
    fn of(name: &str, params: &Params) -> Self {
        match name {
            "initialize" => Self::Initialize,
            "prompts/get" => Self::GetPrompt,
            "prompts/list" => Self::ListPrompts,
            "resources/list" => Self::ListResources,
            "resources/read" => Self::ReadResource,
            "server/discover" => Self::Discover,
            "subscriptions/listen" => Self::Listen,
            "tools/list" => Self::ListTools { first: !params.has_cursor },
            _ => Self::Other,
        }
    }

    /// Whether it is told as a [`Happening`](super::super::happening::Happening).
    pub fn is_told(self) -> bool {
        match self {
            Self::Discover
            | Self::GetPrompt
            | Self::Initialize
            | Self::ListPrompts
            | Self::ListResources
            | Self::ListTools { .. }
            | Self::ReadResource => true,
            Self::Listen | Self::Other => false,
        }
    }
}

/// Whether some reader takes `name` for one of `reserved`, none of which it is: other case,
/// characters that fold onto ASCII, control characters that are stripped.
fn looks_like(name: &str, reserved: &[&str]) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    let is_reserved = reserved.contains(&name);
    !is_reserved && (!plain || reserved.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

fn of_kind(span: Option<Span>, kind: Kind) -> Option<Range<usize>> {
    span.filter(|span| span.kind == kind).map(|span| span.range)
}

fn check_method(name: &str) -> Result<(), Why> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    let letters = || name.bytes().filter(u8::is_ascii_alphanumeric);
    let folded = letters().map(|byte| byte.to_ascii_lowercase());
    if !plain || (name != CALL && folded.eq(*b"toolscall")) {
        return Err(Why::BadMethod);
    }
    Ok(())
}

/// The id of a line that is refused: the one member `id` of the outermost object, read as
/// leniently as anybody reads.
fn id_without_doubt(bytes: &[u8]) -> Option<RequestId> {
    let mut ids = 0;
    let mut id = None;
    let mut reader = Reader::<Lenient>::new(bytes);
    reader
        .object(|reader, name| {
            let value = reader.value(1)?;
            if name == "id" {
                ids += 1;
                id = RequestId::read(value.kind, &bytes[value.range]);
            }
            Ok(())
        })
        .ok()?;
    reader.end().ok()?;
    if bytes.contains(&b'\r') || ids > 1 {
        return None;
    }
    id
}
