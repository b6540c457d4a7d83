//! Looks at every client of this machine, and tells how each server stands.
//!
//! Nothing is started and nothing changed, and nobody is asked: a server is governed where its
//! entry starts a thoth that can be relied on ([`program`]) and that is told nothing weaker than
//! what is managed ([`judge`]). No value of a file gets into what is told but names, paths of
//! programs, and the scheme and host of an address.

mod entry;
mod judge;
mod program;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;

pub use self::entry::{Entries, Entry};
use self::judge::Judge;
use super::coverage::{Coverage, FoundFile};
use super::document::Document;
use super::extension;
use super::table::{File, Places, files, read};
use crate::config::settings::Environment;
use crate::gate::decide::Mode;

/// What a wrapped entry is held against: where nothing is expected, nothing is too weak.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// This program. Empty: any program called thoth is taken for one.
    pub program: PathBuf,
    /// The group of which this user is the only member, if its main group is one.
    pub private_gid: Option<u32>,
    /// The managed enforcement mode; another may be stricter.
    pub mode: Option<Mode>,
    /// The managed environment; another may be stricter.
    pub environment: Option<Environment>,
    /// The managed enforcer's address.
    pub enforcer_url: Option<String>,
    /// The managed tenant.
    pub tenant_id: Option<String>,
    /// The managed rule files.
    pub policies: Option<Vec<PathBuf>>,
    /// Whether calls that cannot be journalled are to be refused.
    pub journal_required: bool,
}

/// Looks at every file of every client. Changes nothing; what cannot be read is told.
pub fn scan(places: &Places, expected: &Expected) -> Coverage {
    scan_files(&files(places), places, expected)
}

/// Looks at some files only, and tells of each, in their order. Extensions are told of with their
/// manifests: of their list, only what it has otherwise.
pub fn scan_files(files: &[File], places: &Places, expected: &Expected) -> Coverage {
    let mut entries = Entries::new(places);
    let mut judge = Judge::new(places, expected);
    let found = files.iter().map(|file| look(file, &mut entries, &mut judge)).collect();
    let mut coverage = Coverage { files: found };
    merge_extensions(&mut coverage);
    coverage
}

fn look(file: &File, entries: &mut Entries<'_>, judge: &mut Judge<'_>) -> FoundFile {
    let mut found = FoundFile {
        client: file.client.id,
        path: file.path.clone(),
        unreadable: None,
        servers: Vec::new(),
    };
    let text = match read(&file.path) {
        Ok(text) => text,
        Err(error) => {
            found.unreadable = Some(error.to_string());
            return found;
        }
    };
    match Document::read(&text, file.shape) {
        Ok(document) => {
            let servers = entries.of(file, &document, &text);
            found.servers =
                servers.into_iter().map(|entry| judge.judge(entry, &document)).collect();
        }
        Err(malformed) => found.unreadable = Some(malformed.to_string()),
    }
    found
}

/// An extension is one server, though the app has two manifests of it: what the list has is told
/// of where it alone is not governed, or where there is no manifest.
fn merge_extensions(coverage: &mut Coverage) {
    let stands = |file: &FoundFile| {
        let server = file.servers.first()?;
        Some((file.path.clone(), server.standing.is_governed()))
    };
    let manifests: HashMap<_, _> = coverage.files.iter().filter_map(stands).collect();
    for list in coverage.files.iter_mut().filter(|file| file.path.ends_with(extension::LIST)) {
        let Some(home) = list.path.parent() else { continue };
        list.servers.retain_mut(|server| {
            match manifests.get(&extension::manifest_path(home, &server.name)) {
                None => true,
                Some(governed) => *governed && !server.standing.is_governed(),
            }
        });
    }
}
