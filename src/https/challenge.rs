//! What a server wants that refuses a request: the `Bearer` challenge of a `WWW-Authenticate`
//! header (RFC 6750 §3, RFC 9728 §5.1). Pure.
//!
//! A header may hold several challenges, and a challenge any parameters; what cannot be read is
//! stepped over, since all of it is advice.

use hyper::header::{HeaderMap, WWW_AUTHENTICATE};

/// The `Bearer` challenge of an answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Challenge {
    /// Why the request was refused, such as `invalid_token` or `insufficient_scope`.
    pub error: Option<String>,
    /// The scopes that the request wants.
    pub scopes: Option<Vec<String>>,
    /// Where the server's metadata is.
    pub resource_metadata: Option<String>,
}

/// One challenge of any scheme.
#[derive(Debug)]
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

// === impl Challenge ===

impl Challenge {
    /// Reads the challenge of an answer: of several, the first that says where the metadata is, or else the
    /// first. `None` where there is no `Bearer` challenge.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).into_iter();
        let raw = values.filter_map(|value| value.to_str().ok()).flat_map(challenges);
        let all: Vec<_> = raw
            .filter(|raw| raw.scheme.eq_ignore_ascii_case("bearer"))
            .map(|raw| Self {
                error: raw.get("error"),
                scopes: raw.get("scope").map(|text| scopes(&text)),
                resource_metadata: raw.get("resource_metadata"),
            })
            .collect();
        let leads = all.iter().position(|challenge| challenge.resource_metadata.is_some());
        all.into_iter().nth(leads.unwrap_or(0))
    }

    /// Whether this is why the request was refused.
    pub fn says(&self, error: &str) -> bool {
        self.error.as_deref() == Some(error)
    }
}

/// A list of scopes, parted by blanks (RFC 6749 §3.3). What is no scope is left out.
pub fn scopes(text: &str) -> Vec<String> {
    text.split(' ').filter(|scope| is_scope(scope)).map(str::to_owned).collect()
}

/// Whether it is one scope: visible ASCII without quotes and backslashes (RFC 6749 §3.3).
pub fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

// === impl Raw ===

impl Raw {
    fn get(&self, name: &str) -> Option<String> {
        let mut found =
            self.parameters.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.clone())
    }
}

/// RFC 9110 §11.6.1: a list of challenges, each a scheme and its parameters, all parted by commas.
fn challenges(text: &str) -> Vec<Raw> {
    let mut all: Vec<Raw> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (token, after) = token(rest);
        if token.is_empty() {
            let Some(stray) = rest.chars().next() else { return all };
            rest = &rest[stray.len_utf8()..];
            continue;
        }
        let blank = after.trim_start_matches([' ', '\t']);
        if let (Some(value), Some(challenge)) = (blank.strip_prefix('='), all.last_mut()) {
            let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
            challenge.parameters.push((token.to_owned(), value));
            rest = after;
        } else {
            all.push(Raw { scheme: token.to_owned(), parameters: Vec::new() });
            rest = after;
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/:".contains(&byte);
    text.split_at(text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len()))
}

/// A token, or a quoted string.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn read(values: &[&'static str]) -> Option<(String, String, String)> {
        let values = values.iter().copied().map(HeaderValue::from_static);
        let headers: HeaderMap = values.map(|value| (WWW_AUTHENTICATE, value)).collect();
        let challenge = Challenge::of(&headers)?;
        Some((
            challenge.error.unwrap_or_default(),
            challenge.scopes.unwrap_or_default().join("+"),
            challenge.resource_metadata.unwrap_or_default(),
        ))
    }

    #[test]
    fn what_a_server_wants_is_read_from_its_challenge() {
        for (values, expected) in [
            (&["Bearer"][..], Some(("", "", ""))),
            (&[], None),
            (&["Basic realm=\"Bearer\""], None),
            (
                &["Bearer resource_metadata=\"https://a.example/m\", scope=\"a b\""],
                Some(("", "a+b", "https://a.example/m")),
            ),
            (
                &["bearer error = insufficient_scope ,scope=a"],
                Some(("insufficient_scope", "a", "")),
            ),
            (&["Basic realm=\"x, Bearer\", Bearer scope=\"b\""], Some(("", "b", ""))),
            (&["Negotiate abc==, Bearer scope=\"b\""], Some(("", "b", ""))),
            (&["Bearer scope=\"a\\\"b\""], Some(("", "", ""))),
            (&["Bearer scope=\"a", "Basic"], Some(("", "a", ""))),
            (&["Bearer error=\"x\"", "Bearer resource_metadata=\"u\""], Some(("", "", "u"))),
            (
                &["Bearer resource_metadata=https://a.example/m"],
                Some(("", "", "https://a.example/m")),
            ),
            (&[", ,\u{7f}= Bearer scope=b"], None),
            (&["\"; Bearer scope=b"], Some(("", "b", ""))),
        ] {
            let expected = expected
                .map(|(error, scopes, at)| (error.to_owned(), scopes.to_owned(), at.to_owned()));
            // A value that is no text at all is not even a header of ours.
            let values: Vec<_> =
                values.iter().copied().filter(|value| !value.contains('\u{7f}')).collect();
            assert_eq!(read(&values), expected, "{values:?}");
        }
    }
}
