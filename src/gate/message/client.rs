//! Reads one line of the client, strictly.
//!
//! # Invariants
//!
//! - A line is [`Message`] only if every reader reads it alike, as one JSON-RPC 2.0 message.
//! - A message whose method is `tools/call`, however it is spelled, is a [`Call`] or refused.
//! - A refused line says its id only where that can be told without doubt.

use std::ops::Range;

use super::super::framing::Line;
use super::super::json::{self, Fault, Kind, Lenient, Reader, Span, Strict};
use super::{Call, Passthrough, Place, RequestId};

/// The member that a message of the era without handshake carries (MCP 2026-07-28, basic/index).
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The members of a JSON-RPC 2.0 message.
const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// The members of a call's params that servers act on.
const PARAMS: &[&str] = &["name", "arguments", "_meta", "task", "inputResponses", "requestState"];

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
}

/// The requests that the gate tells apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `subscriptions/listen` (MCP 2026-07-28): stays open as long as the client likes.
    Listen,
    /// `tools/list`
    ListTools,
    /// Any other.
    Other,
}

/// A line that is not forwarded, because readers may differ about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// Why.
    pub why: Why,
    /// The request's id, where it can be told without doubt.
    pub id: Option<RequestId>,
}

/// Why a line is not forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Why {
    /// Several messages in one array, which the protocol dropped in its 2025-06-18 revision.
    #[error("batches are not part of this protocol: send each message on a line of its own")]
    Batch,
    /// A call's `arguments` that are no object.
    #[error("the arguments of a tool call must be an object")]
    BadArguments,
    /// An id that is no integer and no string, or an excessively long one.
    #[error("an id must be an integer or a string")]
    BadId,
    /// A method that is no plain text, or one that could be taken for `tools/call`.
    #[error("a method must be plain text, and `tools/call` spelled exactly so")]
    BadMethod,
    /// A call whose `params` are no object with a `name`.
    #[error("the params of a tool call must be an object with the tool's name")]
    BadParams,
    /// A tool's name that is empty or holds control characters.
    #[error("a tool's name must be text without control characters")]
    BadToolName,
    /// `jsonrpc` is not `"2.0"`.
    #[error("a message must say \"jsonrpc\": \"2.0\"")]
    BadVersion,
    /// A call as a notification: its outcome could never be told.
    #[error("a tool call needs an id")]
    CallWithoutId,
    /// A member that some readers take for another one.
    #[error("a member whose name only looks like one of the protocol's")]
    LookAlike,
    /// A `method` beside a `result` or an `error`, or both of those.
    #[error("a message is either a request or one answer")]
    MethodAndResult,
    /// Neither a request nor an answer.
    #[error("neither a request nor an answer")]
    NoMethod,
    /// Not an object.
    #[error("a message must be a JSON object")]
    NotAnObject,
    /// Not JSON that every reader reads alike.
    #[error(transparent)]
    Json(#[from] Fault),
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
            return Err(Unreadable { why, id });
        }
    };
    if parts.has_line_breaks {
        // Respelled once, it has none, so this ends.
        return read(Line::of_message(&json::respell(text)));
    }
    let id = parts.readable_id(text);
    parts.into_message(line).map_err(|why| Unreadable { why, id })
}

/// Where the parts of a message stand, as far as the gate needs them.
#[expect(clippy::struct_excessive_bools, reason = "each says whether one member is there")]
#[derive(Debug, Default)]
struct Parts {
    version: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    has_params: bool,
    has_result: bool,
    has_error: bool,
    has_line_breaks: bool,
    params: Params,
}

/// Where the parts of `params` stand.
#[expect(clippy::struct_excessive_bools, reason = "each says whether one member is there")]
#[derive(Debug, Default)]
struct Params {
    /// The object, where it is one.
    object: Option<Range<usize>>,
    is_empty: bool,
    /// Whether a member's name only looks like one that servers act on.
    look_alike: bool,
    name: Option<Span>,
    arguments: Option<Span>,
    request_id: Option<Span>,
    task: bool,
    modern: bool,
    progress_token: Option<Span>,
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
                "params" => {
                    parts.has_params = true;
                    parts.params = Params::read(text, reader)?;
                }
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

    fn readable_id(&self, text: &str) -> Option<RequestId> {
        let span = self.id.as_ref()?;
        RequestId::read(span.kind, &text.as_bytes()[span.range.clone()])
    }

    fn into_message(self, line: Line) -> Result<Message, Why> {
        let bytes = line.as_bytes();
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
                Some(id) if answers => Ok(Message::Answer(id, Passthrough(line))),
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
                "tools/call" => Err(Why::CallWithoutId),
                "notifications/cancelled" => Ok(self.cancelled(line)),
                _ => Ok(Message::Notification(Passthrough(line))),
            };
        };
        let method = match &*name {
            "tools/call" => {
                return self.call(id, line).map(|call| Message::Call(Box::new(call)));
            }
            "tools/list" => Method::ListTools,
            "subscriptions/listen" => Method::Listen,
            _ => Method::Other,
        };
        Ok(Message::Request(Request { id, method, line: Passthrough(line) }))
    }

    fn cancelled(&self, line: Line) -> Message {
        let id = self
            .params
            .request_id
            .as_ref()
            .and_then(|span| RequestId::read(span.kind, &line.as_bytes()[span.range.clone()]));
        match id {
            Some(id) => Message::Cancelled(id, Passthrough(line)),
            None => Message::Notification(Passthrough(line)),
        }
    }

    fn call(self, id: RequestId, line: Line) -> Result<Call, Why> {
        let bytes = line.as_bytes();
        let params = self.params;
        let (true, Some(object)) = (self.has_params, params.object) else {
            return Err(Why::BadParams);
        };
        if params.look_alike {
            return Err(Why::LookAlike);
        }
        let name = match params.name {
            Some(span) if span.kind == Kind::Text => json::unescape(&bytes[span.range]),
            _ => return Err(Why::BadParams),
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Why::BadToolName);
        }
        let arguments = match params.arguments {
            Some(span) if span.kind == Kind::Object => Place::At(span.range),
            Some(_) => return Err(Why::BadArguments),
            None if params.is_empty => Place::AloneAt(object.start + 1),
            None => Place::BeforeOthersAt(object.start + 1),
        };
        let progress_token = params
            .progress_token
            .filter(|span| matches!(span.kind, Kind::Number | Kind::Text))
            .and_then(|span| std::str::from_utf8(&bytes[span.range]).ok())
            .map(Into::into);
        Ok(Call {
            id,
            tool: name.into(),
            arguments,
            progress_token,
            modern: params.modern,
            task: params.task,
            line,
        })
    }
}

// === impl Params ===

impl Params {
    fn read(text: &str, reader: &mut Reader<'_, Strict>) -> Result<Self, Fault> {
        let mut params = Self { is_empty: true, ..Self::default() };
        if !starts_object(text, reader) {
            reader.value(1)?;
            return Ok(params);
        }
        let object = reader.object(|reader, name| {
            params.is_empty = false;
            match name {
                "name" => params.name = Some(reader.value(2)?),
                "arguments" => params.arguments = Some(reader.value(2)?),
                "requestId" => params.request_id = Some(reader.value(2)?),
                "task" => {
                    params.task = true;
                    reader.value(2)?;
                }
                "_meta" => params.meta(text, reader)?,
                other => {
                    params.look_alike |= looks_like(other, PARAMS);
                    reader.value(2)?;
                }
            }
            Ok(())
        })?;
        params.object = Some(object);
        Ok(params)
    }

    fn meta(&mut self, text: &str, reader: &mut Reader<'_, Strict>) -> Result<(), Fault> {
        if !starts_object(text, reader) {
            reader.value(2)?;
            return Ok(());
        }
        reader.object(|reader, name| {
            let value = reader.value(3)?;
            match name {
                PROTOCOL_VERSION => self.modern = value.kind == Kind::Text,
                "progressToken" => self.progress_token = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Whether the next value is an object. Blanks were not read yet.
fn starts_object(text: &str, reader: &Reader<'_, Strict>) -> bool {
    text[reader.position()..].trim_start_matches([' ', '\t']).starts_with('{')
}

/// Whether some reader takes `name` for one of `reserved`, none of which it is: other case,
/// characters that fold onto ASCII, control characters that are stripped.
fn looks_like(name: &str, reserved: &[&str]) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    let is_reserved = reserved.contains(&name);
    !is_reserved && (!plain || reserved.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

fn check_method(name: &str) -> Result<(), Why> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    let letters = || name.bytes().filter(u8::is_ascii_alphanumeric);
    let folded = letters().map(|byte| byte.to_ascii_lowercase());
    if !plain || (name != "tools/call" && folded.eq(*b"toolscall")) {
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

// === impl Why ===

impl Why {
    /// The JSON-RPC code to answer with: a parse error, or an invalid request.
    pub fn code(self) -> i64 {
        match self {
            Self::Json(_) => -32_700,
            Self::Batch
            | Self::BadArguments
            | Self::BadId
            | Self::BadMethod
            | Self::BadParams
            | Self::BadToolName
            | Self::BadVersion
            | Self::CallWithoutId
            | Self::LookAlike
            | Self::MethodAndResult
            | Self::NoMethod
            | Self::NotAnObject => -32_600,
        }
    }

    /// A stable word for programs: `error.data.reason_code`.
    pub fn reason_code(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::BadArguments => "bad_arguments",
            Self::BadId => "bad_id",
            Self::BadMethod => "bad_method",
            Self::BadParams => "bad_params",
            Self::BadToolName => "bad_tool_name",
            Self::BadVersion => "bad_version",
            Self::CallWithoutId => "call_without_id",
            Self::LookAlike => "look_alike_member",
            Self::MethodAndResult => "method_and_result",
            Self::NoMethod => "no_method",
            Self::NotAnObject => "not_an_object",
            Self::Json(Fault::CarriageReturn) => "carriage_return",
            Self::Json(Fault::Depth) => "too_deep",
            Self::Json(Fault::Infinite) => "number_too_large",
            Self::Json(Fault::LoneSurrogate) => "lone_surrogate",
            Self::Json(Fault::Repeated) => "repeated_member",
            Self::Json(Fault::Syntax) => "not_json",
            Self::Json(Fault::Trailing) => "several_values",
            Self::Json(Fault::Utf8) => "not_utf8",
        }
    }
}
