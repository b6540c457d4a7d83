//! Lines of the client that are not forwarded, and why.

use std::sync::Arc;

use bytes::Bytes;

use super::super::super::json::Fault;
use super::RequestId;

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

/// A call that is no [`Call`](crate::gate::message::Call), since something else about its line is wrong: its id, its version,
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
