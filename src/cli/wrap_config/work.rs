//! One file: what is to be done with it, done or only looked at, and what became of each server.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::diff;
use super::rows::{self, Row};
use super::wish::Wish;
use crate::clients::document::{Document, Malformed};
use crate::clients::place::backup::{self, NoBackup};
use crate::clients::place::{self, Contents, PlaceError};
use crate::clients::scan::Entries;
use crate::clients::table::{File, Kind, Places};
use crate::secret::ApiKey;

/// What is done with each file, and where the outcome goes.
#[derive(Debug)]
pub(in crate::cli) struct Work<'a> {
    pub(in crate::cli) task: Task<'a>,
    pub(in crate::cli) goal: Goal,
    /// Where clients keep their files.
    pub(in crate::cli) places: &'a Places,
    /// thoth's own directory.
    pub(in crate::cli) home: &'a Path,
    /// What must not turn up in a file where it was not before.
    pub(in crate::cli) secrets: &'a [ApiKey],
    pub(in crate::cli) now: Timestamp,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) enum Task<'a> {
    /// Wrap every server that is started by a command.
    Wrap(&'a Wish),
    /// Make every server what it was before it was wrapped.
    Unwrap,
}

/// Where the outcome goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) enum Goal {
    /// Into the file itself.
    InPlace,
    /// Into another file; the first stays as it is.
    File(PathBuf),
    /// Nowhere, or to whoever called.
    Nowhere,
}

/// What became of a file.
#[derive(Debug)]
pub(in crate::cli) struct Done {
    pub(in crate::cli) before: Vec<u8>,
    pub(in crate::cli) after: Vec<u8>,
    pub(in crate::cli) rows: Vec<Row>,
    /// Where the copy is that was made now.
    pub(in crate::cli) backup: Option<PathBuf>,
}

/// Why nothing was done with a file. It is as it was.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Trouble {
    #[error(
        "{}:{}:{}: {}; mend the file and try again, nothing was changed",
        path.display(), at.line, at.column, at.what
    )]
    Malformed { path: PathBuf, at: Malformed },
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Backup(#[from] NoBackup),
    #[error(
        "{}: a secret of thoth's would stand in the file; nothing was written. \
         Leave it out of --env and of the other flags, or use --embed-api-key",
        .0.display()
    )]
    Leak(PathBuf),
}

// === impl Work ===

impl Work<'_> {
    /// Does the work with one file.
    ///
    /// # Errors
    ///
    /// [`Trouble`]; other files are not touched by it.
    pub(in crate::cli) fn on(&self, file: &File) -> Result<Done, Trouble> {
        match &self.goal {
            Goal::Nowhere => self.edited(file, &place::read(&file.path)?),
            Goal::InPlace => place::edit(&file.path, self.home, |contents| {
                let mut done = self.edited(file, contents)?;
                if done.after != done.before && matches!(self.task, Task::Wrap(_)) {
                    let id = file.client.id;
                    done.backup = backup::keep(contents, self.home, id, self.now)?;
                }
                Ok((done.after.clone(), done))
            }),
            Goal::File(path) => {
                let contents = place::read(&file.path)?;
                let mut done = self.edited(file, &contents)?;
                if fs::symlink_metadata(path).is_err() {
                    place::create(path, self.home, &done.after, &contents)?;
                    return Ok(done);
                }
                done.backup = place::edit(path, self.home, |old| -> Result<_, Trouble> {
                    let kept = backup::keep(old, self.home, "output", self.now)?;
                    Ok((done.after.clone(), kept))
                })?;
                Ok(done)
            }
        }
    }

    fn edited(&self, file: &File, contents: &Contents) -> Result<Done, Trouble> {
        let malformed = |at| Trouble::Malformed { path: file.path.clone(), at };
        let document = Document::read(&contents.bytes, file.shape).map_err(malformed)?;
        let entries = Entries::new(self.places).of(file, &document, &contents.bytes);
        let entry = |at: Option<usize>| entries.iter().find(|entry| entry.server == at);
        let mut index = 0..;
        let (edited, rows) = match self.task {
            Task::Wrap(wish) => {
                let edited = document.wrap(|server| {
                    let at = index.next();
                    let entry = entry(at).filter(|entry| entry.barrier.is_none())?;
                    let added = at.map(|at| document.added(at)).unwrap_or_default();
                    wish.wrapping(&entry.name, &server.transport, added)
                });
                let rows = rows::after_wrapping(&document, &entries, &edited);
                (edited, rows)
            }
            Task::Unwrap => {
                // What could not be wrapped now may have been, before.
                let edited = document.unwrap(|_| file.kind != Kind::Managed);
                let rows = rows::after_unwrapping(&document, &entries, &edited);
                (edited, rows)
            }
        };
        if self.leaks(&contents.bytes, &edited.text) {
            return Err(Trouble::Leak(file.path.clone()));
        }
        Ok(Done { before: contents.bytes.clone(), after: edited.text, rows, backup: None })
    }

    /// The change of a file as people read changes, without the secrets in the file.
    pub(in crate::cli) fn diff(file: &File, done: &Done) -> String {
        let veiled = |text: &[u8]| Document::read(text, file.shape).map(|text| text.veiled());
        // Both were read before.
        let before = veiled(&done.before).unwrap_or_default();
        diff::unified(&file.path, &before, &veiled(&done.after).unwrap_or_default())
    }

    fn leaks(&self, before: &[u8], after: &[u8]) -> bool {
        let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
        self.secrets.iter().any(|key| key.occurrences(&after) > key.occurrences(&before))
    }
}

// === impl Done ===

impl Done {
    /// Nothing: the servers were looked at.
    pub(in crate::cli) fn of(rows: Vec<Row>) -> Self {
        Self { before: Vec::new(), after: Vec::new(), rows, backup: None }
    }

    /// Whether the file holds, or would hold, something else.
    pub(in crate::cli) fn is_changed(&self) -> bool {
        self.before != self.after
    }
}
