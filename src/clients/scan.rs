//! Looks at every client of this machine, and tells how each server stands.
//!
//! Nothing is started and nothing changed, and nobody is asked: a server is governed where its
//! entry starts a thoth that can be relied on (`program`) and that is told nothing weaker than
//! what is managed (`judge`). No value of a file gets into what is told but names, paths of
//! programs, and the scheme and host of an address.

mod entry;
mod judge;
mod program;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

pub use self::entry::{Entries, Entry};
use self::judge::Judge;
pub use self::judge::weaker_flags;
use super::coverage::{Coverage, FoundFile, FoundServer};
use super::document::{Bridge, Document, Server, Transport, Wrapping, bridged};
use super::extension;
use super::remote::{Proof, Vault, login, plan};
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
    /// The logins that thoth has, by their names.
    pub logins: BTreeSet<String>,
    /// Whether secrets of servers behind an address would be moved.
    pub moves_secrets: bool,
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
            let at: Vec<_> = servers.iter().map(|entry| entry.server).collect();
            found.servers =
                servers.into_iter().map(|entry| judge.judge(entry, &document, file)).collect();
            keep_what_would_stay(file, &document, &at, &mut found.servers);
        }
        Err(malformed) => found.unreadable = Some(malformed.to_string()),
    }
    if let Some(why) = bar(&file.path) {
        let mendable = found.servers.iter_mut().filter(|server| server.can_be_wrapped);
        mendable.for_each(|server| stays(server, why));
    }
    found
}

/// Tries what `wrap-config` would do: what is written in an odd way stays as it is.
fn keep_what_would_stay(
    file: &File,
    document: &Document,
    at: &[Option<usize>],
    servers: &mut [FoundServer],
) {
    let mut mendable: HashMap<_, _> = at
        .iter()
        .zip(servers)
        .filter(|(_, server)| server.can_be_wrapped)
        .filter_map(|(at, server)| Some(((*at)?, server)))
        .collect();
    if mendable.is_empty() {
        return;
    }
    let mut index = 0..;
    let chosen = |_: &Server| {
        let at = index.next()?;
        mendable.contains_key(&at).then(|| trial(file, document, at)).flatten()
    };
    for (at, why) in document.wrap(chosen).refused {
        if let Some(server) = mendable.get_mut(&at) {
            stays(server, &why);
        }
    }
}

/// What an entry is wrapped with, to see whether it can be.
fn trial(file: &File, document: &Document, at: usize) -> Option<Wrapping> {
    let program = "thoth".to_owned();
    let mut flags = ["--agent-id", "agent"].map(str::to_owned).to_vec();
    if let Some(address) = document.address(at) {
        let mut plan = plan(file.client.id, &address.ok()?).ok()?;
        plan.keep(&Vault { token: "token".to_owned(), headers: "headers".to_owned() });
        flags.extend(plan.words());
        return Some(plan.wrapping(program, flags, Vec::new()));
    }
    if let Transport::Stdio { command, args, .. } = &document.servers()[at].transport
        && let Some(bridged) = bridged(command, args)
    {
        flags = bridged.flags;
    }
    Some(Wrapping { program, flags, env: Vec::new(), bridge: Bridge::default() })
}

/// What keeps a server behind an address from being wrapped as it is, and what to do about it.
pub fn obstacle(
    proof: Proof,
    has_secrets: bool,
    name: &str,
    expected: &Expected,
) -> Option<String> {
    if has_secrets && !expected.moves_secrets {
        return Some(
            "a header of it holds a secret: `thoth wrap-config --migrate-secrets` moves it to a \
             file of this user's, and wraps it"
                .to_owned(),
        );
    }
    let login = login(name);
    (proof == Proof::Login && !expected.logins.contains(&login)).then(|| {
        format!(
            "its client logs in to it by itself: run `thoth auth login {login} --url` with its \
             address, then `thoth wrap-config` again"
        )
    })
}

fn stays(server: &mut FoundServer, why: &str) {
    let before = server.why.take().map_or(String::new(), |before| before + "; ");
    server.why = Some(before + why);
    server.can_be_wrapped = false;
}

/// Why `wrap-config` would not replace a file, if so: root could write any.
fn bar(path: &Path) -> Option<&'static str> {
    let is_read_only = fs::metadata(path).is_ok_and(|facts| facts.permissions().readonly());
    if is_read_only || !may_write(path) {
        return Some("the file is read-only");
    }
    let target = fs::canonicalize(path).ok()?;
    let is_beside = target.parent().is_some_and(may_write);
    (!is_beside).then_some("nothing can be written beside the file")
}

#[cfg(unix)]
fn may_write(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

#[cfg(not(unix))]
fn may_write(_: &Path) -> bool {
    true
}

/// An extension is one server, though the app has two manifests of it: what the list has is told
/// of where it alone is not governed, or where there is no manifest.
fn merge_extensions(coverage: &mut Coverage) {
    let stands = |file: &FoundFile| {
        let server = file.servers.first()?;
        Some((file.path.clone(), server.standing.is_governed()))
    };
    let manifests: HashMap<_, _> = coverage.files.iter().filter_map(stands).collect();
    for FoundFile { path, servers, .. } in &mut coverage.files {
        servers.retain(|server| {
            let manifest = extension::manifest_of(path, &server.name);
            match manifest.and_then(|manifest| manifests.get(&manifest)) {
                None => true,
                Some(governed) => *governed && !server.standing.is_governed(),
            }
        });
    }
}
