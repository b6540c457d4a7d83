//! Secrets in entries: what is one, what only refers to one, and that none is written anew.
//!
//! This is narrower than what is hidden where a file is shown (`document/veil.rs`): what counts as
//! a secret here stops a launch, so that a version number must not.

use super::govern::Flaw;
use super::{Candidate, inputs};
use crate::clients::document::{Syntax, Value};
use crate::clients::token;
use crate::secret::ApiKey;

/// Further parts of names whose values are secrets.
const NAMES: [&str; 4] = ["authorization", "cookie", "private_key", "access_key"];

/// The shortest value that is searched for: a shorter one is found by accident.
const SHORTEST: usize = 8;

/// Members that hold an address.
const ADDRESSES: [&str; 5] = ["url", "httpUrl", "serverUrl", "serverURL", "uri"];

/// A word of letters and digits in an address that is as long as this is a secret.
const LONGEST_WORD: usize = 16;

/// Members whose every value goes by the name before it.
const MAPS: [&str; 5] = ["env", "environment", "envs", "headers", "http_headers"];

/// Every secret that was seen, to be searched for in what is written. Does not print.
#[derive(Default)]
pub struct Known {
    values: Vec<String>,
    keys: Vec<ApiKey>,
}

/// A secret would have been written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a secret that was seen stands in what was to be written; nothing was written")]
pub struct Leak;

/// Whether a variable, header or flag of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_path = ["_file", "_path", "_dir", "-file", "-path", "-dir", "_url", "_env_var"]
        .iter()
        .any(|end| name.ends_with(end));
    let is_secret = token::is_secret_name(&name, &NAMES)
        || ["key", "_pat", "_pwd", "_auth"].iter().any(|end| name.ends_with(end));
    is_secret && !is_path
}

/// Whether a text has a word in it that begins as well-known tokens do.
pub(super) fn looks_like_token(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).any(token::is_likely)
}

/// Whether an address has a word in its path that nobody made up: some servers know their users by
/// it. It would stand in a command line, where everybody on this machine can read it; `wrap-config`
/// leaves such an address alone, too.
fn has_secret_path(text: &str) -> bool {
    let path = text.split_once("://").and_then(|(_, rest)| rest.split_once(['/', '?']));
    let words = path.map_or("", |(_, path)| path).split(|c: char| !c.is_ascii_alphanumeric());
    words.into_iter().any(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        word.len() >= LONGEST_WORD && digits > 0 && digits < word.len()
    })
}

/// Whether a text is a header with a credential, or the value of one: `Authorization: Bearer …`, as
/// bridges to servers behind a URL take it among their arguments.
fn is_header(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let value = match lower.split_once(':') {
        Some((name, value)) if is_secret_name(name.trim()) && !name.trim().contains(' ') => {
            return !value.trim().is_empty() && !value.trim().starts_with(['/', '~', '.']);
        }
        _ => lower.strip_prefix("bearer "),
    };
    value.is_some_and(|token| token.trim().len() >= SHORTEST && !token.trim().contains(' '))
}

/// Whether a text refers to a value that stands elsewhere: `${A}`, `${env:A}`, `${input:a}`, `$A`,
/// `{env:A}`. One with a default is a reference only where the default is empty.
pub(super) fn has_reference(text: &str) -> bool {
    let braced = text.split("${").skip(1).any(|rest| {
        rest.split('}').next().is_some_and(|inside| {
            let default = inside.split_once(":-").map_or("", |(_, default)| default);
            rest.contains('}') && !inside.is_empty() && default.is_empty()
        })
    });
    let bare = text
        .split('$')
        .skip(1)
        .any(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase() || first == '_'));
    braced || bare || text.contains("{env:") || text.contains("{file:")
}

/// The literal secrets of an entry, each with what it is for people: `its variable TOKEN`.
fn literals(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    look(value, "", "", &mut found);
    found
}

fn look(value: &Value, name: &str, above: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Text(text) => {
            let secret = text.strip_prefix("Bearer ").unwrap_or(text);
            if let Some(what) = literal(text, name, above) {
                found.push((what, secret.to_owned()));
            }
        }
        Value::List(items) => {
            let mut before = "";
            for item in items {
                let flag =
                    if before.starts_with('-') && !before.contains('=') { before } else { "" };
                look(item, flag, name, found);
                before = item.text().unwrap_or_default();
            }
        }
        Value::Map(members) => {
            for (member, value) in members {
                look(value, member, name, found);
            }
        }
        // A number under a name of that kind is a bound, not a secret.
        Value::Null | Value::Flag(_) | Value::Raw(_) => {}
    }
}

/// What a text is, where it is a literal secret.
fn literal(text: &str, name: &str, above: &str) -> Option<String> {
    let is_plain = text.is_empty()
        || has_reference(text)
        || matches!(text, "true" | "false")
        || text.parse::<f64>().is_ok();
    if is_plain {
        return None;
    }
    // A path to a secret is none; neither is the name of a variable, nor of a scope.
    let is_named = is_secret_name(name) && !text.starts_with(['/', '~', '.']);
    let is_value = MAPS.contains(&above) || name.starts_with('-') || above.is_empty();
    let elsewhere = matches!(name, "bearer_token_env_var" | "bearerTokenEnvVar");
    let within = above == "env_http_headers";
    if is_named && is_value && !elsewhere && !within {
        return Some(match above {
            "headers" | "http_headers" => format!("its header {name}"),
            "" => format!("its member {name}"),
            _ if name.starts_with('-') => format!("its argument {name}"),
            _ => format!("its variable {name}"),
        });
    }
    let assigned = text.split(['?', '&', ';', ' ']).any(|part| {
        part.split_once('=').is_some_and(|(name, value)| {
            is_secret_name(name.trim_start_matches('-'))
                && !value.is_empty()
                && !value.starts_with(['/', '~', '.'])
        })
    });
    let in_address = text
        .split_once("://")
        .is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains('@')));
    let in_path = ADDRESSES.contains(&name) && has_secret_path(text);
    if assigned || in_address || in_path || is_header(text) || looks_like_token(text) {
        let place = if name.is_empty() { above } else { name };
        return Some(format!("its `{place}`"));
    }
    None
}

/// A text as it stands between quotes.
fn quoted(text: &str) -> Option<String> {
    let quoted = Value::Text(text.to_owned()).line(Syntax::Json);
    Some(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// The first literal secret of an entry.
///
/// # Errors
///
/// [`Flaw::Literal`], which says where, and never what.
pub(super) fn refuse(candidate: &Candidate) -> Result<(), Flaw> {
    match literals(&candidate.value).into_iter().next() {
        Some((what, _)) => Err(Flaw::Literal(what)),
        None => Ok(()),
    }
}

// === impl Known ===

impl Known {
    /// The secrets of these entries, and these keys.
    pub fn of<'a>(candidates: impl IntoIterator<Item = &'a Candidate>, keys: Vec<ApiKey>) -> Self {
        let mut values = Vec::new();
        for candidate in candidates {
            values.extend(literals(&candidate.value).into_iter().map(|(_, secret)| secret));
            let defined = candidate.inputs.iter().filter_map(|input| input.definition.as_ref());
            values.extend(defined.filter_map(inputs::secret).map(str::to_owned));
        }
        values.retain(|value| value.len() >= SHORTEST);
        // As it would be written, too.
        let written = |value: &String| quoted(value).filter(|written| written != value);
        values.extend(values.iter().filter_map(written).collect::<Vec<_>>());
        Self { values, keys }
    }

    /// Checks that none of them stands in a text.
    ///
    /// # Errors
    ///
    /// [`Leak`].
    pub fn search(&self, text: &str) -> Result<(), Leak> {
        let leaks = self.values.iter().any(|value| text.contains(value.as_str()))
            || self.keys.iter().any(|key| key.occurrences(text) > 0);
        if leaks { Err(Leak) } else { Ok(()) }
    }
}
