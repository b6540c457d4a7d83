//! Which MCP clients there are, where their files lie, and how they are written.

use std::path::PathBuf;

use super::document::Shape;
use crate::config::variables::Env;

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its word in `--client`: `claude-desktop`.
    pub id: &'static str,
    /// Its name for people: `Claude Desktop`.
    pub name: &'static str,
    /// How its files are written.
    pub shape: Shape,
}

/// The directories that clients keep their files in, for one user of one system.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The home directory.
    pub home: PathBuf,
    // (to be written: XDG_CONFIG_HOME, APPDATA, LOCALAPPDATA, CODEX_HOME, CLAUDE_CONFIG_DIR, CLINE_DIR, the system)
}

/// Every client, in the order in which they are told of.
pub const ALL: &[Client] = &[];

// === impl Places ===

impl Places {
    /// The places of the user whose environment this is, on this system.
    pub fn of(env: &Env) -> Self {
        let _ = env; // (to be written)
        Self::default()
    }
}
