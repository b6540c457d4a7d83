//! Where events are read from, line by line, and which sessions are in there.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::{Failed, with_rotated};
use crate::cli::printable::Printable;
use crate::friction::report::begun;
use crate::spool;

/// The longest line that is read, in bytes. Longer ones are no event.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Where events are read from.
pub(super) enum Source {
    /// Files, the oldest first.
    Files(Vec<PathBuf>),
    /// What lies in the spools of a profile.
    Spools(PathBuf),
}

/// The sessions that were found, in the order they began.
pub(super) struct Overview(Vec<Row>);

#[derive(Debug, Serialize)]
struct Row {
    session: String,
    began_at: Option<Timestamp>,
    last_event_at: Option<Timestamp>,
    vendor: Option<String>,
    events: u64,
    /// Of calls, and of what the agent said.
    doings: u64,
}

// === impl Source ===

impl Source {
    /// The files that were asked for, and no others.
    pub(super) fn named(files: Vec<PathBuf>) -> Result<Self, Failed> {
        for path in &files {
            let file = File::open(path).and_then(|file| file.metadata());
            let is_directory = file.map_err(Failed::read(path))?.is_dir();
            if is_directory {
                return Err(Failed::read(path)(io::Error::other("it is a directory")));
            }
        }
        Ok(Self::Files(files))
    }

    /// The usual files with what was rotated out of them; without any, the spools of a profile.
    pub(super) fn usual(logs: &[PathBuf], home: &Path) -> Result<Self, Failed> {
        let files: Vec<_> = logs.iter().flat_map(|path| with_rotated(path)).collect();
        if !files.is_empty() {
            return Ok(Self::Files(files));
        }
        let is_empty = home.as_os_str().is_empty() || is_empty(home)?;
        if is_empty { Ok(Self::Files(logs.to_vec())) } else { Ok(Self::Spools(home.to_owned())) }
    }

    /// Shows every line.
    pub(super) fn each(&self, mut each: impl FnMut(&[u8])) -> Result<(), Failed> {
        match self {
            Self::Spools(home) => {
                let looked = spool::look(home, each);
                looked.map(drop).map_err(Failed::read(&home.join("spool")))
            }
            Self::Files(files) => files.iter().try_for_each(|path| match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                file => file.and_then(|file| lines(file, &mut each)).map_err(Failed::read(path)),
            }),
        }
    }

    /// What a reader of the report should know of it.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Files(_) => None,
            Self::Spools(_) => Some(format!(
                "no file of events; told from {}, where those lie that were not sent yet",
                self.shown()
            )),
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Spools(home) => Printable(&home.join("spool").to_string_lossy()).to_string(),
            Self::Files(files) => {
                let files: Vec<_> = files
                    .iter()
                    .map(|path| Printable(&path.to_string_lossy()).to_string())
                    .collect();
                files.join(", ")
            }
        }
    }
}

fn is_empty(home: &Path) -> Result<bool, Failed> {
    let mut count = 0;
    spool::look(home, |_| count += 1).map_err(Failed::read(&home.join("spool")))?;
    Ok(count == 0)
}

/// Shows each line without its end. Of one that is too long only the beginning, which is no JSON.
fn lines(file: File, each: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::with_capacity(256 * 1024, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut file).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == LONGEST {
            file.skip_until(b'\n')?;
        }
        each(&line);
    }
}

// === impl Overview ===

impl Overview {
    pub(super) fn of(source: &Source) -> Result<Self, Failed> {
        let (mut rows, mut places) = (Vec::<Row>::new(), HashMap::new());
        source.each(|line| {
            let Some(begun) = begun(line) else { return };
            let place = *places.entry(begun.session.clone()).or_insert_with(|| {
                rows.push(Row {
                    session: begun.session.clone(),
                    began_at: begun.at,
                    last_event_at: begun.at,
                    vendor: begun.vendor.clone(),
                    events: 0,
                    doings: 0,
                });
                rows.len() - 1
            });
            let row = &mut rows[place];
            row.events += 1;
            row.doings += u64::from(begun.is_doing);
            row.began_at = row.began_at.min(begun.at).or(begun.at);
            row.last_event_at = row.last_event_at.max(begun.at);
        })?;
        rows.sort_by_key(|row| row.began_at);
        Ok(Self(rows))
    }

    /// The last session in which anything was done; else the last one.
    pub(super) fn last(self) -> Option<String> {
        let place = self.0.iter().rposition(|row| row.doings > 0);
        let place = place.or(self.0.len().checked_sub(1))?;
        self.0.into_iter().nth(place).map(|row| row.session)
    }

    pub(super) fn text(&self) -> String {
        let mut text =
            format!("{:<24}  {:>7}  {:<36}  SERVER\n", "BEGAN (UTC)", "EVENTS", "SESSION");
        for row in &self.0 {
            let began = row.began_at.map_or("-".to_owned(), |at| format!("{at:.3}"));
            let vendor = row.vendor.as_deref().unwrap_or("-");
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{began:<24}  {:>7}  {:<36}  {}",
                row.events,
                Printable(&row.session).to_string(),
                Printable(vendor)
            );
        }
        text
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(&self.0)
            .unwrap_or_else(|_| unreachable!("texts and numbers are always written"))
            + "\n"
    }
}
