//! Reads the servers that a client would find by itself, in the order in which it reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::consent::repository;
use super::{Candidate, Recipe, Source, Whose, inputs};
use crate::clients::document::{Document, Malformed, Value};
use crate::clients::table::{Base, Places, System, read as read_file};

/// A file that cannot be used. Nothing is taken for an empty one.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The system does not let it be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not written as the client writes it.
    #[error("{}: {at}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        at: Malformed,
    },
    /// One of its entries cannot be copied.
    #[error("the server {name} in {}: {why}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        name: String,
        /// Why.
        why: String,
    },
}

/// Reads every server: what comes later goes before what comes earlier. `project` is a whole path.
///
/// # Errors
///
/// [`Unread`].
pub fn read(recipe: &Recipe, places: &Places, project: &Path) -> Result<Vec<Candidate>, Unread> {
    let (mut found, mut nearest) = (Vec::new(), Vec::new());
    for source in recipe.sources {
        for path in paths(source, places, project) {
            let text = match read_file(&path) {
                Ok(text) => text,
                Err(error) if is_absent(&error) => continue,
                Err(source) => return Err(Unread::File { path, source }),
            };
            let document = Document::read(&text, source.shape)
                .map_err(|at| Unread::Malformed { path: path.clone(), at })?;
            let mut defined = None;
            for (at, server) in document.servers().iter().enumerate() {
                // A map of projects, of which one is this one: it is the user's, and goes first.
                let list = match server.within.as_slice() {
                    [_, other, _] if !is_this(other, project) => continue,
                    [_, _, _] => &mut nearest,
                    _ => &mut found,
                };
                let value = document.value(at).map_err(|why| Unread::Entry {
                    path: path.clone(),
                    name: server.name.clone(),
                    why,
                })?;
                let inputs = match recipe.dialect.inputs.filter(|_| inputs::has_any(&value)) {
                    None => Vec::new(),
                    Some(member) => {
                        let defined = match &mut defined {
                            Some(defined) => defined,
                            none => none.insert(beside(&text, member, &path)?),
                        };
                        inputs::of(&value, defined)
                    }
                };
                list.push(Candidate {
                    name: server.name.clone(),
                    whose: source.whose,
                    file: Some(path.clone()),
                    transport: server.transport.clone(),
                    shape: source.shape,
                    value,
                    inputs,
                });
            }
        }
    }
    found.append(&mut nearest);
    Ok(found)
}

/// A member of a file that stands beside its servers.
fn beside(text: &[u8], member: &str, path: &Path) -> Result<Value, Unread> {
    let malformed = |at| Unread::Malformed { path: path.to_owned(), at };
    let whole = Value::read(text).map_err(malformed)?;
    Ok(whole.get(member).cloned().unwrap_or(Value::Null))
}

/// The paths of a source, the one that goes before the others last.
fn paths(source: &Source, places: &Places, project: &Path) -> Vec<PathBuf> {
    if source.climbs {
        // The file system's own root is nobody's project.
        let above = project.ancestors().filter(|above| above.parent().is_some());
        let mut above: Vec<_> = above.map(|above| above.join(source.path)).collect();
        above.reverse();
        return above;
    }
    // A client with this environment looks into the first only.
    let base = places.of_base(source.base, Some(project)).into_iter().next();
    Vec::from_iter(base.map(|base| base.join(source.path)))
}

/// Whether a path that a client wrote down is this project, or the repository it lies in.
fn is_this(written: &str, project: &Path) -> bool {
    let written = Path::new(written);
    [Some(project), repository(project)].into_iter().flatten().any(|path| path == written)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The whole path of a project, without symbolic links: clients write it down so.
///
/// # Errors
///
/// Those of the system.
pub fn project(path: &Path) -> io::Result<PathBuf> {
    let path = fs::canonicalize(path)?;
    if path.is_dir() { Ok(path) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Whether a candidate can be added by whoever writes to the project.
impl Candidate {
    /// Whether it is a project's.
    pub fn is_of_project(&self) -> bool {
        self.whose == Whose::Project
    }
}

/// What a client's settings for the whole system say: where they would be hidden by what is
/// written, they are a part of it. `named` is where a variable says they are.
///
/// # Errors
///
/// [`Unread`].
pub fn base(recipe: &Recipe, places: &Places, named: Option<PathBuf>) -> Result<Value, Unread> {
    let Some(system) = recipe.system else { return Ok(Value::Map(Vec::new())) };
    let path = named.unwrap_or_else(|| match places.system {
        System::Linux => places.root.join("etc").join(system.unix),
        System::Macos => places.root.join("Library/Application Support").join(system.mac),
        System::Windows => {
            let common = places.of_base(Base::Common, None).into_iter().next();
            common.unwrap_or_default().join(system.unix)
        }
    });
    let text = match read_file(&path) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(Value::Map(Vec::new())),
        Err(source) => return Err(Unread::File { path, source }),
    };
    Value::read(&text).map_err(|at| Unread::Malformed { path, at })
}
