//! What of a message its HTTP headers say again (MCP 2026-07-28, transports/streamable-http §Request
//! Metadata): for whoever writes the headers, and for whoever holds them against the body.
//!
//! Pure. Whether a message has such headers, and what follows where they do not fit, is for those two
//! to know.
//!
//! # Invariants
//!
//! - What is written is read as the same text, whatever the text.

mod listed;
mod parameters;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};

pub use self::listed::Listed;
pub use self::parameters::{Invalid, Parameters, fits};

/// `MCP-Protocol-Version` (MCP 2025-06-18 and later).
pub const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The member of `params._meta` that [`VERSION`] says again. It makes a message one of MCP
/// 2026-07-28 or later (basic/index).
pub const VERSION_MEMBER: &str = "io.modelcontextprotocol/protocolVersion";

/// What stands around a value that is Base64.
const BEFORE: &str = "=?base64?";
const AFTER: &str = "?=";

/// The member of `params` that [`NAME`] says again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Named {
    /// `name`
    Name,
    /// `uri`
    Uri,
    /// `taskId` (the extension for tasks): servers do not insist on it.
    TaskId,
}

// === impl Named ===

impl Named {
    /// What is said of a message with this method; `None` where nothing is.
    pub fn of(method: &str) -> Option<Self> {
        match method {
            "tools/call" | "prompts/get" => Some(Self::Name),
            "resources/read" => Some(Self::Uri),
            "tasks/get" | "tasks/update" | "tasks/cancel" => Some(Self::TaskId),
            _ => None,
        }
    }

    /// Whether the protocol's core demands the header.
    pub fn is_required(self) -> bool {
        match self {
            Self::Name | Self::Uri => true,
            Self::TaskId => false,
        }
    }
}

/// A text as a header's value: itself where it can be one, else its Base64.
pub fn encode(text: &str) -> HeaderValue {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        && text.trim_matches([' ', '\t']).len() == text.len()
        && !(text.starts_with(BEFORE) && text.ends_with(AFTER));
    let encoded = || format!("{BEFORE}{}{AFTER}", STANDARD.encode(text));
    let spelled =
        if is_plain { HeaderValue::try_from(text) } else { HeaderValue::try_from(encoded()) };
    spelled.unwrap_or_else(|_| unreachable!("visible ASCII, blanks inside it, or Base64"))
}

/// The text that a header's value stands for; `None` where it has characters that none may have, or
/// breaks its own encoding.
pub fn decode(value: &HeaderValue) -> Option<Cow<'_, str>> {
    // Visible ASCII, blanks and tabs: what `to_str` takes.
    let text = value.to_str().ok()?;
    match text.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER)) {
        None => Some(text.into()),
        Some(inner) => String::from_utf8(STANDARD.decode(inner).ok()?).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_a_header_is_base64_and_means_the_same() {
        for (text, value) in [
            ("us-west1", "us-west1"),
            ("a b\tc", "a b\tc"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("\tpadded", "=?base64?CXBhZGRlZA==?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?base64?open", "=?base64?open"),
            ("=?base64?=", "=?base64?PT9iYXNlNjQ/PQ==?="),
            ("=?BASE64?eA==?=", "=?BASE64?eA==?="),
            ("", ""),
            ("\u{7f}", "=?base64?fw==?="),
        ] {
            assert_eq!(encode(text), value, "{text:?}");
            assert_eq!(decode(&encode(text)).as_deref(), Some(text), "{text:?}");
        }
    }

    #[test]
    fn what_others_encode_is_read() {
        for (value, text) in [
            (&b"=?base64?ZWNobw==?="[..], Some("echo")),
            (b"=?base64??=", Some("")),
            (b"=?base64?=", Some("=?base64?=")),
            (b"=?base64?ZWNobw?=", None),
            (b"=?base64?Z!U=?=", None),
            (b"=?base64?/w==?=", None),
            (b"\xc3\xa9", None),
        ] {
            let value = HeaderValue::from_bytes(value).unwrap();
            assert_eq!(decode(&value).as_deref(), text, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "\\PC*|[ -~\t\r\n]*|=\\?base64\\?[ -~]*\\?=") {
            let value = encode(&text);
            let read = decode(&value);
            prop_assert_eq!(read.as_deref(), Some(&*text));
        }
    }

    #[test]
    fn which_member_is_the_name() {
        for (method, named) in [
            ("tools/call", Some((Named::Name, true))),
            ("prompts/get", Some((Named::Name, true))),
            ("resources/read", Some((Named::Uri, true))),
            ("tasks/get", Some((Named::TaskId, false))),
            ("tasks/update", Some((Named::TaskId, false))),
            ("tasks/cancel", Some((Named::TaskId, false))),
            ("tools/list", None),
            ("Tools/Call", None),
            ("", None),
        ] {
            let found = Named::of(method).map(|named| (named, named.is_required()));
            assert_eq!(found, named, "{method}");
        }
    }
}
