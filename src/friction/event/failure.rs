//! Why something failed, in the words of the wire.
//!
//! Codes stay what the server made them; endings that no answer tells of have names of their own,
//! those of baton-proxy where it has one, so that collectors count them together.

use std::borrow::Cow;

use crate::friction::raw::{Raw, RawObject};
use crate::gate::json::{Kind, unescape};

/// Why something failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure<'a> {
    /// A JSON-RPC code in decimal, or a word.
    pub error_type: Cow<'a, str>,
    /// What was said about it.
    pub body: Cow<'a, str>,
    /// What kind of failure it is, where that can be told.
    pub kind: Option<FailureKind>,
}

/// The kinds that the format registers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// The arguments do not fit the tool.
    InvalidArgument,
    /// The tool's answer does not fit the schema it announced.
    OutputSchemaMismatch,
    /// The tool exists and is switched off.
    ToolDisabled,
    /// There is no such tool.
    UnknownTool,
}

/// How a request ends without an answer of the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unanswered {
    /// The client cancelled it, and no answer came.
    Cancelled,
    /// The session ended, or the server did.
    Closed,
    /// The client used the id of a request that was still open.
    IdReused,
    /// The request's id cannot be one.
    IdInvalid,
}

/// What a tool's answer says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict<'a> {
    /// It failed.
    Failed(Failure<'a>),
    /// It did what was asked, as far as it says.
    Succeeded,
}

// === impl Failure ===

impl<'a> Failure<'a> {
    /// Reads the `error` of an answer, whatever it is.
    pub fn of_error(error: &'a [u8]) -> Self {
        let error = RawObject::read(error);
        let code = error.and_then(|error| error.member("code")).map(scalar);
        let body = error.and_then(|error| error.member("message")).map(scalar).unwrap_or_default();
        let error_type = code.filter(|code| !code.is_empty()).unwrap_or("unknown".into());
        // Servers report arguments that do not fit, and tools that are not there, under one code.
        let kind = match &*error_type {
            "-32602" => FailureKind::told_by(&body).or(Some(FailureKind::InvalidArgument)),
            _ => FailureKind::told_by(&body),
        };
        Self { error_type, body, kind }
    }

    /// Reads a tool's result that says `isError: true`.
    pub fn of_tool(result: &[u8]) -> Self {
        let body = texts(RawObject::read(result).and_then(|result| result.member("content")));
        let kind = FailureKind::told_by(&body);
        Self { error_type: "tool_error".into(), body: body.into(), kind }
    }

    /// A call that thoth refused.
    pub fn refused(code: i64, reason: &'a str) -> Self {
        Self { error_type: code.to_string().into(), body: reason.into(), kind: None }
    }

    /// A request without an answer.
    pub fn unanswered(why: Unanswered) -> Self {
        let (error_type, body) = match why {
            Unanswered::Cancelled => (
                "proxy_client_cancelled",
                "the client cancelled the request before it was answered",
            ),
            Unanswered::Closed => {
                ("proxy_upstream_closed", "the session ended before the server answered")
            }
            Unanswered::IdReused => {
                ("proxy_request_id_reused", "the id belongs to a request that is still open")
            }
            Unanswered::IdInvalid => (
                "proxy_request_id_invalid",
                "the request's id is not one that can be forwarded: a string, or a whole number",
            ),
        };
        Self { error_type: error_type.into(), body: body.into(), kind: None }
    }
}

// === impl Verdict ===

impl Verdict<'_> {
    /// Reads a tool's result. It failed if `isError` is `true`, and nothing else that is true to
    /// some languages.
    pub fn of_result(result: &[u8]) -> Self {
        let Some(result) = RawObject::read(result) else {
            return Self::Succeeded;
        };
        if result.member("isError").map(Raw::text) != Some(b"true") {
            return Self::Succeeded;
        }
        Self::Failed(Failure::of_tool(result.text()))
    }
}

// === impl FailureKind ===

impl FailureKind {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::OutputSchemaMismatch => "output_schema_mismatch",
            Self::ToolDisabled => "tool_disabled",
            Self::UnknownTool => "unknown_tool",
        }
    }

    /// What the official SDKs' own messages say: the Python and the TypeScript one.
    fn told_by(message: &str) -> Option<Self> {
        let message = message.trim_start();
        let message = message.strip_prefix("MCP error -32602: ").unwrap_or(message);
        let start = |word: &str| {
            message.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if start("unknown tool") {
            Some(Self::UnknownTool)
        } else if start("input validation error") || start("invalid arguments for tool") {
            Some(Self::InvalidArgument)
        } else if start("output validation error") {
            Some(Self::OutputSchemaMismatch)
        } else if start("tool ") && message.ends_with(" not found") {
            Some(Self::UnknownTool)
        } else if start("tool ") && message.ends_with(" disabled") {
            Some(Self::ToolDisabled)
        } else {
            None
        }
    }
}

/// A string's text; of anything else, its spelling.
fn scalar(value: Raw<'_>) -> Cow<'_, str> {
    match value.kind() {
        Kind::Text => unescape(value.text()),
        Kind::Literal if value.text() == b"null" => Cow::Borrowed(""),
        Kind::Number | Kind::Literal | Kind::Array | Kind::Object => {
            String::from_utf8_lossy(value.text())
        }
    }
}

/// The texts of a result's parts that are not blank, a line each.
fn texts(content: Option<Raw<'_>>) -> String {
    let mut body = String::new();
    for part in content.into_iter().flat_map(Raw::elements) {
        let text = part.object().and_then(|part| part.member("text")).map(scalar);
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(&text);
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_named_by_its_code() {
        use FailureKind::{InvalidArgument, OutputSchemaMismatch, ToolDisabled, UnknownTool};
        let table: [(&str, &str, &str, Option<FailureKind>); 13] = [
            (r#"{"code":-32050,"message":"boom"}"#, "-32050", "boom", None),
            (r#"{"message":"x"}"#, "unknown", "x", None),
            (r#"{"code":"","message":null}"#, "unknown", "", None),
            (r#"{"code":null}"#, "unknown", "", None),
            (r#"{"code":"E7","message":"a\nb"}"#, "E7", "a\nb", None),
            (r#"{"code":1.5,"message":7}"#, "1.5", "7", None),
            ("null", "unknown", "", None),
            ("[1", "unknown", "", None),
            (r#"{"code":-32602,"message":"x"}"#, "-32602", "x", Some(InvalidArgument)),
            (
                r#"{"code":-32602,"message":"Unknown tool: t"}"#,
                "-32602",
                "Unknown tool: t",
                Some(UnknownTool),
            ),
            (
                r#"{"code":-32602,"message":"MCP error -32602: Tool t not found"}"#,
                "-32602",
                "MCP error -32602: Tool t not found",
                Some(UnknownTool),
            ),
            (
                r#"{"code":-32602,"message":"Tool t disabled"}"#,
                "-32602",
                "Tool t disabled",
                Some(ToolDisabled),
            ),
            (
                r#"{"code":-32603,"message":"Output validation error: x"}"#,
                "-32603",
                "Output validation error: x",
                Some(OutputSchemaMismatch),
            ),
        ];
        for (error, error_type, body, kind) in table {
            let failure = Failure::of_error(error.as_bytes());
            assert_eq!(
                (&*failure.error_type, &*failure.body, failure.kind),
                (error_type, body, kind)
            );
        }
    }

    #[test]
    fn only_is_error_true_is_a_failure() {
        let table: [(&str, Option<&str>); 9] = [
            (r#"{"content":[],"isError":true}"#, Some("")),
            (r#"{"isError":true}"#, Some("")),
            (
                r#"{"content":[{"type":"text","text":"a"},{"type":"image"},{"text":" "},7,{"text":"b"}],"isError":true}"#,
                Some("a\nb"),
            ),
            (r#"{"content":"text","isError":true}"#, Some("")),
            (r#"{"content":[],"isError":false}"#, None),
            (r#"{"content":[],"isError":"true"}"#, None),
            (r#"{"content":[],"isError":1}"#, None),
            (r#"{"structuredContent":{"isError":true}}"#, None),
            ("7", None),
        ];
        for (result, body) in table {
            let verdict = Verdict::of_result(result.as_bytes());
            let expected = match body {
                None => Verdict::Succeeded,
                Some(body) => Verdict::Failed(Failure {
                    error_type: "tool_error".into(),
                    body: body.into(),
                    kind: None,
                }),
            };
            assert_eq!(verdict, expected, "{result}");
        }
    }
}
