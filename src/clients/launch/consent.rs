//! What the user approved of a project's servers, as the client remembers it.
//!
//! A project cannot approve its own servers: what is committed with it counts where it says no,
//! and not where it says yes, whatever the client makes of it.

mod claude;
mod folders;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::Consent;
use crate::clients::table::{Base, Places, read};

/// What the user said of a project's servers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Approvals {
    /// What holds for one that is not named.
    otherwise: Answer,
    yes: BTreeSet<String>,
    no: BTreeSet<String>,
}

/// What the user said of one server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Answer {
    /// It was approved.
    Yes,
    /// It was rejected.
    No,
    /// Nothing.
    None,
    /// The client keeps no approvals that could be looked at.
    #[default]
    Unknown,
}

/// What the client remembers cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The system does not let it.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what the client writes.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place; never a value of the file.
        what: String,
    },
}

/// Reads what the user approved. `project` is the whole path of the project.
///
/// # Errors
///
/// [`Unread`]: what cannot be read counts neither as yes nor as no.
pub fn approvals(consent: Consent, places: &Places, project: &Path) -> Result<Approvals, Unread> {
    match consent {
        Consent::Claude => claude::read(places, project),
        Consent::Codex => folders::codex(places, project),
        Consent::Folders(path, member) => folders::read(&places.home.join(path), member, project),
        Consent::Nowhere => Ok(Approvals::default()),
    }
}

/// The directory that a path's repository begins in, where it is in one.
pub(super) fn repository(project: &Path) -> Option<&Path> {
    project.ancestors().find(|above| above.join(".git").exists())
}

/// The first directory of a base: the one that a client with this environment looks into.
fn first(places: &Places, base: Base) -> Option<PathBuf> {
    places.of_base(base, None).into_iter().next()
}

/// A file's text, without a byte order mark; `None` where there is no file, or nothing in it.
fn text(path: &Path) -> Result<Option<Vec<u8>>, Unread> {
    use io::ErrorKind::{NotADirectory, NotFound};

    match read(path) {
        Ok(text) => {
            let text = crate::clients::table::unmarked(&text).to_vec();
            Ok(Some(text).filter(|text| !text.trim_ascii().is_empty()))
        }
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(source) => Err(Unread::File { path: path.to_owned(), source }),
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Unread> {
    let Some(text) = text(path)? else { return Ok(None) };
    let malformed = |error: serde_json::Error| Unread::Malformed {
        path: path.to_owned(),
        what: format!(
            "line {}, column {}: not what the client writes",
            error.line(),
            error.column()
        ),
    };
    serde_json::from_slice(&text).map(Some).map_err(malformed)
}

// === impl Approvals ===

impl Approvals {
    /// What the user said of the server of this name.
    pub fn of(&self, name: &str) -> Answer {
        let name = plain(name);
        if self.no.contains(&name) {
            Answer::No
        } else if self.yes.contains(&name) {
            Answer::Yes
        } else {
            self.otherwise
        }
    }

    /// The same of every server.
    fn all(answer: Answer) -> Self {
        Self { otherwise: answer, ..Self::default() }
    }
}

/// A name as Claude Code compares it: two that differ in other characters are one to it.
fn plain(name: &str) -> String {
    name.replace(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)), "_")
}
