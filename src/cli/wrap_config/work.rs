//! One file: what is to be done with it, done or only looked at, and what became of each server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::diff;
use super::far::{self, Choice};
use super::rows::{self, Row};
use super::vault::{self, Fresh, NotKept};
use super::wish::Wish;
use crate::clients::document::{Document, Edited, Malformed, Transport};
use crate::clients::place::backup::{self, NoBackup};
use crate::clients::place::{self, Contents, PlaceError};
use crate::clients::scan::{Entries, Entry};
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

/// What became of a file. Does not print: it holds the file's text.
pub(in crate::cli) struct Done {
    pub(in crate::cli) before: Vec<u8>,
    pub(in crate::cli) after: Vec<u8>,
    pub(in crate::cli) rows: Vec<Row>,
    /// Where the copy is that was made now.
    pub(in crate::cli) backup: Option<PathBuf>,
    /// The files to which secrets are moved, and what each holds.
    files: Vec<(PathBuf, String)>,
    /// Those secrets.
    moved: Vec<String>,
    /// The files out of which secrets are taken.
    emptied: BTreeSet<PathBuf>,
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
    #[error(transparent)]
    Secret(#[from] NotKept),
    #[error(
        "{}: a secret that was to be moved would stand in the file still; nothing was written",
        .0.display()
    )]
    Left(PathBuf),
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
            Goal::InPlace => {
                let mut fresh = Fresh::default();
                let done = place::edit(&file.path, self.home, |contents| -> Result<_, Trouble> {
                    fresh.write(self.home, &[])?;
                    let mut done = self.edited(file, contents)?;
                    if done.after != done.before && matches!(self.task, Task::Wrap(_)) {
                        let id = file.client.id;
                        done.backup = backup::keep(contents, self.home, id, self.now)?;
                        fresh.write(self.home, &done.files)?;
                    }
                    Ok((done.after.clone(), done))
                })?;
                fresh.settle();
                for path in &done.emptied {
                    let _ = fs::remove_file(path); // the client's file has it now
                }
                Ok(done)
            }
            Goal::File(path) => {
                let contents = place::read(&file.path)?;
                let mut done = self.edited(file, &contents)?;
                let mut fresh = Fresh::default();
                fresh.write(self.home, &done.files)?;
                if fs::symlink_metadata(path).is_err() {
                    place::create(path, self.home, &done.after, &contents)?;
                } else {
                    done.backup = place::edit(path, self.home, |old| -> Result<_, Trouble> {
                        let kept = backup::keep(old, self.home, "output", self.now)?;
                        Ok((done.after.clone(), kept))
                    })?;
                }
                fresh.settle();
                Ok(done)
            }
        }
    }

    fn edited(&self, file: &File, contents: &Contents) -> Result<Done, Trouble> {
        let malformed = |at| Trouble::Malformed { path: file.path.clone(), at };
        let document = Document::read(&contents.bytes, file.shape).map_err(malformed)?;
        let entries = Entries::new(self.places).of(file, &document, &contents.bytes);
        let mut done = match self.task {
            Task::Wrap(wish) => wrap(wish, file, &document, &entries),
            Task::Unwrap => self.unwrap(file, &document, &entries),
        };
        done.before.clone_from(&contents.bytes);
        let (before, after) = (&contents.bytes, &done.after);
        let [before, after] = [before, after].map(|text| String::from_utf8_lossy(text));
        if far::leaks(self.secrets, &before, &after) {
            return Err(Trouble::Leak(file.path.clone()));
        }
        if done.moved.iter().any(|secret| is_left(secret, &done.moved, &before, &after)) {
            return Err(Trouble::Left(file.path.clone()));
        }
        Ok(done)
    }

    fn unwrap(&self, file: &File, document: &Document, entries: &[Entry]) -> Done {
        let mut found: BTreeMap<usize, BTreeSet<PathBuf>> = BTreeMap::new();
        // What could not be wrapped now may have been, before.
        let choose = |_: &_| file.kind != Kind::Managed;
        let edited = document.unwrap_filled(choose, |at, hole| {
            let Transport::Stdio { command, args, .. } = &document.servers()[at].transport else {
                return None;
            };
            let (path, secret) = vault::recall(self.home, command, args, hole)?;
            found.entry(at).or_default().insert(path);
            Some(secret)
        });
        let rows = rows::after_unwrapping(document, entries, &edited);
        let emptied = found.into_iter().filter(|(at, _)| edited.changed.contains(at));
        let emptied = emptied.flat_map(|(_, paths)| paths).collect();
        Done { after: edited.text, emptied, ..Done::of(rows) }
    }

    /// The change of a file as people read changes, without the secrets in the file.
    pub(in crate::cli) fn diff(file: &File, done: &Done) -> String {
        let veiled = |text: &[u8]| Document::read(text, file.shape).map(|text| text.veiled());
        // Both were read before.
        let before = veiled(&done.before).unwrap_or_default();
        diff::unified(&file.path, &before, &veiled(&done.after).unwrap_or_default())
    }
}

/// Wraps what is to be wrapped.
fn wrap(wish: &Wish, file: &File, document: &Document, entries: &[Entry]) -> Done {
    let mut taken = BTreeSet::new();
    let mut choose = |at: usize| -> Option<Choice> {
        let entry = entries.iter().find(|entry| entry.server == Some(at))?;
        if entry.barrier.is_some() {
            return None;
        }
        if let Some(address) = document.address(at) {
            return Some(wish.far(file.client.id, &entry.name, address, &mut taken));
        }
        let transport = &document.servers()[at].transport;
        wish.wrapping(&entry.name, transport, document.added(at)).map(Choice::plain)
    };
    let choices: Vec<_> = (0..document.servers().len()).map(&mut choose).collect();
    let mut index = 0..;
    let edited: Edited = document.wrap(|_| match choices.get(index.next()?)? {
        Some(Choice::Wrap { wrapping, .. }) => Some(wrapping.clone()),
        Some(Choice::Leave { .. }) | None => None,
    });
    let rows = rows::after_wrapping(document, entries, &edited, &choices);
    let (mut files, mut moved) = (Vec::new(), Vec::new());
    for at in &edited.changed {
        if let Some(Choice::Wrap { files: its, wrapping, .. }) = &choices[*at] {
            files.extend(its.iter().cloned());
            moved.extend(far::moved(wrapping).map(str::to_owned));
        }
    }
    Done { after: edited.text, files, moved, ..Done::of(rows) }
}

/// Whether a text holds a secret that was taken out of it. A short one would be found by accident.
fn is_left(secret: &str, moved: &[String], before: &str, after: &str) -> bool {
    const SHORTEST: usize = 8;
    let taken: usize = moved.iter().map(|other| other.matches(secret).count()).sum();
    let (had, has) = (before.matches(secret).count(), after.matches(secret).count());
    secret.len() >= SHORTEST && has + taken > had
}

// === impl Done ===

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Done {
    /// Nothing: the servers were looked at.
    pub(in crate::cli) fn of(rows: Vec<Row>) -> Self {
        Self {
            before: Vec::new(),
            after: Vec::new(),
            rows,
            backup: None,
            files: Vec::new(),
            moved: Vec::new(),
            emptied: BTreeSet::new(),
        }
    }

    /// The files to which secrets are moved.
    pub(in crate::cli) fn vaults(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Whether the file holds, or would hold, something else.
    pub(in crate::cli) fn is_changed(&self) -> bool {
        self.before != self.after
    }
}
