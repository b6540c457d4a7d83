//! The servers of one file, as clients take them: what they are called, whether they are started,
//! and what keeps them from being wrapped.
//!
//! In most files an entry is a server. A manifest has its one server under a fixed key, with other
//! commands for other systems beside it, and says elsewhere whether it is started at all.

use crate::clients::document::{Document, Server};
use crate::clients::extension::Extensions;
use crate::clients::table::{File, Kind, Places};

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Which of [`Document::servers`] holds its command; `None` where none does.
    pub server: Option<usize>,
    /// What it is called, in reports and as the agent.
    pub name: String,
    /// The project it belongs to, where its file has those of several.
    pub within: Option<String>,
    /// Whether the client is told not to start it.
    pub disabled: bool,
    /// Why its entry must stay as it is, whatever is in it.
    pub barrier: Option<String>,
}

/// Reads entries, and remembers what else it had to read for them.
#[derive(Debug)]
pub struct Entries<'a> {
    places: &'a Places,
    extensions: Extensions,
}

// === impl Entries ===

impl<'a> Entries<'a> {
    /// For the clients of one user.
    pub fn new(places: &'a Places) -> Self {
        Self { places, extensions: Extensions::default() }
    }

    /// The servers of one file, of which the text was read as this document, in its order.
    pub fn of(&mut self, file: &File, document: &Document, text: &[u8]) -> Vec<Entry> {
        if file.kind == Kind::Extension {
            return self.extensions.entries(file, document, text, self.places);
        }
        let barrier = (file.kind == Kind::Managed)
            .then(|| "an administrator's file, which is changed by administrators".to_owned());
        let entry = |(at, server): (usize, &Server)| Entry {
            server: Some(at),
            name: server.name.clone(),
            within: within(file, server),
            disabled: server.disabled,
            barrier: barrier.clone(),
        };
        document.servers().iter().enumerate().map(entry).collect()
    }
}

/// The keys that are the file's own choice: those where the path of its shape has a `*`.
fn within(file: &File, server: &Server) -> Option<String> {
    let fits = |path: &&&[&str]| {
        path.len() == server.within.len()
            && path.iter().zip(&server.within).all(|(key, found)| *key == "*" || key == found)
    };
    let path = file.shape.servers.iter().find(fits)?;
    let keys = path.iter().zip(&server.within).filter(|(key, _)| **key == "*");
    let keys: Vec<_> = keys.map(|(_, found)| found.as_str()).collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}
