//! Adds to what a server offers, and takes back out of calls what was added.
//!
//! The answer to `initialize` gets a suffix to its instructions; the first page of `tools/list` gets
//! tools that thoth answers itself; each tool gets parameters in which an agent says what it wants.
//! All as edits of the text that the server sent: what is not edited keeps its bytes.
//!
//! # Invariants
//!
//! - What a server declares itself is never replaced, required, captured or taken out: neither a tool
//!   nor a parameter of the same name.
//! - A parameter is taken out of a call only where it was added to that very tool: of a tool that was
//!   not listed, nothing is.
//! - A text that cannot be read is left as it is.

pub mod annotate;
pub mod words;

mod edit;
mod session;
mod strip;
#[cfg(test)]
mod tests;
mod tools;

pub use self::session::Live;
pub use self::strip::{Said, Stripped};
pub use self::tools::{Page, Registry};

use self::edit::Edits;
use self::words::Words;
use super::event::quote;
use super::raw::RawObject;
use crate::gate::json::Kind;

/// Members of which one at least is in the answer to `initialize` or `server/discover`.
const GREETINGS: [&str; 3] = ["protocolVersion", "serverInfo", "supportedVersions"];

/// A parameter that is added to tools.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Param {
    /// What should come of this call.
    Expected,
    /// The task it is a part of.
    Task,
    /// What the user wants.
    Goal,
}

/// Whether parameters are added, and whether they are advertised as required. Nothing is ever enforced.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// None is added.
    Off,
    /// They may be left out.
    Optional,
    /// They are asked for.
    #[default]
    Required,
}

/// What is added.
#[derive(Clone, Debug)]
pub struct Additions {
    /// The names and texts.
    pub words: Words,
    /// How parameters are advertised.
    pub mode: Mode,
    /// Whether notes are welcome before anything went wrong.
    pub proactive: bool,
    /// Whether the tool that reports on the session is added.
    pub report: bool,
}

// === impl Param ===

impl Param {
    /// All of them, sorted by name.
    pub const ALL: [Self; 3] = [Self::Expected, Self::Task, Self::Goal];

    /// Its name in a tool's schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expected => "expected_result",
            Self::Task => "overall_task",
            Self::Goal => "user_goal",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

// === impl Mode ===

impl Mode {
    /// Its word in settings and events.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

// === impl Additions ===

impl Additions {
    /// The result of `initialize` or `server/discover` with a suffix to its instructions; `None` where
    /// the text is not such a result.
    pub fn initialize(&self, result: &[u8], file: Option<&str>) -> Option<Vec<u8>> {
        let object = RawObject::read(result)?;
        GREETINGS.iter().find_map(|name| object.member(name))?;
        let suffix = self.instructions(file);
        let mut edits = Edits::new(object.text());
        match object.member("instructions") {
            Some(instructions) if instructions.kind() == Kind::Text => {
                let mut quoted = Vec::new();
                quote(&mut quoted, &suffix);
                let range = edits.range_of(instructions);
                // Before the closing quote, without quotes of its own.
                edits.insert(range.end - 1, &quoted[1..quoted.len() - 1]);
            }
            other => {
                let mut quoted = Vec::new();
                quote(&mut quoted, suffix.trim_start());
                match other {
                    Some(other) => edits.replace(edits.range_of(other), quoted),
                    None => edits.add_member(object, "instructions", &quoted),
                }
            }
        }
        Some(edits.apply())
    }
}
