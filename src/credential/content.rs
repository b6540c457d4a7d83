//! What stands in a credential's file, or in what a command prints. Pure.
//!
//! One secret: either alone, or a JSON object: `{"api_key": "...", "key_id": "..."}`, the form that
//! installers write into `~/.thoth`, or `{"token": "...", "expires_at": "..."}`. Other members are
//! left alone. What several headers look like is in [`super::headers`].

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use super::Flaw;
use crate::secret::ApiKey;

/// What a credential can hold: one secret, or several headers.
pub trait Secret: Clone + fmt::Debug + Send + Sync + 'static {
    /// Reads the whole of a file or of an output. Blanks, line ends and a byte order mark around
    /// it are dropped.
    ///
    /// # Errors
    ///
    /// [`Flaw`], which holds nothing of it.
    fn parse(bytes: &[u8]) -> Result<Content<Self>, Flaw>;

    /// Tells one from another.
    fn sha256(&self) -> [u8; 32];
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Content<S> {
    /// The secret.
    pub secret: S,
    /// Its name at the issuer, where that stood beside it.
    pub key_id: Option<String>,
    /// When it ends, where that stood beside it.
    pub expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Json {
    api_key: Option<String>,
    token: Option<String>,
    key_id: Option<String>,
    expires_at: Option<Moment>,
}

/// RFC 3339, or seconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(Timestamp),
    Seconds(i64),
}

// === impl ApiKey ===

impl Secret for ApiKey {
    fn parse(bytes: &[u8]) -> Result<Content<Self>, Flaw> {
        let text = trimmed(bytes)?;
        if !text.starts_with('{') {
            return Ok(Content { secret: secret(text)?, key_id: None, expires_at: None });
        }
        let json: Json = serde_json::from_str(text).map_err(|_| Flaw::NotJson)?;
        let ((Some(text), None) | (None, Some(text))) = (json.api_key, json.token) else {
            return Err(Flaw::NotJson);
        };
        let expires_at = match json.expires_at {
            None => None,
            Some(Moment::Text(time)) => Some(time),
            Some(Moment::Seconds(seconds)) => {
                Some(Timestamp::from_second(seconds).map_err(|_| Flaw::NotJson)?)
            }
        };
        let key_id = json.key_id.filter(|id| !id.trim().is_empty());
        Ok(Content { secret: secret(&text)?, key_id, expires_at })
    }

    fn sha256(&self) -> [u8; 32] {
        Self::sha256(self)
    }
}

/// The text, without what may stand around it.
pub(super) fn trimmed(bytes: &[u8]) -> Result<&str, Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|_| Flaw::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).trim())
}

fn secret(text: &str) -> Result<ApiKey, Flaw> {
    if text.trim().is_empty() {
        return Err(Flaw::Empty);
    }
    ApiKey::parse(text).map_err(|_| Flaw::Unsendable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_credential_is_the_text_alone_or_json_with_it() {
        for (text, expected) in [
            ("k1", Ok(("k1", None, None))),
            (" \r\n\tk1\r\n", Ok(("k1", None, None))),
            ("\u{feff}k1\n", Ok(("k1", None, None))),
            (r#"{"api_key": "k1", "key_id": "host"}"#, Ok(("k1", Some("host"), None))),
            (" {\"api_key\":\" k1\\n\", \"key_id\": \" \", \"x\": [1]}\n", Ok(("k1", None, None))),
            (
                r#"{"token":"t1","expires_at":"2026-11-21T13:00:00+01:00"}"#,
                Ok(("t1", None, Some("2026-11-21T12:00:00Z"))),
            ),
            (
                r#"{"token":"t1","expires_at":1795262400}"#,
                Ok(("t1", None, Some("2026-11-21T12:00:00Z"))),
            ),
            (r#"{"token":"t1","expires_at":null,"api_key":null}"#, Ok(("t1", None, None))),
            ("", Err(Flaw::Empty)),
            (" \r\n", Err(Flaw::Empty)),
            ("\u{feff}", Err(Flaw::Empty)),
            (r#"{"api_key": "", "key_id": "host"}"#, Err(Flaw::Empty)),
            (r#"{"api_key": "  "}"#, Err(Flaw::Empty)),
            (r#"{"api_key": "k1""#, Err(Flaw::NotJson)),
            (r#"{"api_key": "k1"} x"#, Err(Flaw::NotJson)),
            (r#"{"api_key": 5}"#, Err(Flaw::NotJson)),
            (r#"{"api_key": "k1", "token": "k2"}"#, Err(Flaw::NotJson)),
            (r#"{"api_key": "k1", "api_key": "k2"}"#, Err(Flaw::NotJson)),
            (r#"{"token": "t1", "expires_at": "soon"}"#, Err(Flaw::NotJson)),
            (r#"{"token": "t1", "expires_at": 9223372036854775807}"#, Err(Flaw::NotJson)),
            (r#"{"key": "k1"}"#, Err(Flaw::NotJson)),
            ("{", Err(Flaw::NotJson)),
            ("k1\nk2", Err(Flaw::Unsendable)),
            ("k1\rk2", Err(Flaw::Unsendable)),
            ("k1\r\nx-admin: 1", Err(Flaw::Unsendable)),
            ("k 1", Err(Flaw::Unsendable)),
            ("k\u{0}1", Err(Flaw::Unsendable)),
            ("\u{7f}k1", Err(Flaw::Unsendable)),
            ("schlüssel", Err(Flaw::Unsendable)),
            ("[\"k1\"\n]", Err(Flaw::Unsendable)),
            (r#"{"api_key": "k1\nk2"}"#, Err(Flaw::Unsendable)),
        ] {
            let read = <ApiKey as Secret>::parse(text.as_bytes());
            let read = read.as_ref().map(|content| {
                let key = content.secret.api_key().to_str().unwrap().to_owned();
                (key, content.key_id.clone(), content.expires_at)
            });
            let expected = expected.map(|(key, id, time): (&str, Option<&str>, Option<&str>)| {
                let time = time.map(|time| time.parse::<Timestamp>().unwrap());
                (key.to_owned(), id.map(str::to_owned), time)
            });
            assert_eq!(read.map_err(|flaw| *flaw), expected, "{text:?}");
        }
        assert_eq!(<ApiKey as Secret>::parse(&[b'k', 0xff]).unwrap_err(), Flaw::NotUtf8);
    }

    proptest! {
        #[test]
        fn no_bytes_are_told_again(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            // Whatever comes of them, neither an error nor a debug form repeats eight in a row.
            let told = match <ApiKey as Secret>::parse(&bytes) {
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
