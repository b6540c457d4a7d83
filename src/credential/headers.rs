//! Several secret headers as they stand in a file, or in what a command prints. Pure.
//!
//! Either one on each line, `Name: value`, where an empty line and one that begins with `#` say
//! nothing; or a JSON object of texts, `{"Name": "value"}`, which is what programs print that are
//! written for a client's `headersHelper`.

use std::fmt;

use hyper::header::HeaderName;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::Flaw;
use super::content::{Content, Secret, trimmed};
use crate::secret::SecretHeaders;

/// Headers that are the transport's own to set, or that say how a message is framed: whoever could
/// set them could have a request read as another one.
///
/// RFC 9110 §7.6.1 (connection), RFC 9112 §6 (framing); MCP, Streamable HTTP.
const RESERVED: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The members of a JSON object of texts, in their order. One that stands twice does so here, too.
struct Members(Vec<(String, String)>);

/// Whether a header is the transport's own to set, and nobody else's.
pub fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str()) || name.as_str().starts_with("mcp-")
}

// === impl SecretHeaders ===

impl Secret for SecretHeaders {
    fn parse(bytes: &[u8]) -> Result<Content<Self>, Flaw> {
        let text = trimmed(bytes)?;
        let mut secret = Self::default();
        if text.starts_with('{') {
            let Members(members) = serde_json::from_str(text).map_err(|_| Flaw::NotHeaders)?;
            for (name, value) in members {
                secret.insert(&name, &value).map_err(|_| Flaw::NotHeaders)?;
            }
        } else {
            let lines = text.split('\n').map(str::trim);
            for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let (name, value) = line.split_once(':').ok_or(Flaw::NotHeaders)?;
                secret.insert(name, value).map_err(|_| Flaw::NotHeaders)?;
            }
        }
        if secret.headers().is_empty() {
            return Err(Flaw::Empty);
        }
        if secret.headers().keys().any(is_reserved) {
            return Err(Flaw::Reserved);
        }
        Ok(Content { secret, key_id: None, expires_at: None })
    }

    fn sha256(&self) -> [u8; 32] {
        Self::sha256(self)
    }
}

// === impl Members ===

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, String)>, Flaw> {
        let content = SecretHeaders::parse(bytes)?;
        let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = content.secret.headers().iter();
        Ok(headers.map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    #[test]
    fn headers_are_lines_or_a_json_object_of_texts() {
        for (text, expected) in [
            ("X-Key: a", Ok(&[("x-key", "a")][..])),
            (
                "\u{feff}X-Key: a\r\n\r\n# not this: one\r\nY:b:c\r\n",
                Ok(&[("x-key", "a"), ("y", "b:c")]),
            ),
            (
                "Authorization: Basic YTpi\nCookie: a=b; c=d",
                Ok(&[("authorization", "Basic YTpi"), ("cookie", "a=b; c=d")]),
            ),
            (r#"{"X-Key": "a", "Y": " b "}"#, Ok(&[("x-key", "a"), ("y", "b")])),
            ("", Err(Flaw::Empty)),
            ("# none yet\n", Err(Flaw::Empty)),
            ("{}", Err(Flaw::Empty)),
            (r#"{"X-Key": "a""#, Err(Flaw::NotHeaders)), // half written
            (r#"{"X-Key": "a"} x"#, Err(Flaw::NotHeaders)),
            (r#"{"X-Key": 1}"#, Err(Flaw::NotHeaders)),
            (r#"{"X-Key": ""}"#, Err(Flaw::NotHeaders)),
            (r#"{"X-Key": "a\r\nX-Admin: 1"}"#, Err(Flaw::NotHeaders)),
            (r#"{"X-Key": "a", "X-Key": "b"}"#, Err(Flaw::NotHeaders)),
            (r#"{"X-Key": "a", "x-key": "b"}"#, Err(Flaw::NotHeaders)),
            ("X-Key: a\nx-key: b", Err(Flaw::NotHeaders)),
            ("X-Key", Err(Flaw::NotHeaders)),
            ("X-Key:", Err(Flaw::NotHeaders)),
            (": a", Err(Flaw::NotHeaders)),
            ("X Key: a", Err(Flaw::NotHeaders)),
            ("X-Key: a\rb", Err(Flaw::NotHeaders)),
            ("X-Key: a\u{0}", Err(Flaw::NotHeaders)),
            ("X-Key: schlüssel", Err(Flaw::NotHeaders)),
            ("Host: elsewhere", Err(Flaw::Reserved)),
            ("X-Key: a\nMCP-Session-Id: 1", Err(Flaw::Reserved)),
            (r#"{"content-length": "0"}"#, Err(Flaw::Reserved)),
        ] {
            let expected = expected.map(|headers: &[(&str, &str)]| {
                let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
                headers.iter().map(owned).collect()
            });
            assert_eq!(read(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(read(b"X-Key: \xff"), Err(Flaw::NotUtf8));
    }

    proptest! {
        #[test]
        fn no_bytes_are_told_again(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let told = match SecretHeaders::parse(&[b"x-key: ", &bytes[..]].concat()) {
                Ok(content) => format!("{:?}", content.secret),
                Err(flaw) => format!("{flaw} {flaw:?}"),
            };
            for piece in bytes.windows(8) {
                let piece = String::from_utf8_lossy(piece);
                prop_assert!(!told.contains(&*piece), "{told}");
            }
        }
    }
}
