//! One file: what is to be done with it, done or only looked at, and what became of each server.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::diff;
use super::select::Meant;
use super::wish::Wish;
use crate::clients::document::{Document, Edited, Malformed, Server, Transport, wrapped};
use crate::clients::place::backup::{self, NoBackup};
use crate::clients::place::{self, Contents, PlaceError};
use crate::clients::table::File;
use crate::secret::ApiKey;

/// What is done with each file, and where the outcome goes.
#[derive(Debug)]
pub(in crate::cli) struct Work<'a> {
    pub(in crate::cli) task: Task<'a>,
    pub(in crate::cli) goal: Goal,
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

/// What became of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) struct Row {
    /// Its key.
    pub(in crate::cli) name: String,
    /// The keys between the file's root and the list it stands in: its project.
    pub(in crate::cli) within: Option<String>,
    pub(in crate::cli) state: State,
    /// Why it is not as it was to be, or what should be known about it.
    pub(in crate::cli) why: Option<String>,
    /// Whether its client is told not to start it.
    pub(in crate::cli) disabled: bool,
    /// Whether wrapping would help, or did.
    pub(in crate::cli) mendable: bool,
}

/// How a server stands after the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum State {
    /// It was wrapped now.
    Wrapped,
    /// It was wrapped, and its entry was brought up to date.
    Updated,
    /// It was wrapped, and nothing was to be done.
    Already,
    /// It is not wrapped and cannot be.
    Ungoverned,
    /// It was unwrapped now.
    Unwrapped,
    /// It was not wrapped, and nothing was to be undone.
    Plain,
    /// It is wrapped and could not be unwrapped.
    Stuck,
}

/// Why nothing was done with a file. It is as it was.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Trouble {
    #[error(
        "{}:{}:{}: {}; mend the file and try again, nothing was changed",
        path.display(), at.line, at.column, at.what
    )]
    Malformed { path: PathBuf, at: Malformed },
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
    pub(in crate::cli) fn on(&self, meant: &Meant) -> Result<Done, Trouble> {
        let file = &meant.file;
        if !meant.is_ours {
            let mut done = self.edited(file, &place::read(&file.path)?)?;
            done.leave("an administrator's file, which is not written: name its PATH to do so");
            return Ok(done);
        }
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
        let (edited, rows) = match self.task {
            Task::Wrap(wish) => {
                let mut index = 0..;
                let edited = document.wrap(|server| {
                    let added = index.next().map(|at| document.added(at)).unwrap_or_default();
                    wish.wrapping(server, added)
                });
                let rows = rows(&document, &edited, after_wrapping, State::Already);
                (edited, rows)
            }
            Task::Unwrap => {
                let edited = document.unwrap(|_| true);
                let rows = rows(&document, &edited, after_unwrapping, State::Stuck);
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

/// Whether an entry starts thoth around its server.
fn is_wrapped(server: &Server) -> bool {
    match &server.transport {
        Transport::Stdio { command, args, .. } => wrapped(command, args).is_some(),
        Transport::Remote { .. } | Transport::Other { .. } => false,
    }
}

fn rows(
    document: &Document,
    edited: &Edited,
    stands: fn(&Server, bool) -> (State, Option<String>),
    stays: State,
) -> Vec<Row> {
    let refused_state =
        |server: &Server| if is_wrapped(server) { stays } else { State::Ungoverned };
    let row = |(index, server): (usize, &Server)| {
        let refused = edited.refused.iter().find(|(at, _)| *at == index);
        let (state, why) = match refused {
            None => stands(server, edited.changed.contains(&index)),
            Some((_, why)) => (refused_state(server), Some(why.clone())),
        };
        let mut kept = edited.kept.iter().filter(|(at, _)| *at == index).map(|(_, name)| name);
        let why = why.or_else(|| kept.next().map(|name| format!("its own {name} stays")));
        Row {
            name: server.name.clone(),
            within: within(server),
            state,
            why,
            disabled: server.disabled,
            mendable: state == State::Wrapped,
        }
    };
    document.servers().iter().enumerate().map(row).collect()
}

fn after_wrapping(server: &Server, changed: bool) -> (State, Option<String>) {
    match (&server.transport, changed) {
        (Transport::Stdio { command, args, .. }, _) => {
            let Some(wrapped) = wrapped(command, args) else {
                return if changed {
                    (State::Wrapped, None)
                } else {
                    (State::Ungoverned, Some("it could not be wrapped".to_owned()))
                };
            };
            let key = wrapped
                .flags
                .iter()
                .any(|flag| flag == "--api-key" || flag.starts_with("--api-key="));
            let why = key.then(|| {
                "a key stands in its arguments, where everybody on this machine can see it: \
                 use `thoth set-api-key`, and take it out"
                    .to_owned()
            });
            (if changed { State::Updated } else { State::Already }, why)
        }
        (Transport::Remote { member, .. }, _) => {
            let why = format!("a remote server (`{member}`), which thoth cannot wrap yet");
            (State::Ungoverned, Some(why))
        }
        (Transport::Other { what }, _) => (State::Ungoverned, Some(what.clone())),
    }
}

fn after_unwrapping(server: &Server, changed: bool) -> (State, Option<String>) {
    if changed {
        (State::Unwrapped, None)
    } else if is_wrapped(server) {
        (State::Stuck, Some("it could not be unwrapped".to_owned()))
    } else {
        (State::Plain, None)
    }
}

/// What stands between the root of the file and the list of servers, where anything does.
fn within(server: &Server) -> Option<String> {
    match &server.within[..] {
        [_, middle @ .., _] if !middle.is_empty() => Some(middle.join(".")),
        _ => None,
    }
}

// === impl Done ===

impl Done {
    /// Whether the file holds, or would hold, something else.
    pub(in crate::cli) fn is_changed(&self) -> bool {
        self.before != self.after
    }

    /// Tells how the servers stand now, where nothing is done.
    pub(in crate::cli) fn looked_at(mut self) -> Self {
        self.leave("its client starts it without thoth: run `thoth wrap-config`");
        self
    }

    /// Takes back what would have been done.
    fn leave(&mut self, why: &str) {
        self.after.clone_from(&self.before);
        for row in &mut self.rows {
            row.state = match row.state {
                State::Updated => State::Already,
                State::Wrapped => State::Ungoverned,
                State::Unwrapped => State::Stuck,
                stays @ (State::Already | State::Ungoverned | State::Plain | State::Stuck) => stays,
            };
            if row.why.is_none() && row.state != State::Already {
                row.why = Some(why.to_owned());
            }
        }
    }
}

// === impl State ===

impl State {
    /// Whether thoth decides the server's calls.
    pub(in crate::cli) fn is_governed(self) -> bool {
        matches!(self, Self::Wrapped | Self::Updated | Self::Already | Self::Stuck)
    }

    /// As people are told.
    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            Self::Wrapped => "wrapped",
            Self::Updated => "updated",
            Self::Already => "already",
            Self::Ungoverned => "UNGOVERNED",
            Self::Unwrapped => "unwrapped",
            Self::Plain => "not wrapped",
            Self::Stuck => "STILL WRAPPED",
        }
    }
}
