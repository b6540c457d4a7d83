//! Whether the headers of a message say what its body says (MCP 2026-07-28, basic/transports,
//! "Server Validation").
//!
//! Headers are for those on the way; what is decided, is decided on the body. Where both differ,
//! somebody was told something else than the gate is.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderMap, HeaderValue};

use super::door::only;
use super::message::Parts;

/// The header with the protocol's version, of every era that has one.
pub(super) const VERSION: &str = "mcp-protocol-version";

/// What stands around a value that is no plain text.
const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// Why a message is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Mismatch {
    /// A header that the body asks for is not there, or there twice.
    #[error("the header {0} must be there, once")]
    Missing(Cow<'static, str>),
    /// A header says something else.
    #[error("the header {0} does not say what the body says")]
    Differs(Cow<'static, str>),
    /// A header's value has characters that none may have, or breaks its own encoding.
    #[error("the header {0} cannot be read")]
    Unreadable(Cow<'static, str>),
}

/// Holds the standard headers against a message of the era without sessions.
pub(super) fn check(headers: &HeaderMap, message: &Parts) -> Result<(), Mismatch> {
    let version = message.version.as_deref().unwrap_or_default();
    plain(headers, VERSION, version)?;
    let Some(method) = message.method.as_deref() else { return Ok(()) };
    plain(headers, "mcp-method", method)?;
    let (name, is_required) = match method {
        "tools/call" | "prompts/get" => (&message.name, true),
        "resources/read" => (&message.uri, true),
        // The extension for tasks names them by the same header.
        "tasks/get" | "tasks/update" | "tasks/cancel" => (&message.task, false),
        _ => return Ok(()),
    };
    match name {
        Some(name) if is_required || headers.contains_key("mcp-name") => {
            encoded(headers, "mcp-name".into(), |said| said == name)
        }
        _ => Ok(()),
    }
}

/// A header that is what it is.
fn plain(headers: &HeaderMap, name: &'static str, value: &str) -> Result<(), Mismatch> {
    let said = only(headers, name).ok_or(Mismatch::Missing(name.into()))?;
    if said.as_bytes() == value.as_bytes() { Ok(()) } else { Err(Mismatch::Differs(name.into())) }
}

/// A header that may be encoded.
pub(super) fn encoded(
    headers: &HeaderMap,
    name: Cow<'static, str>,
    fits: impl FnOnce(&str) -> bool,
) -> Result<(), Mismatch> {
    let Some(said) = only(headers, &*name) else { return Err(Mismatch::Missing(name)) };
    match decoded(said) {
        None => Err(Mismatch::Unreadable(name)),
        Some(said) if fits(&said) => Ok(()),
        Some(_) => Err(Mismatch::Differs(name)),
    }
}

/// The text that a header's value stands for.
fn decoded(value: &HeaderValue) -> Option<Cow<'_, str>> {
    // Visible ASCII, blanks and tabs: what `to_str` takes.
    let text = value.to_str().ok()?;
    let inner = text.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1));
    let Some(inner) = inner else { return Some(text.into()) };
    String::from_utf8(STANDARD.decode(inner).ok()?).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::message::Message;

    /// What the check says about a call of `name` with these headers.
    fn checked(body: &str, headers: &[(&'static str, &str)]) -> Result<(), String> {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let message = Message::read(body.as_bytes()).unwrap();
        check(&map, &message.parts).map_err(|mismatch| mismatch.to_string())
    }

    fn body(method: &str, params: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        )
    }

    const V: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

    #[test]
    fn headers_that_say_what_the_body_says_are_good() {
        let call = |name: &str| body("tools/call", &format!(r#""name":"{name}","#));
        let method = ("mcp-method", "tools/call");
        for (name, header) in [
            ("echo", "echo"),
            ("echo", "=?base64?ZWNobw==?="),
            ("grüße", "=?base64?Z3LDvMOfZQ==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?base64?open", "=?base64?open"),
            ("=?BASE64?eA==?=", "=?BASE64?eA==?="),
        ] {
            assert_eq!(checked(&call(name), &[V, method, ("mcp-name", header)]), Ok(()), "{name}");
        }
        assert_eq!(checked(&body("tools/list", ""), &[V, ("mcp-method", "tools/list")]), Ok(()));
        let read = body("resources/read", r#""uri":"a:b","#);
        assert_eq!(
            checked(&read, &[V, ("mcp-method", "resources/read"), ("mcp-name", "a:b")]),
            Ok(())
        );
    }

    #[test]
    fn headers_that_say_something_else_are_not() {
        let call = body("tools/call", r#""name":"echo","#);
        let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "echo"));
        let old = ("mcp-protocol-version", "2025-11-25");
        for (headers, why) in [
            (&[method, name][..], "mcp-protocol-version must be there"),
            (&[V, V, method, name], "mcp-protocol-version must be there, once"),
            (&[old, method, name], "mcp-protocol-version does not say"),
            (&[V, name], "mcp-method must be there"),
            (&[V, ("mcp-method", "Tools/Call"), name], "mcp-method does not say"),
            (&[V, method], "mcp-name must be there"),
            (&[V, method, name, name], "mcp-name must be there, once"),
            (&[V, method, ("mcp-name", "ECHO")], "mcp-name does not say"),
            (&[V, method, ("mcp-name", "=?base64?eA?=")], "mcp-name cannot be read"),
            (&[V, method, ("mcp-name", "=?base64?/w==?=")], "mcp-name cannot be read"),
        ] {
            let said = checked(&call, headers).unwrap_err();
            assert!(said.contains(why), "{said}: {why}");
        }
    }
}
