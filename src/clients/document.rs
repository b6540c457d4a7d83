//! The text of one client's configuration file, and the servers in it.
//!
//! Pure. A document is read once, with the place of everything in it; wrapping and unwrapping are
//! edits of its text, so that everything that is not ours stays as it was, byte for byte.
//!
//! # Invariants
//!
//! - Wrapping twice is wrapping once; unwrapping what was wrapped gives the original bytes.
//! - What cannot be wrapped so that it can be unwrapped is not wrapped, and named.

use std::ops::Range;

/// How a file is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Syntax {
    /// JSON; comments and trailing commas are let be.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// Where servers stand in a file, and what their members are called.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How the file is written.
    pub syntax: Syntax,
    /// The paths of the maps (or lists) of servers; `*` is any key: `["projects", "*", "mcpServers"]`.
    pub servers: &'static [&'static [&'static str]],
    /// What the members of an entry are called.
    pub words: Words,
}

/// What the members of an entry are called.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The command: `command`, `cmd`.
    pub command: &'static str,
    /// Its arguments: `args`.
    pub args: &'static str,
    /// Its environment: `env`, `envs`, `environment`.
    pub env: &'static str,
    /// The members that make an entry a remote one: `url`, `httpUrl`, `serverUrl`, `uri`.
    pub remote: &'static [&'static str],
}

/// One file's text, read.
#[derive(Clone, Debug)]
pub struct Document {
    text: Vec<u8>,
    servers: Vec<Server>,
}

/// One server's entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// Its key.
    pub name: String,
    /// The keys above it: `["projects", "/srv/app", "mcpServers"]`.
    pub within: Vec<String>,
    /// Whether the client is told not to start it (`disabled: true`, `enabled: false`).
    pub disabled: bool,
    /// How it is reached.
    pub transport: Transport,
    /// Where it stands in the text, in bytes.
    pub span: Range<usize>,
}

/// How a server is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transport {
    /// A command, as it stands in the file: it may be thoth already ([`wrapped`]).
    Stdio {
        /// The command.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Names of the variables it is given by the file. Values may be secret.
        env: Vec<String>,
    },
    /// An address.
    Remote {
        /// The member that holds it.
        member: String,
        /// The address, which may hold a secret.
        url: String,
    },
    /// Something that cannot be wrapped, such as a built-in of the client, or an entry without a
    /// command.
    Other {
        /// What it is, in a few words.
        what: String,
    },
}

/// An entry that starts thoth around something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrapped<'a> {
    /// The thoth that is started.
    pub program: &'a str,
    /// What `thoth run` is told: everything between `run` and the first `--`.
    pub flags: &'a [String],
    /// The server's command.
    pub command: &'a str,
    /// Its arguments.
    pub args: &'a [String],
}

/// What an entry is wrapped with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrapping {
    /// The thoth to start.
    pub program: String,
    /// What `run` is told: everything between `run` and `--`.
    pub flags: Vec<String>,
    /// Variables to add to the entry's environment. One that is set already stays as it is.
    pub env: Vec<(String, String)>,
}

/// A text with changes made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edited {
    /// The new text, equal to the old one where nothing was to be done.
    pub text: Vec<u8>,
    /// The entries that were changed, by their index in [`Document::servers`].
    pub changed: Vec<usize>,
    /// The entries that were to be changed and cannot be, and why.
    pub refused: Vec<(usize, String)>,
}

/// Why a text is no document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct Malformed {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong; never a value of the file.
    pub what: String,
}

// === impl Document ===

impl Document {
    /// Reads a file's text. An empty one has no servers.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the place.
    pub fn read(text: &[u8], shape: &Shape) -> Result<Self, Malformed> {
        let _ = shape; // (to be written)
        Ok(Self { text: text.to_vec(), servers: Vec::new() })
    }

    /// Every server, in the order of the file.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Wraps the entries that `choose` gives a wrapping for. An entry that is wrapped already is
    /// brought up to date: its program and flags become those of the wrapping.
    pub fn wrap(&self, mut choose: impl FnMut(&Server) -> Option<Wrapping>) -> Edited {
        let _ = self.servers.iter().map(&mut choose).count(); // (to be written)
        Edited { text: self.text.clone(), changed: Vec::new(), refused: Vec::new() }
    }

    /// Unwraps the entries that `choose` picks.
    pub fn unwrap(&self, mut choose: impl FnMut(&Server) -> bool) -> Edited {
        let _ = self.servers.iter().filter(|server| choose(server)).count(); // (to be written)
        Edited { text: self.text.clone(), changed: Vec::new(), refused: Vec::new() }
    }
}

/// What an entry starts thoth around, if it does: a command whose last part is `thoth` (or
/// `thoth.exe`), whose first argument is `run`, and that has a `--` with something after it.
pub fn wrapped<'a>(command: &'a str, args: &'a [String]) -> Option<Wrapped<'a>> {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    if !(name == "thoth" || name.eq_ignore_ascii_case("thoth.exe")) {
        return None;
    }
    let (run, rest) = args.split_first()?;
    let end = rest.iter().position(|arg| arg == "--")?;
    let (inner, args) = rest[end + 1..].split_first()?;
    (run == "run").then_some(Wrapped {
        program: command,
        flags: &rest[..end],
        command: inner,
        args,
    })
}
