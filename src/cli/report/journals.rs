//! What the journal of a session says of its calls. Seals are not checked: `thoth audit verify` does
//! that.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;

use crate::friction::report::{Decision, Session};
use crate::friction::tale::call_id;
use crate::journal;

/// The longest record that is read, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The decisions of one session, by the ids of its calls.
#[derive(Debug, Default)]
pub(super) struct Journal {
    decisions: HashMap<String, Decision>,
    is_closed: bool,
}

/// A record, as far as it is looked at.
#[derive(Deserialize)]
struct Record {
    kind: String,
    session: Option<String>,
    call_id: Option<String>,
    call: Option<u64>,
    decision: Option<String>,
    #[serde(default)]
    forwarded: serde_json::Value,
    #[serde(default)]
    rule_ids: Vec<String>,
    reason: Option<String>,
    reason_code: Option<String>,
}

// === impl Journal ===

impl Journal {
    /// The journal of a session; `None` where there is none that can be read. Of its decisions, those
    /// about the session's calls are kept.
    pub(super) fn of(home: &Path, session: &Session) -> Option<Self> {
        if home.as_os_str().is_empty() {
            return None;
        }
        let calls: HashSet<&str> =
            session.calls.iter().filter_map(|call| call.id.as_deref()).collect();
        let found = journal::find(&journal::directory(home)).ok()?;
        let path = found.into_iter().find(|path| is_of(path, &session.id))?;
        let mut journal = Self::default();
        records(&path, |record| journal.take(record, &session.id, &calls)).ok()?;
        Some(journal)
    }

    pub(super) fn decision(&self, call: &str) -> Option<Decision> {
        self.decisions.get(call).cloned()
    }

    /// Whether its session ended in order.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn take(&mut self, record: Record, session: &str, calls: &HashSet<&str>) {
        match &*record.kind {
            "end" => self.is_closed = true,
            "decision" => {
                let of_ticket = || record.call.map(|ticket| call_id(session, ticket));
                let Some(id) = record.call_id.or_else(of_ticket) else { return };
                if !calls.contains(&*id) {
                    return;
                }
                self.decisions.insert(
                    id,
                    Decision {
                        decision: record.decision.unwrap_or_default(),
                        forwarded: record.forwarded.as_bool().unwrap_or_default(),
                        rule_ids: record.rule_ids,
                        reason: record.reason,
                        reason_code: record.reason_code,
                    },
                );
            }
            _ => {}
        }
    }
}

/// Whether a journal's first record names the session.
fn is_of(path: &Path, session: &str) -> bool {
    let mut line = Vec::new();
    let read = File::open(path)
        .and_then(|file| BufReader::new(file).take(64 * 1024).read_until(b'\n', &mut line));
    let record = read.ok().and_then(|_| serde_json::from_slice::<Record>(&line).ok());
    record.is_some_and(|record| record.session.as_deref() == Some(session))
}

/// Shows each record; what is none is passed over.
fn records(path: &Path, mut each: impl FnMut(Record)) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut file).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Ok(record) = serde_json::from_slice(&line) {
            each(record);
        }
    }
}
