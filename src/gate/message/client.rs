//! Reads one line of the client, strictly.
//!
//! # Invariants
//!
//! - A line is [`Message`] only if every reader reads it alike, as one JSON-RPC 2.0 message.
//! - A message whose method is `tools/call`, however it is spelled, is a [`Call`] or refused.
//! - A refused line says its id only where that can be told without doubt.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::super::framing::Line;
use super::super::json::{self, Fault, Kind, Lenient, Reader, Span, Strict};
use super::{Call, Passthrough, Place, RequestId};

/// The member that a message of the era without handshake carries (MCP 2026-07-28, basic/index).
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The method that is decided about.
const CALL: &str = "tools/call";

/// What stands for arguments or params that are not there.
const EMPTY: &[u8] = b"{}";

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

/// A line that is not forwarded, because readers may differ about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// Why.
    pub why: Why,
    /// The request's id, where it can be told without doubt.
    pub id: Option<RequestId>,
    /// The call it would have been, where every reader reads its tool's name alike.
    pub attempt: Option<Box<Attempt>>,
}

/// A call that is no [`Call`], since something else about its line is wrong: its id, its version,
/// its arguments. For telling, never for forwarding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The tool's name, unescaped.
    pub tool: Arc<str>,
    /// The text of its arguments; `{}` where they are no object. A slice of the line.
    pub arguments: Bytes,
    /// The text of `params._meta`, where that is an object. A slice of the line.
    pub meta: Option<Bytes>,
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
#[expect(clippy::struct_excessive_bools, reason = "each says whether one member is there")]
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

/// Where the parts of `params` stand.
#[expect(clippy::struct_excessive_bools, reason = "each says whether one member is there")]
#[derive(Debug, Default)]
struct Params {
    /// All of them, where there are any; their members follow where they are an object.
    span: Option<Span>,
    is_empty: bool,
    /// Whether a member's name only looks like one that servers act on.
    look_alike: bool,
    name: Option<Span>,
    arguments: Option<Span>,
    request_id: Option<Span>,
    task: bool,
    has_cursor: bool,
    /// `_meta`, where it is an object; its members follow.
    meta: Option<Range<usize>>,
    modern: bool,
    progress_token: Option<Span>,
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

// === impl Params ===

impl Params {
    fn read(text: &str, reader: &mut Reader<'_, Strict>) -> Result<Self, Fault> {
        let mut params = Self { is_empty: true, ..Self::default() };
        if !starts_object(text, reader) {
            params.span = Some(reader.value(1)?);
            return Ok(params);
        }
        let range = reader.object(|reader, name| {
            params.is_empty = false;
            match name {
                "name" => params.name = Some(reader.value(2)?),
                "arguments" => params.arguments = Some(reader.value(2)?),
                "requestId" => params.request_id = Some(reader.value(2)?),
                "task" => {
                    params.task = true;
                    reader.value(2)?;
                }
                "cursor" => {
                    let cursor = reader.value(2)?;
                    params.has_cursor = text[cursor.range] != *"null";
                }
                "_meta" => params.meta(text, reader)?,
                other => {
                    params.look_alike |= looks_like(other, PARAMS);
                    reader.value(2)?;
                }
            }
            Ok(())
        })?;
        params.span = Some(Span { kind: Kind::Object, range });
        Ok(params)
    }

    fn meta(&mut self, text: &str, reader: &mut Reader<'_, Strict>) -> Result<(), Fault> {
        if !starts_object(text, reader) {
            reader.value(2)?;
            return Ok(());
        }
        let range = reader.object(|reader, name| {
            let value = reader.value(3)?;
            match name {
                PROTOCOL_VERSION => self.modern = value.kind == Kind::Text,
                "progressToken" => self.progress_token = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        self.meta = Some(range);
        Ok(())
    }

    /// The object they are.
    fn object(&self) -> Option<&Range<usize>> {
        self.span.as_ref().filter(|span| span.kind == Kind::Object).map(|span| &span.range)
    }

    /// The name of the tool that is called.
    fn tool(&self, bytes: &[u8]) -> Result<Arc<str>, Why> {
        if self.object().is_none() {
            return Err(Why::BadParams);
        }
        if self.look_alike {
            return Err(Why::LookAlike);
        }
        let name = match &self.name {
            Some(span) if span.kind == Kind::Text => json::unescape(&bytes[span.range.clone()]),
            _ => return Err(Why::BadParams),
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Why::BadToolName);
        }
        Ok(name.into())
    }

    /// Where the arguments of a call stand.
    fn place(&self) -> Result<Place, Why> {
        let start = self.object().ok_or(Why::BadParams)?.start + 1;
        match &self.arguments {
            Some(span) if span.kind == Kind::Object => Ok(Place::At(span.range.clone())),
            Some(_) => Err(Why::BadArguments),
            None if self.is_empty => Ok(Place::AloneAt(start)),
            None => Ok(Place::BeforeOthersAt(start)),
        }
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
