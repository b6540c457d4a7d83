//! What a wrapped entry remembers of the address it was reached at: one word of its `--undo` list.
//!
//! The word is base64url, so that no client takes a placeholder in it for its own. A secret is
//! never in it: where one stood is a [`Hole`], which whoever unwraps the entry has to fill.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

/// What the entry was, where the command line does not say it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// The name of the member with the address, as it was written.
    #[serde(rename = "k")]
    pub(super) key: String,
    /// The address as it was written, and what it meant; where that is not the usual way.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<(String, String)>,
    /// The value of `type` as it was written.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// Whether a list of variables to pass through was added.
    #[serde(rename = "v", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) passes: bool,
    /// What was taken out, in the order of the text.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cuts: Vec<Cut>,
}

/// A part of the text that was taken out, and its place beside a member that stayed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cut {
    /// The member it stood behind, or else before; `None` is the one with the address.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub(super) member: Option<String>,
    /// Whether it stood before that member.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) before: bool,
    /// How many bytes of what stayed are between them.
    #[serde(rename = "d", default, skip_serializing_if = "is_zero")]
    pub(super) distance: usize,
    /// What was taken out.
    #[serde(rename = "p")]
    pub(super) parts: Vec<Part>,
}

/// Text, or where a secret was.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Part {
    /// Text.
    Text(String),
    /// A secret.
    Hole(Hole),
}

/// Where a secret stood in an entry.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hole {
    /// The header whose value it is; `None` is the token of the `Authorization` header, without the
    /// scheme before it.
    #[serde(rename = "h")]
    pub header: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

// === impl Memory ===

impl Memory {
    /// As one word without commas, `$` or braces.
    pub(super) fn write(&self) -> String {
        let json = serde_json::to_vec(self)
            .unwrap_or_else(|_| unreachable!("strings, numbers and flags can be written as JSON"));
        BASE64.encode(json)
    }

    /// Reads that word; `None` where it was written by another version, or by nobody.
    pub(super) fn read(word: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64.decode(word).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let plain = Memory {
            key: "\"url\"".to_owned(),
            url: None,
            kind: None,
            passes: false,
            cuts: Vec::new(),
        };
        let hole = |header: Option<&str>| Part::Hole(Hole { header: header.map(str::to_owned) });
        let full = Memory {
            url: Some(("'x'".to_owned(), "x".to_owned())),
            kind: Some("http".to_owned()),
            passes: true,
            cuts: vec![Cut {
                member: Some("timeout".to_owned()),
                before: true,
                distance: 3,
                parts: vec![Part::Text("${a},{b}".to_owned()), hole(None), hole(Some("X-Key"))],
            }],
            ..plain.clone()
        };
        for memory in [plain, full] {
            let word = memory.write();
            assert!(!word.contains([',', '$', '{', '=', '%']), "{word}");
            assert_eq!(Memory::read(&word), Some(memory));
        }
        assert_eq!(Memory::read("e30"), None);
        assert_eq!(Memory::read("{}"), None);
        assert_eq!(Memory::read(&BASE64.encode(r#"{"k": "a", "new": 1}"#)), None);
    }
}
