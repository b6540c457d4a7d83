//! What became of each server of a file.

use serde::Serialize;

use super::far::Choice;
use crate::clients::coverage::{FoundServer, Standing};
use crate::clients::document::{Document, Edited, Transport, bridged, wrapped};
use crate::clients::scan::Entry;

/// What became of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) struct Row {
    /// Its key.
    pub(in crate::cli) name: String,
    /// The keys between the file's root and the list it stands in: its project.
    pub(in crate::cli) within: Option<String>,
    pub(in crate::cli) state: State,
    /// Why it is not as it was to be, or what should be known about it.
    pub(in crate::cli) why: Option<String>,
    /// Whether its client is told not to start it.
    pub(in crate::cli) disabled: bool,
    /// Whether wrapping would help, or did.
    pub(in crate::cli) mendable: bool,
    /// Whether it is left as it is until a person does something.
    pub(in crate::cli) waits: bool,
}

/// How a server stands after the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum State {
    /// It was wrapped now.
    Wrapped,
    /// It was wrapped, and its entry was brought up to date.
    Updated,
    /// It was wrapped, and nothing was to be done.
    Already,
    /// It is not wrapped and cannot be.
    Ungoverned,
    /// It was unwrapped now.
    Unwrapped,
    /// It was not wrapped, and nothing was to be undone.
    Plain,
    /// It is wrapped and could not be unwrapped.
    Stuck,
    /// It looks wrapped, and is not, or is told less than it should be.
    Tampered,
}

/// How the servers stand once they were wrapped, as far as they could be.
pub(super) fn after_wrapping(
    document: &Document,
    entries: &[Entry],
    edited: &Edited,
    choices: &[Option<Choice>],
) -> Vec<Row> {
    let row = |entry: &Entry| {
        let choice = entry.server.and_then(|at| choices.get(at)?.as_ref());
        let (state, mut why) = match entry.server {
            Some(at) => wrapped_now(document, at, edited, entry.barrier.as_deref()),
            None => (State::Ungoverned, entry.barrier.clone()),
        };
        let mut waits = false;
        match choice {
            Some(Choice::Leave { why: left, waits: person }) => {
                (why, waits) = (Some(left.clone()), *person);
            }
            Some(Choice::Wrap { note: Some(note), .. }) if state == State::Wrapped => {
                why = Some(why.map_or(note.clone(), |why| format!("{why}; {note}")));
            }
            Some(Choice::Wrap { .. }) | None => {}
        }
        Row { waits, ..Row::new(entry, state, why) }
    };
    entries.iter().map(row).collect()
}

fn wrapped_now(
    document: &Document,
    at: usize,
    edited: &Edited,
    barrier: Option<&str>,
) -> (State, Option<String>) {
    let refused = edited.refused.iter().find(|(index, _)| *index == at).map(|(_, why)| why);
    let barrier = refused.map(String::as_str).or(barrier);
    let has_changed = edited.changed.contains(&at);
    let why = match &document.servers()[at].transport {
        Transport::Stdio { command, args, .. } => {
            let kept = edited.kept.iter().find(|(index, _)| *index == at);
            let kept = kept.map(|(_, name)| format!("its own {name} stays"));
            let flags = wrapped(command, args).map(|wrapped| wrapped.flags.to_vec());
            let flags = flags.or_else(|| Some(bridged(command, args)?.flags));
            if let Some(flags) = flags {
                let told = kept.or_else(|| shown_key(&flags).map(str::to_owned));
                let told = barrier.map(str::to_owned).or(told);
                return (if has_changed { State::Updated } else { State::Already }, told);
            }
            if has_changed {
                return (State::Wrapped, kept);
            }
            "it could not be wrapped".to_owned()
        }
        Transport::Remote { .. } if has_changed => {
            let kept = edited.kept.iter().find(|(index, _)| *index == at);
            return (State::Wrapped, kept.map(|(_, name)| format!("its own {name} stays")));
        }
        Transport::Remote { member, .. } => {
            format!("a server behind an address (`{member}`), which could not be wrapped")
        }
        Transport::Other { what } => what.clone(),
    };
    (State::Ungoverned, Some(barrier.map_or(why, str::to_owned)))
}

/// What should be known of a key among the flags of a wrapped entry.
fn shown_key(flags: &[String]) -> Option<&'static str> {
    let is_key = |flag: &String| flag == "--api-key" || flag.starts_with("--api-key=");
    flags.iter().any(is_key).then_some(
        "a key stands in its arguments, where everybody on this machine can see it: \
         use `thoth set-api-key`, and take it out",
    )
}

/// How the servers stand once they were unwrapped, as far as they could be.
pub(super) fn after_unwrapping(
    document: &Document,
    entries: &[Entry],
    edited: &Edited,
) -> Vec<Row> {
    let is_wrapped = |at: usize| match &document.servers()[at].transport {
        Transport::Stdio { command, args, .. } => {
            wrapped(command, args).is_some() || bridged(command, args).is_some()
        }
        Transport::Remote { .. } | Transport::Other { .. } => false,
    };
    let row = |entry: &Entry| {
        let at = entry.server;
        let (state, why) = if at.is_some_and(|at| edited.changed.contains(&at)) {
            (State::Unwrapped, None)
        } else if at.is_some_and(is_wrapped) {
            let refused = edited.refused.iter().find(|(index, _)| Some(*index) == at);
            let why = refused.map(|(_, why)| why.clone()).or_else(|| entry.barrier.clone());
            (State::Stuck, why)
        } else {
            (State::Plain, None)
        };
        Row::new(entry, state, why)
    };
    entries.iter().map(row).collect()
}

// === impl Row ===

impl Row {
    fn new(entry: &Entry, state: State, why: Option<String>) -> Self {
        Self {
            name: entry.name.clone(),
            within: entry.within.clone(),
            state,
            why,
            disabled: entry.disabled,
            mendable: state == State::Wrapped,
            waits: false,
        }
    }
}

impl From<FoundServer> for Row {
    fn from(found: FoundServer) -> Self {
        let state = match found.standing {
            Standing::Wrapped => State::Already,
            Standing::Bypassing | Standing::Unreadable => State::Ungoverned,
            Standing::Tampered => State::Tampered,
        };
        let why = found.why.or_else(|| {
            let bypassing = state == State::Ungoverned;
            bypassing.then(|| "its client starts it without thoth".to_owned())
        });
        Self {
            name: found.name,
            within: found.within,
            state,
            why,
            disabled: found.disabled,
            mendable: found.can_be_wrapped,
            waits: false,
        }
    }
}

// === impl State ===

impl State {
    /// Whether thoth decides the server's calls.
    pub(in crate::cli) fn is_governed(self) -> bool {
        matches!(self, Self::Wrapped | Self::Updated | Self::Already | Self::Stuck)
    }

    /// As people are told.
    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            Self::Wrapped => "wrapped",
            Self::Updated => "updated",
            Self::Already => "already",
            Self::Ungoverned => "UNGOVERNED",
            Self::Unwrapped => "unwrapped",
            Self::Plain => "not wrapped",
            Self::Stuck => "STILL WRAPPED",
            Self::Tampered => "TAMPERED",
        }
    }
}
