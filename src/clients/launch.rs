//! Configuration for one launch of an MCP client: every server in it governed, no secret in it.
//!
//! [`RECIPES`] says for each client how it is told of servers for one launch, where it would look
//! for them by itself, and how it remembers what its user approved. From there the way is one line:
//! [`sources`] reads what the client would read, [`choose`] leaves out what nobody approved,
//! [`govern`] puts thoth around each, [`emit`] writes them down as the client wants them.
//!
//! Not here: starting the client, and what is told to whom (`cli/launch.rs`, `cli/mcp_config.rs`).
//!
//! # Invariants
//!
//! - What is written starts thoth for every server in it, and nothing else.
//! - A file that cannot be read as what it is stops everything: it is never taken for an empty one.
//! - No secret of an entry is copied: a reference is, and a literal one is a [`Flaw`]. What is
//!   written is searched for all that were seen, before it is written ([`secrets::Known`]).

pub mod choose;
pub mod consent;
pub mod emit;
mod entry;
pub mod govern;
pub mod inputs;
mod recipes;
pub mod refer;
pub mod room;
pub mod secrets;
pub mod sources;
pub mod trusted;

use std::path::PathBuf;

pub use self::govern::{Flaw, Governed, Guard};
pub use self::inputs::Input;
pub use self::recipes::RECIPES;
use super::document::{Shape, Syntax, Transport, Value};
use super::table::Base;

/// How one client is told of servers for one launch.
#[derive(Debug)]
pub struct Recipe {
    /// Its word in `--client`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// How what is written reaches it.
    pub delivery: Delivery,
    /// What becomes of the servers that it finds by itself.
    pub beside: Beside,
    /// How an entry is written.
    pub dialect: Dialect,
    /// Where it looks for servers by itself: what comes later goes before what comes earlier.
    pub sources: &'static [Source],
    /// How it is kept from starting a server that it finds by itself.
    pub off: Off,
    /// Its settings for the whole system, where what is written would hide them.
    pub system: Option<SystemSettings>,
    /// Where it keeps which servers of a project its user approved.
    pub consent: Consent,
    /// The version with which this was tried, or that it was not.
    pub verified: &'static str,
    /// Where this is known from.
    pub known_from: &'static str,
}

/// How what is written reaches a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// A file, named in the command line.
    Flag {
        /// The flag before it.
        flag: &'static str,
        /// What stands before the path, in the same word: `@`.
        mark: &'static str,
        /// Words behind it.
        with: &'static [&'static str],
        /// Other flags that would bring servers along.
        rivals: &'static [&'static str],
    },
    /// In the command line, without a file: each server is one value of a flag.
    Words {
        /// The flag, and other ways to write it.
        flags: &'static [&'static str],
    },
    /// A file, named in a variable.
    Path(&'static str),
    /// The text itself, in a variable.
    Text(&'static str),
    /// A file in a place of its own, for every launch: there is no way to name another.
    Place(&'static str),
}

/// What becomes of the servers that a client finds by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beside {
    /// They are not looked at: what is written is all there is.
    Nothing,
    /// They stay, but for those that have the name of one that is written.
    Others,
    /// They stay, and one that has the name of one that is written is merged with it, member by
    /// member.
    Merged,
}

/// How a client is kept from starting a server that it finds by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Off {
    /// It looks at none.
    Unneeded,
    /// By a member of an entry of that name that is false.
    Member(&'static str),
    /// By a flag, once for each.
    Flag(&'static str),
    /// By a list of those that may be started, two members down.
    Only(&'static str, &'static str),
    /// It cannot be.
    Nothing,
}

/// How an entry is written.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The member that holds the servers.
    pub root: &'static str,
    /// The member beside it that says what the person is asked for, where there is one.
    pub inputs: Option<&'static str>,
    /// How it is written.
    pub syntax: Syntax,
    /// How a command is written.
    pub command: Form,
    /// How an address is written; `None` where it is not known.
    pub address: Option<Address>,
    /// Members that an entry has unless it says otherwise, as they are written.
    pub usual: &'static [(&'static str, &'static str)],
}

/// How a command is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `command`, `args`, `env`.
    Plain,
    /// The same, and a `type`.
    Typed(&'static str),
    /// `type: local`, `command` as a list of all words, `environment`.
    List,
}

/// How an address on this machine is written, with the secret in a variable.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// The member with the address.
    pub url: &'static str,
    /// A `type`, where the client wants one.
    pub kind: Option<&'static str>,
    /// How it is told of the secret.
    pub secret: Handover,
}

/// How a client is told of a secret in a variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Handover {
    /// A header whose value has this before the variable's name, and that behind it.
    Header(&'static str, &'static str),
    /// A member that names the variable.
    Member(&'static str),
    /// It cannot be: the secret is a part of the address.
    Path,
}

/// A place where a client looks for servers.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Whose servers they are.
    pub whose: Whose,
    /// The directory the path begins in.
    pub base: Base,
    /// The path below it, with `/`.
    pub path: &'static str,
    /// How the file is written.
    pub shape: &'static Shape,
    /// Whether it is looked for in the directories above the project as well, the nearest first.
    pub climbs: bool,
}

/// Where a client has settings for the whole system.
#[derive(Clone, Copy, Debug)]
pub struct SystemSettings {
    /// Below `/etc`; on Windows, below `%ProgramData%`.
    pub unix: &'static str,
    /// Below `/Library/Application Support`.
    pub mac: &'static str,
}

/// Whose servers they are.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Whose {
    /// The user's, who approved of them by writing them down.
    User,
    /// A project's: whoever writes to it can add one.
    Project,
}

/// Where a client keeps which servers of a project its user approved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consent {
    /// In the settings of Claude Code.
    Claude,
    /// In Codex's own configuration: projects that are trusted as a whole.
    Codex,
    /// In a file of folders that are trusted as a whole: its path below the home directory, and the
    /// member with the folders, empty where they are all there is.
    Folders(&'static str, &'static str),
    /// Nowhere that is known.
    Nowhere,
}

/// A server as it was found.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub whose: Whose,
    /// The file it stands in; `None` for one that was given on the command line.
    pub file: Option<PathBuf>,
    /// How it is reached.
    pub transport: Transport,
    /// What its members are called.
    pub shape: &'static Shape,
    /// The entry, whole.
    pub value: Value,
    /// What it has the client ask the person for.
    pub inputs: Vec<Input>,
}

impl Recipe {
    /// Whether a server can be served for this client: what is merged with an entry of its own file
    /// stays a command, or an address.
    pub fn can_serve(&self, server: &Governed) -> bool {
        self.beside != Beside::Merged || !server.is_found || server.was_remote
    }
}

/// The recipe of this name; the ids of `wrap-config` are taken as well.
pub fn recipe(id: &str) -> Option<&'static Recipe> {
    let id = match id {
        "claude-code" => "claude",
        "copilot-cli" => "copilot",
        other => other,
    };
    RECIPES.iter().find(|recipe| recipe.id == id)
}

/// Every id, for people.
pub fn known() -> String {
    RECIPES.iter().map(|recipe| recipe.id).collect::<Vec<_>>().join(", ")
}
