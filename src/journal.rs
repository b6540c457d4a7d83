//! The journal: what was decided, and what came of it, in one sealed file for each session.
//!
//! `~/.thoth/journal/<agent>/<session>.jsonl`, 0600 in directories 0700, a JSON object a line,
//! chained by [`crate::seal`]; its members and what they prove are in `docs/journal.md`.
//!
//! A [`Journal`] touches nothing before its first record: some clients start thoth twice and use
//! it once. From then on each record is one `write`, done when [`Journal::append`] returns, and so
//! survives the death of thoth, however it dies. It is on the disk for good only after
//! [`Journal::close`]: a power failure may cost the last seconds, and [`verify`] says so.
//!
//! # Invariants
//!
//! - `Ok` from `append` means that the record is in the file, behind all records before it. Whether
//!   the file still has its name is looked at once a second, and every 64 records.
//! - `Err` means that no part of it stands in the chain; a later record may still be written.
//! - No file that was there before is written to, and nothing is written through a symbolic link
//!   inside the profile.

mod book;
mod entry;
mod head;
mod key;
mod name;
mod verify;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::book::{Book, Refused};
use self::entry::Counts;
use self::key::{Arguments, Hashed};
use crate::config::settings;
use crate::gate::record::{Carried, Outcome, Record};
use crate::gate::verdict::PolicyRef;
use crate::profile::{self, Unsafe};
use crate::seal::{self, Digest, Head};

pub use self::key::NoKey;
pub use self::verify::{KeptHead, Verified, find, newest, verify};

/// The format of the file, in its first record.
pub const FORMAT: &str = "thoth-journal/1";

/// What the first record says of a session, beside its id, its agent and its start.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The tenant, as configured.
    pub tenant: Option<String>,
    /// The person, as configured.
    pub user: Option<String>,
    /// What the session is for, as configured.
    pub intent: Option<String>,
    /// The local policies in force.
    pub policies: Vec<PolicyRef>,
}

/// The journal of one session. Dropped without [`Journal::close`], it stays open for ever, as
/// after a crash.
#[derive(Debug)]
pub struct Journal {
    home: PathBuf,
    path: PathBuf,
    agent: String,
    session: String,
    started: Timestamp,
    header: Header,
    full_arguments: bool,
    counts: Counts,
    /// Records lost since the last one that was written.
    lost: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was written down yet, and no file made.
    Waiting,
    Open(Box<Pages>),
    /// Where the chain stood at the end.
    Closed(Head),
}

/// The files of a journal.
#[derive(Debug)]
struct Pages {
    book: Book<File>,
    keeper: head::Keeper,
    arguments: Arguments,
}

/// Why a record is not in the journal. The call it is about must not go on, unless the journal is
/// kept at best effort.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// Somebody else changed the file, and what is written behind that proves nothing.
    #[error("{} was changed by somebody else; keep it, and start a new session", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The session is over.
    #[error("the journal is closed")]
    Closed,
    /// The file cannot be made, or another one has its name.
    #[error("cannot make {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory cannot be made, or is open to others.
    #[error("the journal has no safe place")]
    Directory(#[source] Unsafe),
    /// Arguments cannot be hashed.
    #[error("the journal has no key for arguments")]
    Key(#[source] NoKey),
    /// Somebody removed the file.
    #[error("{} was removed while in use; start a new session", path.display())]
    Removed {
        /// Where the file was.
        path: PathBuf,
    },
    /// The disk is full, or broken.
    #[error("cannot write to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Where the journals of a profile are.
pub fn directory(home: &Path) -> PathBuf {
    home.join("journal")
}

// === impl Journal ===

impl Journal {
    /// Prepares the journal of one session; touches nothing.
    ///
    /// `session` should be new: a journal is never continued. `agent` and `session` may hold any
    /// text, see `docs/journal.md` for the file names they get. `now` is the session's start.
    pub fn create(
        home: &Path,
        agent: &str,
        session: &str,
        settings: settings::Journal,
        header: Header,
        now: Timestamp,
    ) -> Self {
        let file = name::of(session) + ".jsonl";
        Self {
            home: home.to_owned(),
            path: directory(home).join(name::of(agent)).join(file),
            agent: agent.to_owned(),
            session: session.to_owned(),
            started: now,
            header,
            full_arguments: settings.full_arguments,
            counts: Counts::default(),
            lost: 0,
            state: State::Waiting,
        }
    }

    /// Where the journal is, or will be with its first record.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the chain stands: the last record's number and seal, [`Head::ORIGIN`] before the
    /// first. Kept elsewhere, it shows later that nothing up to it was changed.
    pub fn head(&self) -> Head {
        match &self.state {
            State::Waiting => Head::ORIGIN,
            State::Open(pages) => pages.book.head(),
            State::Closed(head) => *head,
        }
    }

    /// Writes one record down. Blocks for one `write`, and for the hash of arguments or result:
    /// see [`Journal::append_digested`] for large results.
    ///
    /// # Errors
    ///
    /// [`Unwritable`]: the record is not in the journal. The next may be, and says how many were
    /// lost before it.
    pub fn append(&mut self, record: &Record, now: Timestamp) -> Result<(), Unwritable> {
        match record {
            Record::Decision(decided) => {
                let call_id = decided.ticket.call_id(&self.session);
                self.write(now, "decision", |line, arguments| {
                    entry::put(line, &entry::Decision::new(decided, call_id, arguments));
                })?;
                self.counts.decisions += 1;
                self.counts.forwarded += u64::from(decided.forwarded);
                Ok(())
            }
            Record::Outcome(outcome) => self.append_outcome(outcome, None, now),
            Record::Unreadable { reason_code, bytes } => {
                self.write(now, "unreadable", |line, _| {
                    let bytes = *bytes;
                    entry::put(line, &entry::Unreadable { reason_code, bytes });
                })?;
                self.counts.unreadable += 1;
                Ok(())
            }
        }
    }

    /// Writes an outcome down, and how its call was carried to a server behind a URL.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`].
    pub fn append_outcome(
        &mut self,
        outcome: &Outcome,
        carried: Option<Carried>,
        now: Timestamp,
    ) -> Result<(), Unwritable> {
        let digest = entry::answer(&outcome.end).map(|answer| seal::digest(answer));
        self.put_outcome(outcome, digest, carried, now)
    }

    /// Writes an outcome down whose answer was hashed elsewhere, such as on another thread:
    /// `digest` is [`seal::digest`] of its result or error.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`].
    pub fn append_digested(
        &mut self,
        outcome: &Outcome,
        digest: Option<Digest>,
        now: Timestamp,
    ) -> Result<(), Unwritable> {
        self.put_outcome(outcome, digest, None, now)
    }

    fn put_outcome(
        &mut self,
        outcome: &Outcome,
        digest: Option<Digest>,
        carried: Option<Carried>,
        now: Timestamp,
    ) -> Result<(), Unwritable> {
        let call_id = outcome.ticket.call_id(&self.session);
        self.write(now, "outcome", |line, _| {
            entry::put(line, &entry::Ended::new(outcome, call_id, digest, carried));
        })?;
        self.counts.outcomes += 1;
        Ok(())
    }

    /// Writes the closing record, and waits until the whole journal is on the disk. A journal
    /// without a record is closed without a trace; one that is closed stays so.
    ///
    /// # Errors
    ///
    /// [`Unwritable`]: the journal may lack its end, or be lost with the power.
    pub fn close(&mut self, now: Timestamp) -> Result<(), Unwritable> {
        let last = State::Closed(self.head());
        let State::Open(mut pages) = std::mem::replace(&mut self.state, last) else {
            return Ok(());
        };
        if pages.book.head() == Head::ORIGIN {
            return Ok(()); // not even the first record could be written
        }
        let counts = self.counts;
        let closed = pages
            .book
            .examine()
            .and_then(|()| pages.write(now, "end", |line, _| entry::put(line, &counts)));
        self.state = State::Closed(pages.book.head());
        closed
            .and_then(|()| pages.sync().map_err(Refused::Failed))
            .map_err(|refused| refused.of(&self.path))
    }

    fn write(
        &mut self,
        now: Timestamp,
        kind: &str,
        fill: impl FnOnce(&mut Vec<u8>, &Arguments),
    ) -> Result<(), Unwritable> {
        let lost = self.lost;
        let wrote = self.pages(now).and_then(|(pages, path)| {
            let wrote = pages.write(now, kind, |line, arguments| {
                if lost > 0 {
                    entry::put(line, &entry::LostBefore { lost_before: lost });
                }
                fill(line, arguments);
            });
            wrote.map_err(|refused| refused.of(path))
        });
        if wrote.is_ok() {
            self.lost = 0;
        } else {
            self.lost += 1;
            self.counts.lost += 1;
        }
        wrote
    }

    /// The files, made where there are none yet, with the first record in them.
    fn pages(&mut self, now: Timestamp) -> Result<(&mut Pages, &Path), Unwritable> {
        if let State::Waiting = self.state {
            let pages = Pages::create(&self.home, &self.path, self.full_arguments)?;
            self.state = State::Open(Box::new(pages));
        }
        let State::Open(pages) = &mut self.state else {
            return Err(Unwritable::Closed);
        };
        if pages.book.head() == Head::ORIGIN {
            let header = &self.header;
            let (salt, key_id, arguments) = match &pages.arguments {
                Arguments::Full => (None, None, "full"),
                Arguments::Hashed(hashed) => {
                    (Some(hashed.salt()), Some(hashed.key_id()), "hmac-sha256")
                }
            };
            let session = entry::Session {
                format: FORMAT,
                id: &self.session,
                agent: &self.agent,
                started: format!("{:.6}", self.started),
                thoth: env!("CARGO_PKG_VERSION"),
                tenant: header.tenant.as_deref(),
                user: header.user.as_deref(),
                intent: header.intent.as_deref(),
                policies: header.policies.iter().map(Into::into).collect(),
                arguments,
                salt,
                key_id,
            };
            pages
                .write(now, "session", |line, _| entry::put(line, &session))
                .map_err(|refused| refused.of(&self.path))?;
        }
        Ok((pages, &self.path))
    }
}

// === impl Pages ===

impl Pages {
    fn create(home: &Path, path: &Path, full_arguments: bool) -> Result<Self, Unwritable> {
        profile::open(home).map_err(Unwritable::Directory)?;
        profile::open_inside(&directory(home)).map_err(Unwritable::Directory)?;
        if let Some(agent) = path.parent() {
            profile::open_inside(agent).map_err(Unwritable::Directory)?;
        }
        let arguments = if full_arguments {
            Arguments::Full
        } else {
            Arguments::Hashed(Box::new(Hashed::new(home).map_err(Unwritable::Key)?))
        };
        let create = |path: &Path, source| Unwritable::Create { path: path.to_owned(), source };
        let file = log_file().open(path).map_err(|source| create(path, source))?;
        let kept = head::beside(path);
        match head::Keeper::create(&kept) {
            Ok(keeper) => Ok(Self { book: Book::new(file), keeper, arguments }),
            Err(source) => {
                drop(file);
                // Ours, and empty: it would be in the way of the next try.
                let _ = std::fs::remove_file(path);
                Err(create(&kept, source))
            }
        }
    }

    fn write(
        &mut self,
        now: Timestamp,
        kind: &str,
        fill: impl FnOnce(&mut Vec<u8>, &Arguments),
    ) -> Result<(), Refused> {
        let arguments = &self.arguments;
        self.book.append(now, kind, |line| fill(line, arguments))?;
        // The record is in the journal; a head that is behind covers less, and accuses nobody.
        let _ = self.keeper.keep(self.book.head());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.book.sync()?;
        self.keeper.sync()
    }
}

/// Every write goes to the end of the file, wherever somebody else put it.
#[cfg(not(windows))]
fn log_file() -> OpenOptions {
    let mut options = profile::new_file();
    options.append(true);
    options
}

/// While a journal is written, Windows lets others read it, but not write, rename or remove it.
/// A file opened for appending could not be cut back there after a failed write.
#[cfg(windows)]
fn log_file() -> OpenOptions {
    const FILE_SHARE_READ: u32 = 1;
    let mut options = profile::new_file();
    options.write(true);
    std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, FILE_SHARE_READ);
    options
}

// === impl Refused ===

impl Refused {
    fn of(self, path: &Path) -> Unwritable {
        let path = path.to_owned();
        match self {
            Self::Changed => Unwritable::Changed { path },
            Self::Failed(source) => Unwritable::Write { path, source },
            Self::Removed => Unwritable::Removed { path },
        }
    }
}
