//! What was found in the clients' configurations: values, and their form in `--json`.

use std::path::PathBuf;

use serde::Serialize;

/// Every client that was found on this machine, file by file.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Coverage {
    /// Every file that was found, in the order of the table of clients.
    pub files: Vec<FoundFile>,
}

/// One configuration file of one client.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FoundFile {
    /// The client's word: `claude-desktop`.
    pub client: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be read, with the place; `None` where it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Its servers, in the order of the file.
    pub servers: Vec<FoundServer>,
}

/// One server's entry.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FoundServer {
    /// Its key.
    pub name: String,
    /// The keys above it, where there are more than one: the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Whether it is governed.
    pub standing: Standing,
    /// Why it is not, or what should be known of how it is. Never a value of the file but the path
    /// of a program, and the scheme and host of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether `thoth wrap-config` would govern it.
    pub can_be_wrapped: bool,
    /// Whether the client is told not to start it.
    pub disabled: bool,
}

/// Whether a server is governed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its client starts thoth around it.
    Wrapped,
    /// Its client starts it, or reaches it, without thoth: UNGOVERNED.
    Bypassing,
    /// Its client starts something that looks like thoth around it and is not, or that is told
    /// less than it should be: UNGOVERNED.
    Tampered,
    /// What its client starts cannot be told: UNGOVERNED.
    Unreadable,
}

/// How many servers stand how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Wrapped.
    pub governed: usize,
    /// Everything else. A file that cannot be read counts as one.
    pub ungoverned: usize,
    /// Of those, how many `thoth wrap-config` would govern: drift.
    pub drifted: usize,
}

// === impl Standing ===

impl Standing {
    /// Whether thoth decides its calls.
    pub fn is_governed(self) -> bool {
        self == Self::Wrapped
    }
}

// === impl Coverage ===

impl Coverage {
    /// Counts servers. Those their client does not start count as well: a click starts them.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for file in &self.files {
            counts.ungoverned += usize::from(file.unreadable.is_some());
            for server in &file.servers {
                if server.standing.is_governed() {
                    counts.governed += 1;
                } else {
                    counts.ungoverned += 1;
                    counts.drifted += usize::from(server.can_be_wrapped);
                }
            }
        }
        counts
    }
}
