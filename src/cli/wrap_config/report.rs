//! What is told about the files: for people, and as JSON.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::rows::{Row, State};
use super::select::Lost;
use super::work::{Done, Trouble};
use crate::cli::fault::chain;
use crate::cli::paint::Paint;
use crate::cli::printable::Printable;
use crate::clients::extension;

/// What became of every file.
#[derive(Debug, Default)]
pub(in crate::cli) struct Report {
    pub(in crate::cli) files: Vec<Told>,
}

/// What became of one file.
#[derive(Debug)]
pub(in crate::cli) struct Told {
    /// Whose it is; `None` where it could not be read, and so not be recognised.
    pub(in crate::cli) client: Option<(&'static str, &'static str)>,
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) outcome: Result<Done, Trouble>,
    /// The change, where it is to be shown.
    pub(in crate::cli) diff: Option<String>,
}

/// How what is told is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cli) enum Tense {
    /// It was done.
    Done,
    /// It would be done.
    Would,
    /// It was looked at.
    Looked,
}

// === impl Report ===

impl Report {
    /// Every server that is not governed, with the file it stands in.
    pub(in crate::cli) fn ungoverned(&self) -> impl Iterator<Item = (&Path, &Row)> {
        self.rows().filter(|(_, row)| !row.state.is_governed())
    }

    /// Every server once: an extension of Claude Desktop as its manifest has it, and as the app's
    /// list has it only where that alone is not governed, or where there is no manifest.
    pub(in crate::cli) fn rows(&self) -> impl Iterator<Item = (&Path, &Row)> {
        let all = || {
            self.files.iter().flat_map(|told| {
                let rows = told.outcome.as_ref().map(|done| &done.rows[..]).unwrap_or_default();
                rows.iter().map(|row| (told.path.as_path(), row))
            })
        };
        let stands: HashMap<_, _> =
            all().map(|(path, row)| (path, row.state.is_governed())).collect();
        all().filter(move |(path, row)| {
            let manifest = extension::manifest_of(path, &row.name);
            match manifest.and_then(|manifest| stands.get(&*manifest)) {
                None => true,
                Some(governed) => *governed && !row.state.is_governed(),
            }
        })
    }

    /// How many files nothing was done with.
    pub(in crate::cli) fn troubles(&self) -> usize {
        self.files.iter().filter(|told| told.outcome.is_err()).count()
    }

    /// For people. Troubles are not told here: they belong on standard error.
    pub(in crate::cli) fn write(
        &self,
        tense: Tense,
        paint: Paint,
        out: &mut impl Write,
    ) -> io::Result<()> {
        for told in &self.files {
            let Ok(done) = &told.outcome else { continue };
            let (_, client) = told.client.unwrap_or_default();
            let path = printable(&told.path);
            let changed = match (tense, done.is_changed()) {
                (Tense::Looked, _) => "",
                (Tense::Done, true) => ", changed",
                (Tense::Would, true) => ", would be changed",
                (_, false) => ", unchanged",
            };
            writeln!(out, "{}{changed}", paint.heading(&format!("{client}: {path}")))?;
            if done.rows.is_empty() {
                writeln!(out, "  no servers")?;
            }
            for row in &done.rows {
                write_row(row, out)?;
            }
            for vault in done.vaults() {
                writeln!(out, "  a secret goes to {}, for this user alone", printable(vault))?;
            }
            if let Some(backup) = &done.backup {
                write!(out, "  the file as it was: {}", printable(backup))?;
                if done.vaults().next().is_some() {
                    write!(out, " (for this user alone; it holds the secrets still)")?;
                }
                writeln!(out)?;
            }
            if let Some(diff) = &told.diff {
                out.write_all(diff.as_bytes())?;
            }
        }
        Ok(())
    }

    /// For people, on standard error: what needs to be heard.
    pub(in crate::cli) fn write_troubles(&self, err: &mut impl Write) -> io::Result<()> {
        for told in &self.files {
            if let Err(trouble) = &told.outcome {
                writeln!(err, "thoth: {}", Printable(&chain(trouble)))?;
            }
        }
        Ok(())
    }

    /// For scripts.
    pub(in crate::cli) fn json(&self) -> Value {
        let governed = self.rows().filter(|(_, row)| row.state.is_governed()).count();
        json!({
            "files": self.files.iter().map(Told::json).collect::<Vec<_>>(),
            "governed": governed,
            "ungoverned": self.ungoverned().count(),
            "unreadable": self.troubles(),
        })
    }
}

fn write_row(row: &Row, out: &mut impl Write) -> io::Result<()> {
    write!(out, "  {:13} {}", row.state.word(), Printable(&row.name))?;
    if let Some(within) = &row.within {
        write!(out, " (in {})", Printable(within))?;
    }
    if row.disabled {
        write!(out, " (disabled)")?;
    }
    if let Some(why) = &row.why {
        write!(out, ": {}", Printable(why))?;
    }
    writeln!(out)
}

fn printable(path: &Path) -> String {
    Printable(&path.to_string_lossy()).to_string()
}

// === impl Told ===

impl Told {
    fn json(&self) -> Value {
        let mut file = json!({
            "client": self.client.map(|(id, _)| id),
            "path": self.path.to_string_lossy(),
        });
        match &self.outcome {
            Ok(done) => {
                file["changed"] = done.is_changed().into();
                file["servers"] = done.rows.iter().map(row_json).collect();
                let vaults: Vec<_> =
                    done.vaults().map(|path| path.to_string_lossy().into_owned()).collect();
                if !vaults.is_empty() {
                    file["secrets"] = vaults.into();
                }
                if let Some(backup) = &done.backup {
                    file["backup"] = backup.to_string_lossy().into();
                }
            }
            Err(trouble) => file["error"] = chain(trouble).into(),
        }
        if let Some(diff) = &self.diff {
            file["diff"] = diff.as_str().into();
        }
        file
    }
}

fn row_json(row: &Row) -> Value {
    let mut server = json!({
        "name": row.name,
        "state": row.state,
        "disabled": row.disabled,
        "can_be_wrapped": row.mendable,
    });
    if let Some(within) = &row.within {
        server["within"] = within.as_str().into();
    }
    if let Some(why) = &row.why {
        server["why"] = why.as_str().into();
    }
    server
}

/// One line for what is left ungoverned, by name; nothing where nothing is.
pub(in crate::cli) fn loud(report: &Report) -> Option<String> {
    let names: Vec<_> = report
        .rows()
        .filter(|(_, row)| row.state == State::Ungoverned)
        .map(|(_, row)| Printable(&row.name).to_string())
        .collect();
    let servers =
        if names.len() == 1 { "1 server is" } else { &format!("{} servers are", names.len()) };
    (!names.is_empty()).then(|| format!("thoth: {servers} UNGOVERNED: {}", names.join(", ")))
}

// === impl Told, of what is lost ===

impl From<Lost> for Told {
    fn from(lost: Lost) -> Self {
        Self { client: None, path: lost.path, outcome: Err(lost.trouble), diff: None }
    }
}
