//! The text of one client's configuration file, and the servers in it.
//!
//! Pure. A document is read once, with the place of everything in it; wrapping and unwrapping are
//! edits of its text, so that everything that is not ours stays as it was, byte for byte.
//!
//! # Invariants
//!
//! - Wrapping twice is wrapping once; unwrapping what was wrapped gives the original bytes.
//! - A secret that is kept elsewhere stands nowhere in what is written, not even encoded.
//! - What cannot be wrapped so that it can be unwrapped is not wrapped, and named. A result is
//!   read back before it is given out.
//! - All takes time linear in the text.

mod bridge;
mod check;
mod edit;
mod entry;
mod far;
mod find;
mod json;
mod memory;
mod ours;
mod pen;
mod quote;
mod rewrite;
#[cfg(test)]
mod tests;
mod text;
mod toml;
mod tree;
mod undo;
mod value;
mod veil;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

pub use self::far::Address;
use self::find::Found;
pub use self::memory::Hole;
use self::pen::Pen;
use self::toml::read as read_toml;
pub use self::value::Value;

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
    /// Whether the command is one list with its arguments, where it is written anew.
    pub is_one: bool,
}

/// One file's text, read.
#[derive(Clone)]
pub struct Document {
    /// Without its byte order mark.
    text: String,
    has_mark: bool,
    shape: Shape,
    servers: Vec<Server>,
    /// The entries of `servers`, one for one.
    found: Vec<Found>,
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
    /// A command, as it stands in the file: it may be thoth already ([`wrapped`], [`bridged`]).
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
    /// What `thoth run` is told: everything between `run` and the first `--`, but for a list of
    /// what to undo at the end, which is a note of this module to itself.
    pub flags: &'a [String],
    /// The server's command. It may be thoth again, where an entry was wrapped twice.
    pub command: &'a str,
    /// Its arguments.
    pub args: &'a [String],
}

/// An entry that starts thoth in the place of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bridged<'a> {
    /// The thoth that is started.
    pub program: &'a str,
    /// What `thoth run` is told, the address included, but for what to undo.
    pub flags: Vec<String>,
    /// The address.
    pub url: String,
}

/// What an entry is wrapped with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrapping {
    /// The thoth to start.
    pub program: String,
    /// What `run` is told: everything between `run` and `--`. None may be `--` itself: a value
    /// that may be so is written as `--agent-id=--`. For an entry that is reached at an address, this
    /// is everything behind `run`, with its `--url`.
    pub flags: Vec<String>,
    /// Variables to add to the entry's environment. One that is set already stays as it is.
    pub env: Vec<(String, String)>,
    /// What else an entry needs that is reached at an address.
    pub bridge: Bridge,
}

/// What an entry needs that is reached at an address, beside flags and variables.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bridge {
    /// Secrets of it that are kept elsewhere.
    pub kept: Vec<Kept>,
    /// Variables of the client's environment that the command is to be given (Codex's `env_vars`).
    pub passed: Vec<String>,
    /// Those of the variables without which it cannot work, so that the entry may not have them.
    pub needs: Vec<String>,
}

/// A secret in an entry that is kept elsewhere. Does not print.
#[derive(Clone, Eq, PartialEq)]
pub struct Kept {
    /// The header in whose value it stands.
    pub header: String,
    /// What it is called where it stood.
    pub hole: Hole,
    /// The secret: the whole value, or what is behind its scheme.
    pub secret: String,
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
    /// Variables that were to be added and were there already, so that they stayed as they were.
    pub kept: Vec<(usize, String)>,
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

/// Why entries cannot be changed, by their index.
type Refused = BTreeMap<usize, String>;

/// Gives the secret that stood in an entry, by its index.
type Fill<'a> = dyn FnMut(usize, &Hole) -> Option<String> + 'a;

/// How far entries are unwrapped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Depth {
    /// What stands in the place of an address stays: it is brought up to date as it is.
    Commands,
    /// Everything.
    All,
}

/// Reads a text as a tree; nothing where there is nothing in it.
fn root(text: &str, syntax: Syntax) -> Result<Option<tree::Node>, Malformed> {
    match syntax {
        Syntax::Json => json::read(text),
        Syntax::Toml => read_toml(text).map(Some),
        Syntax::Yaml => yaml::read(text),
    }
}

// === impl Document ===

impl Document {
    /// Reads a file's text. An empty one has no servers.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the place.
    pub fn read(text: &[u8], shape: &Shape) -> Result<Self, Malformed> {
        let (has_mark, text) = text::read(text)?;
        Self::parse(text.to_owned(), has_mark, *shape)
    }

    fn parse(text: String, has_mark: bool, shape: Shape) -> Result<Self, Malformed> {
        let root = root(&text, shape.syntax)?;
        let found = match root {
            Some(root) => find::servers(&root, &shape, &text)?,
            None => Vec::new(),
        };
        let shift = if has_mark { text::MARK.len() } else { 0 };
        let server = |found: &Found| Server {
            name: found.name.clone(),
            within: found.within.clone(),
            disabled: entry::is_disabled(&found.node),
            transport: entry::transport(&found.node, &shape.words).0,
            span: found.span.start + shift..found.span.end + shift,
        };
        let servers = found.iter().map(server).collect();
        Ok(Self { text, has_mark, shape, servers, found })
    }

    /// Every server, in the order of the file.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The value of a variable that a server is given by the file. It may be secret.
    ///
    /// `None` where it is given none of that name, or what is given is no string.
    pub fn variable(&self, server: usize, name: &str) -> Option<&str> {
        let found = self.found.get(server)?;
        let (_, stdio) = entry::transport(&found.node, &self.shape.words);
        stdio?.env()?.get(name)?.text()
    }

    /// What an entry says of the address it is reached at, or why it has to stay as it is; `None`
    /// where it is reached otherwise.
    pub fn address(&self, server: usize) -> Option<Result<Address, String>> {
        let found = self.found.get(server)?;
        let far = entry::far(&found.node, &self.shape.words)?;
        Some(far.and_then(|far| far.read()))
    }

    /// Wraps the entries that `choose` gives a wrapping for. An entry that is wrapped already is
    /// brought up to date, as if it had been unwrapped and were wrapped anew.
    ///
    /// One that is wrapped and cannot be brought up to date stays wrapped as it is.
    pub fn wrap(&self, choose: impl FnMut(&Server) -> Option<Wrapping>) -> Edited {
        let mut wrappings: Vec<_> = self.servers.iter().map(choose).collect();
        let edited = self.wrap_with(&wrappings);
        if !edited.refused.iter().any(|(at, _)| edited.changed.binary_search(at).is_ok()) {
            return edited;
        }
        for (at, _) in &edited.refused {
            wrappings[*at] = None;
        }
        let mut refused = edited.refused;
        let edited = self.wrap_with(&wrappings);
        refused.extend(edited.refused);
        refused.sort();
        Edited { refused, ..edited }
    }

    /// Unwraps what is to be wrapped, and wraps it. What is refused then may have been unwrapped.
    fn wrap_with(&self, wrappings: &[Option<Wrapping>]) -> Edited {
        let chosen: Vec<_> = wrappings.iter().map(Option::is_some).collect();
        let (plain, mut refused) = self.strip(&chosen, Depth::Commands, &mut |_, _| None);
        let Some(plain) =
            self.reread(plain).filter(|plain| plain.is_core_of(self, &refused, &chosen))
        else {
            return self.untouched(&chosen, refused);
        };

        let (mut pen, mut kept) = (Pen::new(&plain.text, self.shape.syntax), Vec::new());
        for (at, wrapping) in wrappings.iter().enumerate() {
            let (Some(wrapping), None) = (wrapping, refused.get(&at)) else { continue };
            let mark = pen.mark();
            match plain.wrap_one(&mut pen, at, wrapping) {
                Ok(names) => kept.extend(names.into_iter().map(|name| (at, name))),
                Err(why) => {
                    pen.forget(mark);
                    refused.insert(at, why);
                }
            }
        }

        let done: Vec<_> =
            (0..chosen.len()).map(|at| chosen[at] && !refused.contains_key(&at)).collect();
        match self.reread(pen.finish()) {
            Some(new) if new.undoes_to(&plain, &done, wrappings) => {
                self.edited(&new, &chosen, refused, kept)
            }
            _ => self.untouched(&chosen, refused),
        }
    }

    /// Wraps an entry that is not wrapped, or brings one up to date that is in an address' place.
    fn wrap_one(
        &self,
        pen: &mut Pen<'_>,
        at: usize,
        wrapping: &Wrapping,
    ) -> Result<Vec<String>, String> {
        let node = &self.found[at].node;
        if let Some(far) = entry::far(node, &self.shape.words) {
            return bridge::wrap(pen, self.shape.syntax, &far?, wrapping);
        }
        match entry::transport(node, &self.shape.words) {
            (Transport::Stdio { command, args, .. }, Some(stdio)) => {
                if bridged(&command, &args).is_some() {
                    bridge::renew(pen, &stdio, wrapping)
                } else {
                    rewrite::wrap(pen, self.shape.syntax, &stdio, wrapping)
                }
            }
            (Transport::Other { what }, _) => Err(what),
            (Transport::Remote { .. } | Transport::Stdio { .. }, _) => {
                Err("it is reached at an address".to_owned())
            }
        }
    }

    /// Unwraps the entries that `choose` picks. One of which a secret is kept elsewhere is refused.
    pub fn unwrap(&self, choose: impl FnMut(&Server) -> bool) -> Edited {
        self.unwrap_filled(choose, |_, _| None)
    }

    /// Unwraps the entries that `choose` picks. `fill` gives the secrets that are kept elsewhere, by
    /// the index of their entry.
    pub fn unwrap_filled(
        &self,
        choose: impl FnMut(&Server) -> bool,
        mut fill: impl FnMut(usize, &Hole) -> Option<String>,
    ) -> Edited {
        let chosen: Vec<_> = self.servers.iter().map(choose).collect();
        let (plain, refused) = self.strip(&chosen, Depth::All, &mut fill);
        match self.reread(plain) {
            Some(plain) if plain.is_core_of(self, &refused, &chosen) => {
                self.edited(&plain, &chosen, refused, Vec::new())
            }
            _ => self.untouched(&chosen, refused),
        }
    }

    /// The text with the chosen entries unwrapped, and those that cannot be.
    fn strip(&self, chosen: &[bool], depth: Depth, fill: &mut Fill<'_>) -> (String, Refused) {
        let (mut pen, mut refused) = (Pen::new(&self.text, self.shape.syntax), Refused::new());
        for (at, found) in self.found.iter().enumerate().filter(|(at, _)| chosen[*at]) {
            let (transport, stdio) = entry::transport(&found.node, &self.shape.words);
            let (Transport::Stdio { command, args, .. }, Some(stdio)) = (transport, stdio) else {
                continue;
            };
            let mark = pen.mark();
            let syntax = self.shape.syntax;
            let unwrapped = match bridged(&command, &args) {
                Some(_) if depth == Depth::Commands => Ok(()),
                Some(_) => bridge::unwrap(&mut pen, syntax, &stdio, &mut |hole| fill(at, hole)),
                None => rewrite::unwrap(&mut pen, syntax, &stdio).map(drop),
            };
            if let Err(why) = unwrapped {
                pen.forget(mark);
                refused.insert(at, why);
            }
        }
        (pen.finish(), refused)
    }

    /// Reads a changed text, which must have the same servers.
    fn reread(&self, text: String) -> Option<Self> {
        let new = Self::parse(text, self.has_mark, self.shape).ok()?;
        let alike = |(old, new): (&Server, &Server)| {
            old.name == new.name && old.within == new.within && old.disabled == new.disabled
        };
        let pairs = self.servers.iter().zip(&new.servers);
        (self.servers.len() == new.servers.len() && pairs.into_iter().all(alike)).then_some(new)
    }

    fn edited(
        &self,
        new: &Self,
        chosen: &[bool],
        refused: Refused,
        kept: Vec<(usize, String)>,
    ) -> Edited {
        let differs = |at: &usize| {
            let is_alike = self.servers[*at].transport == new.servers[*at].transport;
            chosen[*at] && !(is_alike && self.parts(*at) == new.parts(*at))
        };
        let changed = (0..self.found.len()).filter(differs).collect();
        Edited { text: new.bytes(), changed, refused: refused.into_iter().collect(), kept }
    }

    /// Everything as it was, because what came of it was not what was meant.
    fn untouched(&self, chosen: &[bool], mut refused: Refused) -> Edited {
        let why = "the file is written so that the change could not be undone";
        for (at, _) in chosen.iter().enumerate().filter(|(_, chosen)| **chosen) {
            refused.entry(at).or_insert_with(|| why.to_owned());
        }
        Edited {
            text: self.bytes(),
            changed: Vec::new(),
            refused: refused.into_iter().collect(),
            kept: Vec::new(),
        }
    }

    /// The text of an entry, and that of its environment, which TOML may have elsewhere.
    fn parts(&self, at: usize) -> (&str, Option<&str>) {
        let found = &self.found[at];
        let (_, stdio) = entry::transport(&found.node, &self.shape.words);
        let env = stdio.and_then(|stdio| stdio.env()).map(|env| &self.text[env.span.clone()]);
        (&self.text[found.span.clone()], env)
    }

    fn bytes(&self) -> Vec<u8> {
        let mark = if self.has_mark { text::MARK } else { "" };
        [mark, &self.text].concat().into_bytes()
    }
}

/// The file may hold secrets.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.servers.len();
        f.debug_struct("Document").field("servers", &servers).finish_non_exhaustive()
    }
}

/// What an entry starts thoth around, if it does: a command whose last part is `thoth` (or
/// `thoth.exe`), whose first argument is `run`, and that has a `--` with something after it.
pub fn wrapped<'a>(command: &'a str, args: &'a [String]) -> Option<Wrapped<'a>> {
    if !is_thoth(command) {
        return None;
    }
    let (run, rest) = args.split_first()?;
    let end = rest.iter().position(|arg| arg == "--")?;
    let (inner, args) = rest[end + 1..].split_first()?;
    let flags = match &rest[..end] {
        [flags @ .., flag, _] if flag == undo::FLAG => flags,
        flags => flags,
    };
    (run == "run").then_some(Wrapped { program: command, flags, command: inner, args })
}

/// The address that an entry starts thoth for, if it does: a command as of [`wrapped`], whose first
/// argument is `run`, and that has a `--url` with something after it, and no `--`.
pub fn bridged<'a>(command: &'a str, args: &[String]) -> Option<Bridged<'a>> {
    let (run, rest) = args.split_first()?;
    if !is_thoth(command) || run != "run" || rest.iter().any(|arg| arg == "--") {
        return None;
    }
    let url = rest.iter().zip(1..).find_map(|(arg, next)| match arg.strip_prefix("--url")? {
        "" => rest.get(next).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })?;
    Some(Bridged { program: command, flags: undo::without(rest), url })
}

/// Whether the last part of a command is `thoth`.
fn is_thoth(command: &str) -> bool {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    name == "thoth" || name.eq_ignore_ascii_case("thoth.exe")
}

// === impl Kept ===

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("header", &self.header).finish_non_exhaustive()
    }
}
