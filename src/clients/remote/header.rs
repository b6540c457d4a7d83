//! What one header of an entry is: a secret, a placeholder for one, or what anybody may see.
//!
//! When in doubt, it is a secret: a value is plain only where its name gives nothing away and it reads
//! like a word.

use super::placeholder::{Filling, alone};
use crate::clients::token;

/// What becomes of a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// thoth sets it itself.
    Ours,
    /// Anybody may see it.
    Plain,
    /// A bearer token that the client fills in.
    Token(String),
    /// A bearer token in this variable.
    TokenOf(String),
    /// A value that the client fills in.
    Filled(String),
    /// A value in this variable.
    FilledOf(String),
    /// A bearer token as it is.
    SecretToken(String),
    /// A secret as it is.
    Secret(String),
}

/// Headers that the transport sets.
const OURS: [&str; 11] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "last-event-id",
    "te",
    "transfer-encoding",
];

/// Headers that no entry can set through thoth.
const REFUSED: [&str; 5] =
    ["host", "proxy-authorization", "proxy-connection", "trailer", "upgrade"];

/// Further parts of names of headers whose values are secrets.
const NAMES: [&str; 6] = ["key", "auth", "cookie", "session", "signature", "jwt"];

/// The longest run of letters, and of letters and digits, in a value that reads like words.
const WORD: usize = 16;
const MIXED: usize = 4;

/// The longest value that is plain.
const LONGEST: usize = 64;

/// What becomes of one header of an entry.
///
/// # Errors
///
/// Why nothing can.
pub(super) fn kind(
    client: &str,
    filling: Filling,
    name: &str,
    value: &str,
) -> Result<Kind, String> {
    check(name)?;
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) || lower.starts_with("mcp-") {
        return Ok(Kind::Ours);
    }
    let value = value.trim();
    if value.is_empty() {
        return Err(format!("its `{name}` header is empty"));
    }
    let is_visible = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !is_visible {
        return Err(format!("its `{name}` header has a character that cannot be sent"));
    }
    let token = (lower == "authorization").then(|| bearer(value)).flatten();
    if filling.first(value).is_none() {
        return match token {
            Some(token) if !token.contains(' ') => checked(name, token).map(Kind::SecretToken),
            _ if is_plain(name, value) => Ok(Kind::Plain),
            _ => checked(name, value).map(Kind::Secret),
        };
    }
    if filling == Filling::HeadersOnly {
        return match (token.and_then(alone), alone(value)) {
            (Some(variable), _) => Ok(Kind::TokenOf(variable.to_owned())),
            (_, Some(variable)) => Ok(Kind::FilledOf(variable.to_owned())),
            _ => Err(format!("its client fills in its `{name}` header as it alone can")),
        };
    }
    if !filling.is_known() {
        return Err(format!(
            "its `{name}` header has a placeholder, which its client ({client}) is not known to \
             fill in"
        ));
    }
    if runs(&filling.rest(value)).any(|run| run.len() >= 2 * MIXED && run != "Authorization") {
        return Err(format!("its `{name}` header has a placeholder with more beside it"));
    }
    match token {
        Some(token) => Ok(Kind::Token(token.to_owned())),
        None => Ok(Kind::Filled(value.to_owned())),
    }
}

/// Whether a header of this name can be sent by thoth on an entry's behalf.
///
/// # Errors
///
/// Why not.
pub(super) fn check(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("it has a header whose name is none".to_owned());
    }
    if REFUSED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("its `{name}` header is the transport's own"));
    }
    Ok(())
}

/// The variable for the value of a header: `THOTH_UPSTREAM_VALUE_X_API_KEY`. No setting of thoth's
/// begins like that.
pub(super) fn variable(name: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' => byte.to_ascii_uppercase() as char,
        b'A'..=b'Z' | b'0'..=b'9' => byte as char,
        _ => '_',
    };
    format!("THOTH_UPSTREAM_VALUE_{}", name.bytes().map(letter).collect::<String>())
}

/// What stands behind `Bearer`.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A secret that can be put back into a file whatever stands around it.
fn checked(name: &str, secret: &str) -> Result<String, String> {
    if is_movable(secret) {
        Ok(secret.to_owned())
    } else {
        Err(format!("the value of its `{name}` header has quotes in it, and cannot be moved"))
    }
}

/// Whether a secret means itself in quotes of any kind, and without any.
pub fn is_movable(secret: &str) -> bool {
    let plain = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !b"\"'\\".contains(&byte);
    !secret.is_empty()
        && secret.bytes().all(plain)
        && secret.trim() == secret
        && !secret.contains(": ")
        && !secret.contains(" #")
}

/// Whether anybody may see a header's value.
fn is_plain(name: &str, value: &str) -> bool {
    let reads_like_words = value.len() <= LONGEST
        && runs(value).all(|run| {
            let digits = run.bytes().filter(u8::is_ascii_digit).count();
            match digits {
                0 => run.len() <= WORD,
                digits if digits == run.len() => run.len() <= 2 * MIXED,
                _ => run.len() <= MIXED,
            }
        });
    !is_secret_name(name) && !looks_secret(value) && reads_like_words
}

/// Whether a name says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    token::is_secret_name(&name, &NAMES)
}

/// Whether a text seems to hold a credential: by a word before it, or by its look.
pub(super) fn looks_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let announced = ["bearer ", "basic ", "authorization:"];
    let assigned = |part: &str| {
        part.split_once(['=', ':']).is_some_and(|(name, value)| {
            is_secret_name(name) && !value.trim_matches(['"', '\'', ' ']).starts_with(['$', '{'])
        })
    };
    announced.iter().any(|word| lower.contains(word))
        || text.split(['?', '&', ' ', ';']).any(assigned)
        || text
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .any(token::may_be)
        || runs(text).any(|run| {
            let digits = run.bytes().filter(u8::is_ascii_digit).count();
            run.len() >= WORD && digits > 0 && digits < run.len()
        })
}

/// The runs of letters and digits in a text.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|run| !run.is_empty())
}
