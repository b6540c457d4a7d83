//! The headers of one exchange, made from the line that is sent.
//!
//! Pure. They are made from the body at the moment it is sent, so that a call whose arguments were
//! changed has headers that fit (MCP 2026-07-28, transports/streamable-http §Request Metadata).
//!
//! `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*` go with messages of MCP 2026-07-28 and later only:
//! before, they mean nothing, and those who read headers are told to refuse them.

use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};

use super::letter::Letter;
use super::session::Seen;
use crate::mirror;

/// `Mcp-Session-Id` (MCP 2025-03-26 to 2025-11-25).
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// `Last-Event-ID` (WHATWG HTML §9.2.4).
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The first revision whose messages of a session say their revision in a header.
const FIRST_WITH_VERSION: &str = "2025-06-18";

/// Adds what is taken for an answer, and who asks. What the protocol says goes before what was
/// configured.
pub(super) fn accept(kinds: &'static str, headers: &mut HeaderMap) {
    headers.insert(ACCEPT, HeaderValue::from_static(kinds));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let name = HeaderValue::from_static(concat!("thoth/", env!("CARGO_PKG_VERSION")));
    headers.entry(USER_AGENT).or_insert(name);
}

/// Adds which session it is.
pub(super) fn join(seen: &Seen, headers: &mut HeaderMap) {
    if let Some(id) = &seen.id {
        headers.insert(SESSION_ID, id.clone());
    }
    if let Some(version) = &seen.version {
        headers.insert(mirror::VERSION, version.clone());
    }
}

/// Adds what a message's body is, and in MCP 2026-07-28 what it says. `parameters` are the values
/// of `Mcp-Param-*`, by their names.
pub(super) fn describe(
    letter: &Letter,
    parameters: &[(HeaderName, String)],
    headers: &mut HeaderMap,
) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let Some(version) = &letter.version else { return };
    if let Ok(version) = HeaderValue::try_from(&**version) {
        headers.insert(mirror::VERSION, version);
    }
    headers.insert(mirror::METHOD, mirror::encode(&letter.method));
    if let Some(name) = letter.name() {
        headers.insert(mirror::NAME, mirror::encode(&name));
    }
    for (name, text) in parameters {
        headers.insert(name.clone(), mirror::encode(text));
    }
}

/// The header of a session's revision, where that revision has one.
pub(super) fn version(negotiated: &str) -> Option<HeaderValue> {
    (negotiated >= FIRST_WITH_VERSION).then(|| HeaderValue::try_from(negotiated).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn described(line: &'static str) -> Vec<(String, String)> {
        let letter = Letter::read(Bytes::from_static(line.as_bytes())).unwrap();
        let mut headers = HeaderMap::new();
        describe(&letter, &[], &mut headers);
        headers.remove(CONTENT_TYPE);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut found: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        found.sort();
        found
    }

    #[test]
    fn only_messages_that_name_their_revision_are_described() {
        let plain =
            described(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#);
        assert_eq!(plain, []);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (method, params, name) in [
            ("tools/call", r#""name":"écho""#, Some("=?base64?w6ljaG8=?=")),
            ("prompts/get", r#""name":"p""#, Some("p")),
            ("resources/read", r#""uri":"file:///a b","name":"no""#, Some("file:///a b")),
            ("tasks/get", r#""taskId":"t-1""#, Some("t-1")),
            ("tools/list", r#""name":"no""#, None),
            ("tools/call", r#""name":7"#, None),
        ] {
            let line = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
            );
            let mut expected = vec![pair("mcp-method", method)];
            expected.extend(name.map(|name| pair("mcp-name", name)));
            expected.push(pair("mcp-protocol-version", "2026-07-28"));
            assert_eq!(described(line.leak()), expected, "{method}");
        }
    }

    #[test]
    fn a_session_says_its_revision_from_2025_06_18_on() {
        for (revision, expected) in [
            ("2024-11-05", false),
            ("2025-03-26", false),
            ("2025-06-18", true),
            ("2025-11-25", true),
            ("bad\nversion", false),
        ] {
            assert_eq!(version(revision).is_some(), expected, "{revision}");
        }
    }

    #[test]
    fn what_is_configured_does_not_change_what_is_asked_for() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
        headers.insert("x-team", HeaderValue::from_static("a"));
        headers.insert(SESSION_ID, HeaderValue::from_static("mine"));
        accept("application/json", &mut headers);
        let id = Some(HeaderValue::from_static("s-1"));
        join(&Seen { epoch: 1, id, version: version("2025-11-25") }, &mut headers);
        for (name, expected) in [
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            ("x-team", "a"),
            ("mcp-session-id", "s-1"),
            ("mcp-protocol-version", "2025-11-25"),
        ] {
            assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [expected], "{name}");
        }
    }
}
