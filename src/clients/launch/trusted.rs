//! Entries of projects that were trusted with `--trust-project`: their hashes, in `trusted/` in
//! thoth's own directory, 0600, one file for each configuration file.
//!
//! # Invariants
//!
//! - A hash is of the entry as a whole, of its name and of what it has the person asked for, so that
//!   another command, argument or variable is another entry.
//! - Nothing of an entry is kept but its name and its hash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Candidate;
use crate::clients::document::Syntax;
use crate::profile::{self, Unsafe};

/// The directory in thoth's own.
const DIRECTORY: &str = "trusted";

/// The longest file that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// The SHA-256 of an entry, in hexadecimal digits.
pub type Hash = String;

/// What was trusted before.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    files: BTreeMap<PathBuf, Known>,
}

/// Whether an entry was trusted before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// No entry of this name was.
    New,
    /// It was.
    Same,
    /// Another one of this name was.
    Changed,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Known {
    /// The configuration file, for people.
    file: String,
    /// Hashes by the names of entries.
    entries: BTreeMap<String, Hash>,
}

/// What was trusted before cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Untold {
    /// Others could have changed it, or it cannot be reached.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// It is no file of ours.
    #[error("{} is not what thoth wrote; remove it to begin anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// The hash of an entry.
pub fn hash(candidate: &Candidate) -> Hash {
    let mut hash = Sha256::new();
    hash.update(b"thoth trusted entry 1\0");
    hash.update(candidate.name.len().to_le_bytes());
    hash.update(&candidate.name);
    hash.update(candidate.value.line(Syntax::Json));
    for definition in candidate.inputs.iter().filter_map(|input| input.definition.as_ref()) {
        hash.update(b"\0input ");
        hash.update(definition.line(Syntax::Json));
    }
    hex::encode(hash.finalize())
}

// === impl Trusted ===

impl Trusted {
    /// Reads what was trusted of these files. `home` is thoth's own directory.
    ///
    /// # Errors
    ///
    /// [`Untold`].
    pub fn read<'a>(
        home: &Path,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Self, Untold> {
        let mut trusted = Self::default();
        for file in files {
            let path = home.join(DIRECTORY).join(name(file));
            if let Some(text) = profile::read_private(&path, LONGEST)? {
                let known = serde_json::from_slice(&text)
                    .map_err(|source| Untold::Malformed { path, source })?;
                trusted.files.insert(file.to_owned(), known);
            }
        }
        Ok(trusted)
    }

    /// How an entry stands.
    pub fn standing(&self, file: &Path, name: &str, hash: &Hash) -> Standing {
        match self.files.get(file).and_then(|known| known.entries.get(name)) {
            None => Standing::New,
            Some(known) if known == hash => Standing::Same,
            Some(_) => Standing::Changed,
        }
    }

    /// Remembers entries, beside what was known.
    ///
    /// # Errors
    ///
    /// [`Untold`].
    pub fn remember(
        mut self,
        home: &Path,
        entries: &[(PathBuf, String, Hash)],
    ) -> Result<(), Untold> {
        if entries.is_empty() {
            return Ok(());
        }
        profile::open(home)?;
        let directory = home.join(DIRECTORY);
        profile::open_inside(&directory)?;
        for (file, name, hash) in entries {
            let known = self.files.entry(file.clone()).or_default();
            known.file = file.display().to_string();
            known.entries.insert(name.clone(), hash.clone());
        }
        for (file, known) in &self.files {
            let text = serde_json::to_vec_pretty(known)
                .unwrap_or_else(|_| unreachable!("strings can be written as JSON"));
            profile::replace(&directory, &name(file), &text)?;
        }
        Ok(())
    }
}

/// The file's name for a configuration file.
fn name(file: &Path) -> String {
    let hash = Sha256::digest(file.as_os_str().as_encoded_bytes());
    format!("{}.json", hex::encode(&hash[..16]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clients::document::{Transport, Value};
    use crate::clients::launch::{Input, Whose, recipe};

    fn read(text: &str) -> Value {
        Value::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_hash_is_of_the_name_the_entry_and_what_is_asked_for() {
        let entry = || Candidate {
            name: "a".to_owned(),
            whose: Whose::Project,
            file: None,
            transport: Transport::Other { what: String::new() },
            shape: recipe("vscode").unwrap().sources[0].shape,
            value: read(r#"{"command": "x"}"#),
            inputs: Vec::new(),
        };
        let asking = |definition: &str| {
            let definition = Some(read(definition));
            vec![Input { name: "t".to_owned(), definition }]
        };
        let others = [
            entry(),
            Candidate { name: "b".to_owned(), ..entry() },
            Candidate { value: read(r#"{"command": "y"}"#), ..entry() },
            Candidate { inputs: asking(r#"{"id": "t"}"#), ..entry() },
            Candidate { inputs: asking(r#"{"id": "t", "type": "command"}"#), ..entry() },
        ];
        let hashes: BTreeSet<_> = others.iter().map(hash).collect();
        assert_eq!(hashes.len(), others.len());
        assert!(hashes.contains(&hash(&entry())), "the same entry has the same");
    }
}
