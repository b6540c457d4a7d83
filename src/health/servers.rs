//! The clients' servers: which are governed, and what is wrong with those that are not.

use serde::Serialize;

use super::plain;
use super::problem::{Code, Problem};
use crate::clients::coverage::{Coverage, FoundFile, FoundServer, Standing};
use crate::clients::table;

/// How many names a sentence holds.
const SHOWN: usize = 5;

/// One configuration file of one client.
#[derive(Clone, Debug, Serialize)]
pub struct Client {
    /// The client's word: `claude-desktop`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The file.
    pub path: String,
    /// Why it cannot be read.
    pub unreadable: Option<String>,
    /// How many of its servers are governed.
    pub governed: usize,
    /// How many are not.
    pub ungoverned: usize,
    /// Its servers.
    pub servers: Vec<Server>,
}

/// One server's entry.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// Its key.
    pub name: String,
    /// The project it belongs to, where there are several.
    pub within: Option<String>,
    /// Whether it is governed.
    pub standing: Standing,
    /// Why it is not.
    pub why: Option<String>,
    /// Whether `thoth wrap-config` would govern it.
    pub can_be_wrapped: bool,
    /// Whether the client is told not to start it.
    pub disabled: bool,
}

/// What was found, for the report; what is wrong is added to `problems`.
pub(super) fn judge(coverage: &Coverage, problems: &mut Vec<Problem>) -> Vec<Client> {
    for file in &coverage.files {
        problems.extend(of_file(file));
    }
    coverage.files.iter().map(Client::of).collect()
}

/// A few names, and how many more there are.
pub(super) fn some(names: &[String]) -> String {
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

/// At most one problem of each kind.
fn of_file(file: &FoundFile) -> Vec<Problem> {
    let (name, path) = (name(file), file.path.display());
    let named = |is_one: fn(&FoundServer) -> bool| {
        let names: Vec<_> = file
            .servers
            .iter()
            .filter(|server| is_one(server))
            .map(|server| plain(&server.name))
            .collect();
        (!names.is_empty()).then(|| some(&names))
    };
    let mut problems = Vec::new();
    if let Some(why) = &file.unreadable {
        problems.push(Problem::new(
            Code::ClientUnreadable,
            format!("{path}, of {name}, cannot be read: {}", plain(why)),
            "mend the file: its servers are not known, and not governed by thoth",
        ));
    }
    if let Some(names) = named(|server| server.standing == Standing::Tampered) {
        problems.push(Problem::new(
            Code::ServerTampered,
            format!("{name} does not start thoth as it should around {names}, in {path}"),
            "find out who changed the file, and run `thoth wrap-config --all`",
        ));
    }
    let drifted =
        |server: &FoundServer| server.standing == Standing::Bypassing && server.can_be_wrapped;
    if let Some(names) = named(drifted) {
        problems.push(Problem::new(
            Code::ConfigDrifted,
            format!("{name} starts without thoth: {names}, in {path}"),
            "run `thoth wrap-config --all`",
        ));
    }
    let ungoverned =
        |server: &FoundServer| server.standing == Standing::Bypassing && !server.can_be_wrapped;
    if let Some(names) = named(ungoverned) {
        problems.push(Problem::new(
            Code::ServerUngoverned,
            format!("{name} uses what cannot be wrapped: {names}, in {path}"),
            "remove it from the client, or use one that is a command",
        ));
    }
    if let Some(names) = named(|server| server.standing == Standing::Unreadable) {
        problems.push(Problem::new(
            Code::ClientUnreadable,
            format!("what {name} starts cannot be told: {names}, in {path}"),
            "mend the entry, or remove it",
        ));
    }
    problems
}

fn name(file: &FoundFile) -> &'static str {
    let client = table::ALL.iter().find(|client| client.id == file.client);
    client.map_or(file.client, |client| client.name)
}

// === impl Client ===

impl Client {
    fn of(file: &FoundFile) -> Self {
        let counts = Coverage { files: vec![file.clone()] }.counts();
        Self {
            id: file.client,
            name: name(file),
            path: file.path.to_string_lossy().into_owned(),
            unreadable: file.unreadable.as_deref().map(plain),
            governed: counts.governed,
            ungoverned: counts.ungoverned,
            servers: file.servers.iter().map(Server::of).collect(),
        }
    }
}

// === impl Server ===

impl Server {
    fn of(server: &FoundServer) -> Self {
        Self {
            name: plain(&server.name),
            within: server.within.clone(),
            standing: server.standing,
            why: server.why.as_deref().map(plain),
            can_be_wrapped: server.can_be_wrapped,
            disabled: server.disabled,
        }
    }
}
