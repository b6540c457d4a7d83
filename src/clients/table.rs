//! Which MCP clients there are, where their files lie, and how they are written.
//!
//! [`ALL`] is the one table; `docs/clients.md` is held against it. Where a place is not known
//! from the client's own source or documentation, the row says so in a comment. Paths are data,
//! and the system is a value, so that every system's paths are tested on every system.
//!
//! Not here: what is in a file ([`super::document`]) and what it means ([`super::scan`]).

mod find;
mod guess;
mod places;
mod rows;
pub(in crate::clients) mod shapes;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::find::{File, files, projects};
pub(super) use self::find::{present, read, unmarked};
pub use self::guess::{OTHER, recognise};
pub use self::places::{Places, System};
pub use self::rows::ALL;
use super::document::Shape;

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its word in `--client`: `claude-desktop`.
    pub id: &'static str,
    /// Its name for people: `Claude Desktop`.
    pub name: &'static str,
    /// Where its files lie.
    pub spots: &'static [Spot],
}

/// One place where a client keeps a file.
#[derive(Debug)]
pub struct Spot {
    /// Whose file it is.
    pub kind: Kind,
    /// The systems on which it is looked for.
    pub on: &'static [System],
    /// The directory the path begins in.
    pub base: Base,
    /// The path below it, with `/`. A component may hold one `*`; `{a,b}` is a choice.
    pub path: &'static str,
    /// How the file is written.
    pub shape: &'static Shape,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The user's own.
    User,
    /// A project's, shared by those who work on it.
    Project,
    /// An administrator's. It is read and told of, never written.
    Managed,
    /// An installed extension of the client, or the client's list of them.
    Extension,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Base {
    /// The home directory.
    Home,
    /// Where desktop programs keep their data: `~/Library/Application Support`,
    /// `$XDG_CONFIG_HOME` or `~/.config`, `%APPDATA%`.
    Data,
    /// `$XDG_CONFIG_HOME`, or `~/.config`: also on macOS and Windows, for those who look there.
    Config,
    /// `%LOCALAPPDATA%`.
    Local,
    /// `$CLAUDE_CONFIG_DIR`, or the home directory.
    Claude,
    /// `$CODEX_HOME`, or `~/.codex`.
    Codex,
    /// `$CLINE_DIR`, or `~/.cline`.
    Cline,
    /// `/`.
    Root,
    /// `%ProgramFiles%`.
    Programs,
    /// `%ProgramData%`.
    Common,
    /// The root of a project.
    Project,
}

/// The client of this id.
pub fn client(id: &str) -> Option<&'static Client> {
    ALL.iter().find(|client| client.id == id)
}

// === impl Kind ===

impl Kind {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Managed => "managed",
            Self::Extension => "extension",
        }
    }
}

// === impl Base ===

impl Base {
    /// Every base.
    pub const ALL: [Self; 11] = [
        Self::Home,
        Self::Data,
        Self::Config,
        Self::Local,
        Self::Claude,
        Self::Codex,
        Self::Cline,
        Self::Root,
        Self::Programs,
        Self::Common,
        Self::Project,
    ];

    /// Its word in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Home => "HOME",
            Self::Data => "DATA",
            Self::Config => "CONFIG",
            Self::Local => "LOCAL",
            Self::Claude => "CLAUDE",
            Self::Codex => "CODEX",
            Self::Cline => "CLINE",
            Self::Root => "ROOT",
            Self::Programs => "PROGRAMS",
            Self::Common => "COMMON",
            Self::Project => "PROJECT",
        }
    }
}

// === impl Spot ===

impl Spot {
    /// Every path of this spot on one system, with `*` as it stands and choices made.
    ///
    /// None where the client does not look there on this system, or the directory it begins in
    /// is not known. A project's spot needs the project.
    pub fn paths(&self, places: &Places, project: Option<&Path>) -> Vec<PathBuf> {
        if !self.on.contains(&places.system) {
            return Vec::new();
        }
        let bases = places.of_base(self.base, project);
        let ends = choices(self.path);
        ends.iter().flat_map(|end| bases.iter().map(move |base| base.join(end))).collect()
    }
}

/// A path with every choice made: `a.{b,c}` is `a.b` and `a.c`.
fn choices(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((names, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    let tails = choices(after);
    names
        .split(',')
        .flat_map(|name| tails.iter().map(move |tail| format!("{before}{name}{tail}")))
        .collect()
}
