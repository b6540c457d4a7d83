//! Finds one server's entry in the files of a client.
//!
//! The same files, in the same order, as baton-proxy's scan looks at: the project's `.mcp.json`, then
//! Claude Code's own, where an entry of this project goes before one of the user.

use std::io;
use std::path::{Path, PathBuf};

use crate::clients::document::{Document, Malformed, Transport};
use crate::clients::place::{self, PlaceError};
use crate::clients::scan::Entries;
use crate::clients::table::{self, Base, Places};

/// One server, as its entry stands. Does not print: arguments and variables may be secret.
#[derive(Eq, PartialEq)]
pub(super) struct Entry {
    /// Its key.
    pub(super) name: String,
    /// The file it stands in.
    pub(super) path: PathBuf,
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Names of variables whose values are no text.
    pub(super) unreadable: Vec<String>,
}

/// There is no entry to start.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoEntry {
    #[error(
        "there is no configuration file here: neither ./.mcp.json nor ~/.claude.json; \
         name one with --config-file"
    )]
    NoFile,
    #[error(transparent)]
    Unreadable(#[from] PlaceError),
    #[error("cannot read {}", path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: Malformed,
    },
    #[error("no server is called {name} in {}; there {}", paths(looked_at), available(there))]
    Unknown { name: String, looked_at: Vec<PathBuf>, there: Vec<String> },
    #[error(
        "{name} stands for different servers in {}; say which with --config-file",
        paths(found)
    )]
    Ambiguous { name: String, found: Vec<PathBuf> },
    #[error("{name} stands twice in {}; give one of the two another name", path.display())]
    Twice { name: String, path: PathBuf },
    #[error(
        "the server {name} in {} is reached at an address (`{member}`), not started by a command; \
         scan can only try servers that it can start",
        path.display()
    )]
    Remote { name: String, path: PathBuf, member: String },
    #[error("the server {name} in {} cannot be started: {what}", path.display())]
    Unfit { name: String, path: PathBuf, what: String },
}

fn paths(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(" and ")
}

fn available(names: &[String]) -> String {
    if names.is_empty() { "is none".to_owned() } else { format!("are: {}", names.join(", ")) }
}

/// One file's part: the names that count here, and the entry that was asked for.
struct Looked {
    names: Vec<String>,
    found: Option<Entry>,
}

/// Finds the entry of this name. `here` is the project's directory.
///
/// # Errors
///
/// [`NoEntry`], which names servers and files, and no value.
pub(super) fn find(
    name: &str,
    given: Option<&Path>,
    places: &Places,
    here: &Path,
) -> Result<Entry, NoEntry> {
    let files = if let Some(path) = given {
        vec![path.to_owned()]
    } else {
        let own = places.of_base(Base::Claude, None).into_iter();
        let own = own.map(|directory| directory.join(".claude.json"));
        [here.join(".mcp.json")].into_iter().chain(own).collect()
    };
    let (mut looked_at, mut there, mut found) = (Vec::new(), Vec::new(), Vec::<Entry>::new());
    for path in files {
        let contents = match place::read(&path) {
            Err(PlaceError::Unreadable { source, .. })
                if given.is_none() && source.kind() == io::ErrorKind::NotFound =>
            {
                continue;
            }
            read => read?,
        };
        let looked = look(name, &path, &contents.bytes, places, here)?;
        looked_at.push(path);
        there.extend(looked.names);
        // The same server in two files is one server.
        found.extend(looked.found.filter(|entry| !found.iter().any(|other| entry.is_like(other))));
    }
    if looked_at.is_empty() {
        return Err(NoEntry::NoFile);
    }
    let name = name.to_owned();
    match found.len() {
        0 => {
            there.sort_unstable();
            there.dedup();
            Err(NoEntry::Unknown { name, looked_at, there })
        }
        1 => Ok(found.swap_remove(0)),
        _ => {
            let found = found.into_iter().map(|entry| entry.path).collect();
            Err(NoEntry::Ambiguous { name, found })
        }
    }
}

fn look(
    name: &str,
    path: &Path,
    text: &[u8],
    places: &Places,
    here: &Path,
) -> Result<Looked, NoEntry> {
    let file = table::recognise(places, path, text);
    let document = Document::read(text, file.shape)
        .map_err(|source| NoEntry::Malformed { path: path.to_owned(), source })?;
    let real = here.canonicalize().unwrap_or_else(|_| here.to_owned());
    let is_here = |project: &str| [here, &real].iter().any(|here| *here == Path::new(project));
    let mut entries = Entries::new(places).of(&file, &document, text);
    entries.retain(|entry| entry.within.as_deref().is_none_or(is_here));
    let names = entries.iter().map(|entry| entry.name.clone()).collect();
    entries.retain(|entry| entry.name == name);
    if entries.iter().any(|entry| entry.within.is_some()) {
        entries.retain(|entry| entry.within.is_some());
    }
    let found = match &entries[..] {
        [] => None,
        [entry] => Some(read(&document, entry.server, name, path)?),
        _ => return Err(NoEntry::Twice { name: name.to_owned(), path: path.to_owned() }),
    };
    Ok(Looked { names, found })
}

fn read(document: &Document, at: Option<usize>, name: &str, path: &Path) -> Result<Entry, NoEntry> {
    let (name, path) = (name.to_owned(), path.to_owned());
    let server = at.and_then(|at| Some((at, document.servers().get(at)?)));
    let Some((at, server)) = server else {
        let what = "it has no command".to_owned();
        return Err(NoEntry::Unfit { name, path, what });
    };
    match &server.transport {
        Transport::Stdio { command, args, env } => {
            let (mut variables, mut unreadable) = (Vec::new(), Vec::new());
            for variable in env {
                match document.variable(at, variable) {
                    Some(value) => variables.push((variable.clone(), value.to_owned())),
                    None => unreadable.push(variable.clone()),
                }
            }
            let (command, args) = (command.clone(), args.clone());
            Ok(Entry { name, path, command, args, env: variables, unreadable })
        }
        Transport::Remote { member, .. } => {
            Err(NoEntry::Remote { name, path, member: member.clone() })
        }
        Transport::Other { what } => Err(NoEntry::Unfit { name, path, what: what.clone() }),
    }
}

// === impl Entry ===

impl Entry {
    /// Whether both start the same server.
    fn is_like(&self, other: &Self) -> bool {
        (&self.command, &self.args, &self.env) == (&other.command, &other.args, &other.env)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::config::variables::{Env, HOME};

    /// A home and a project in it, with these files.
    fn world(of_project: Option<&str>, of_user: Option<&str>) -> (TempDir, PathBuf, Places) {
        let home = tempfile::tempdir().unwrap();
        let here = home.path().join("project");
        fs::create_dir(&here).unwrap();
        let text = |text: &str| text.replace("HERE", here.to_str().unwrap());
        if let Some(project) = of_project {
            fs::write(here.join(".mcp.json"), text(project)).unwrap();
        }
        if let Some(user) = of_user {
            fs::write(home.path().join(".claude.json"), text(user)).unwrap();
        }
        let env: Env = [(HOME.name, home.path().to_str().unwrap())].into_iter().collect();
        let places = Places::of(&env);
        (home, here, places)
    }

    /// The command that is found, or what is told.
    fn found(of_project: Option<&str>, of_user: Option<&str>) -> String {
        let (home, here, places) = world(of_project, of_user);
        let told = match find("files", None, &places, &here) {
            Ok(entry) => entry.command,
            Err(none) => none.to_string(),
        };
        told.replace(home.path().to_str().unwrap(), "~")
    }

    #[test]
    fn the_projects_file_and_the_users_are_looked_at_and_a_project_goes_first() {
        let of = |command: &str| {
            format!(
                r#"{{"mcpServers":{{"files":{{"command":"{command}"}},"else":{{"command":"e"}}}}}}"#
            )
        };
        let both = r#"{"mcpServers":{"files":{"command":"users"}},
            "projects":{"HERE":{"mcpServers":{"files":{"command":"projects"}}},
                        "/else":{"mcpServers":{"files":{"command":"strangers"}}}}}"#;
        assert_eq!(found(Some(&of("a")), None), "a");
        assert_eq!(found(None, Some(&of("b"))), "b");
        assert_eq!(found(None, Some(both)), "projects");
        assert_eq!(found(Some(&of("a")), Some(&of("a"))), "a");
        assert_eq!(
            found(Some(&of("a")), Some(&of("b"))),
            "files stands for different servers in ~/project/.mcp.json and ~/.claude.json; \
             say which with --config-file"
        );
        assert_eq!(
            found(None, None),
            "there is no configuration file here: neither ./.mcp.json nor ~/.claude.json; \
             name one with --config-file"
        );
        let strangers = r#"{"mcpServers":{"b":{"command":"b"},"a":{"command":"a"}},
            "projects":{"/else":{"mcpServers":{"files":{"command":"strangers"}}}}}"#;
        assert_eq!(
            found(None, Some(strangers)),
            "no server is called files in ~/.claude.json; there are: a, b"
        );
    }

    #[test]
    fn what_cannot_be_started_by_a_command_is_told_without_its_values() {
        for (entry, told) in [
            (
                r#"{"type":"http","url":"https://u:hunter2@h.example/x"}"#,
                "the server files in ~/project/.mcp.json is reached at an address (`url`), not \
                 started by a command; scan can only try servers that it can start",
            ),
            (
                r#"{"env":{"KEY":"hunter2"}}"#,
                "the server files in ~/project/.mcp.json cannot be started: \
                 neither a command nor an address",
            ),
            (
                r#"{"command":"a","args":["hunter2",1]}"#,
                "the server files in ~/project/.mcp.json cannot be started: \
                 its `args` are not all strings",
            ),
        ] {
            let text = format!(r#"{{"mcpServers":{{"files":{entry}}}}}"#);
            assert_eq!(found(Some(&text), None), told);
        }
        let twice = r#"{"mcpServers":{"files":{"command":"a"},"files":{"command":"b"}}}"#;
        assert!(found(Some(twice), None).contains("twice"), "{}", found(Some(twice), None));
    }

    #[test]
    fn the_entry_comes_with_its_arguments_and_variables() {
        let text = r#"{"mcpServers":{"files":{"command":"npx","args":["-y","x"],
            "env":{"A":"1","PORT":80,"B":""}}}}"#;
        let (_home, here, places) = world(Some(text), None);
        let given = here.join(".mcp.json");
        let Ok(entry) = find("files", Some(&given), &places, Path::new("/else")) else {
            panic!("it is there");
        };
        assert_eq!(entry.args, ["-y", "x"]);
        assert_eq!(entry.env, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())]);
        assert_eq!(entry.unreadable, ["PORT"]);
    }
}
