//! Tells how a file is written that somebody named on the command line.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::find::{self, File};
use super::shapes::{
    CLAUDE_CODE, CODEX, CONTEXT_SERVERS, CONTINUE, GOOSE, INSTALLATIONS, MANIFEST, MCP_SERVERS,
    OPENCODE, SERVERS, VSCODE_SETTINGS,
};
use super::{ALL, Client, Kind, Places};
use crate::clients::document::{Document, Shape, Syntax};

/// Nobody's file that is known: one that was named by its path.
pub static OTHER: Client = Client { id: "file", name: "a file", spots: &[] };

/// What a file of unknown origin may be, in the order in which it is tried. The last is taken
/// where none fits.
const GUESSES: &[(Syntax, &[&Shape])] = &[
    (
        Syntax::Json,
        &[
            // Finds servers outside of projects as well.
            &CLAUDE_CODE,
            &SERVERS,
            &CONTEXT_SERVERS,
            &VSCODE_SETTINGS,
            &OPENCODE,
            &INSTALLATIONS,
            &MANIFEST,
            &MCP_SERVERS,
        ],
    ),
    (Syntax::Toml, &[&CODEX]),
    (Syntax::Yaml, &[&CONTINUE, &GOOSE]),
];

/// Whose file this is and how it is written: by its place, by its name, or by what is in it.
///
/// A file that is nobody's is [`OTHER`]'s. Where nothing in it looks like a list of servers, it
/// is taken for the most common shape of its syntax.
pub fn recognise(places: &Places, path: &Path, text: &[u8]) -> File {
    by_place(places, path).or_else(|| by_name(path, text)).unwrap_or_else(|| by_content(path, text))
}

fn by_place(places: &Places, path: &Path) -> Option<File> {
    let whole = fs::canonicalize(path).ok()?;
    let mut known = find::files(places);
    // The files of the project it lies in are known by their names.
    known.retain(|file| fs::canonicalize(&file.path).is_ok_and(|there| there == whole));
    let mut file = known.into_iter().next()?;
    path.clone_into(&mut file.path);
    Some(file)
}

/// By the last two components; or by the last, where the files of that name that have their
/// servers where this one has them are all one client's.
fn by_name(path: &Path, text: &[u8]) -> Option<File> {
    let spots = ALL.iter().flat_map(|client| client.spots.iter().map(move |spot| (client, spot)));
    let mut alike = Vec::new();
    for (client, spot) in spots {
        for pattern in super::choices(spot.path) {
            let known = tail(Path::new(&pattern));
            let found = tail(path);
            if known.0.is_some_and(|above| Some(above) == found.0) && is_like(known.1, found.1) {
                return Some(file(client, spot.kind, spot.shape, path));
            }
            if known.1 == found.1 {
                alike.push((client, spot));
            }
        }
    }
    if alike.iter().any(|(client, _)| client.id != alike[0].0.id) {
        alike.retain(|(_, spot)| has_servers(text, spot.shape));
    }
    let (client, spot) = *alike.first()?;
    let is_one = alike.iter().all(|(other, another)| {
        other.id == client.id && another.shape.servers == spot.shape.servers
    });
    is_one.then(|| file(client, spot.kind, spot.shape, path))
}

fn by_content(path: &Path, text: &[u8]) -> File {
    let extension = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
    let syntax = match extension.as_deref() {
        Some("toml") => Syntax::Toml,
        Some("yaml" | "yml") => Syntax::Yaml,
        _ => Syntax::Json,
    };
    let shapes = GUESSES.iter().find(|(of, _)| *of == syntax).map_or(&[][..], |(_, shapes)| shapes);
    let fits = shapes.iter().find(|shape| has_servers(text, shape));
    let shape = fits.or(shapes.last()).copied().unwrap_or(&MCP_SERVERS);
    file(&OTHER, Kind::User, shape, path)
}

fn file(client: &'static Client, kind: Kind, shape: &'static Shape, path: &Path) -> File {
    File { client, path: path.to_owned(), kind, shape }
}

fn has_servers(text: &[u8], shape: &Shape) -> bool {
    Document::read(text, shape).is_ok_and(|document| !document.servers().is_empty())
}

/// The last two names of a path, as far as there are two.
fn tail(path: &Path) -> (Option<&OsStr>, Option<&OsStr>) {
    (path.parent().and_then(Path::file_name), path.file_name())
}

/// Whether a name is this one, in which a `*` may stand for anything.
fn is_like(pattern: Option<&OsStr>, name: Option<&OsStr>) -> bool {
    let (Some(pattern), Some(name)) =
        (pattern.and_then(OsStr::to_str), name.and_then(OsStr::to_str))
    else {
        return false;
    };
    match pattern.split_once('*') {
        Some((before, after)) => name.starts_with(before) && name.ends_with(after),
        None => pattern == name,
    }
}
