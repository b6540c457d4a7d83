//! What each server is for: `intent_map.json` in thoth's own directory.
//!
//! ```json
//! { "filesystem": "phi_eligibility_check", "git": {"session_intent": "review"}, "*": "other" }
//! ```
//!
//! A name is that of a server's entry; `*` stands for every other. Further members of the longer
//! form are let be.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The file's name.
const NAME: &str = "intent_map.json";

/// For every server that is not named.
const ANY: &str = "*";

/// Intents by the names of servers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Intents(BTreeMap<String, Intent>);

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "an intent is a text, or an object with a text `session_intent`")]
enum Intent {
    Short(String),
    Long { session_intent: String },
}

/// The map cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoIntents {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {source}; nothing was changed", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
}

// === impl Intents ===

impl Intents {
    /// Reads the map; where there is none, nobody has an intent.
    ///
    /// # Errors
    ///
    /// [`NoIntents`], with line and column.
    pub(super) fn read(home: &Path) -> Result<Self, NoIntents> {
        let path = home.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(NoIntents::Unreadable { path, source }),
        };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(text).map_err(|source| NoIntents::Malformed { path, source })
    }

    /// What the server of this name is for.
    pub(super) fn of(&self, server: &str) -> Option<&str> {
        let intent = self.0.get(server).or_else(|| self.0.get(ANY))?;
        let (Intent::Short(text) | Intent::Long { session_intent: text }) = intent;
        Some(text.trim()).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Intents, NoIntents> {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(NAME), text).unwrap();
        Intents::read(home.path())
    }

    #[test]
    fn an_intent_is_a_text_or_an_object_with_one() {
        let map = read(
            r#"{"files": "review", "git": {"session_intent": "work", "owner": "x"}, "no": ""}"#,
        )
        .unwrap();
        for (server, intent) in
            [("files", Some("review")), ("git", Some("work")), ("no", None), ("other", None)]
        {
            assert_eq!(map.of(server), intent, "{server}");
        }
        assert_eq!(read(r#"{"*": "any", "a": ""}"#).unwrap().of("b"), Some("any"));
        assert_eq!(read("{}\n").unwrap().of("a"), None);
        assert_eq!(read("").unwrap().of("a"), None);
        assert_eq!(Intents::read(Path::new("/nowhere")).unwrap().of("a"), None);
    }

    #[test]
    fn a_map_that_is_none_is_told_with_its_place() {
        for text in ["{", "[]", r#"{"a": 1}"#, r#"{"a": {}}"#, "{\"a\": \"b\",\n}"] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.contains("line ") && told.contains("column "), "{told}");
            assert!(told.contains(NAME), "{told}");
        }
    }
}
