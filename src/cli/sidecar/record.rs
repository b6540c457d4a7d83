//! Writes what the session decides into the journal, or says why a call must not go on; and keeps
//! count, for whoever asks how this sidecar is doing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::config::settings;
use crate::emitter::Handle;
use crate::endpoint::sidecar::{Contact, Decisions};
use crate::gate::happening::Happening;
use crate::gate::record::{Record, Recorder, Ticket};
use crate::journal::Journal;
use crate::machine::clock;
use crate::seal::Head;
use crate::upstream::ledger::Ledger;

/// The longest list of tools that is passed on, in bytes.
const LONGEST_LIST: usize = 4 * 1024 * 1024;

/// The journal as the pump uses it.
#[derive(Debug)]
pub(super) struct Journalist {
    journal: Journal,
    best_effort: bool,
    /// Whether the last record could be written, so that a full disk is told once, not per call.
    writing: bool,
    tally: Tally,
    /// Where lists of tools go, where anybody wants them.
    lists: Option<mpsc::Sender<Vec<u8>>>,
    /// Where friction is told, where it is.
    friction: Option<Handle>,
    /// Who knows how calls were carried, where they are carried to a URL.
    carried: Option<Carriage>,
}

/// How calls are carried, and which of them are under way: the gate bounds how many.
#[derive(Debug)]
struct Carriage {
    ledger: Ledger,
    ids: BTreeMap<Ticket, String>,
}

/// What was done so far. Clones share it; the lock is held for a few assignments only.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Count>>);

/// What was done so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    pub(super) decisions: Decisions,
    pub(super) last_decision_at: Option<Timestamp>,
    /// Where the journal stands; `None` before its first record.
    pub(super) head: Option<Head>,
    /// The last contact with the enforcer, where one is configured.
    pub(super) contact: Option<Contact>,
}

// === impl Tally ===

impl Tally {
    pub(super) fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Journalist ===

impl Journalist {
    pub(super) fn new(
        journal: Journal,
        settings: settings::Journal,
        tally: Tally,
        lists: Option<mpsc::Sender<Vec<u8>>>,
        friction: Option<Handle>,
        ledger: Option<Ledger>,
    ) -> Self {
        let carried = ledger.map(|ledger| Carriage { ledger, ids: BTreeMap::new() });
        let best_effort = settings.best_effort;
        Self { journal, best_effort, writing: true, tally, lists, friction, carried }
    }

    pub(super) fn close(&mut self) {
        if let Err(error) = self.journal.close(clock::now()) {
            tracing::error!(error = &error as &dyn std::error::Error, "the journal has no end");
        }
        self.tally.lock().head = self.head();
    }

    fn head(&self) -> Option<Head> {
        Some(self.journal.head()).filter(|head| *head != Head::ORIGIN)
    }

    fn count(&self, record: &Record, now: Timestamp) {
        let head = self.head();
        let mut count = self.tally.lock();
        count.head = head;
        if let Record::Decision(decided) = record {
            count.last_decision_at = Some(now);
            let decisions = &mut count.decisions;
            match decided.decision {
                "allow" => decisions.allow += 1,
                "modify" => decisions.modify += 1,
                "step_up" => decisions.step_up += 1,
                "defer" => decisions.defer += 1,
                _ => decisions.block += 1,
            }
        }
    }
}

impl Recorder for Journalist {
    fn record(&mut self, record: &Record) -> bool {
        let now = clock::now();
        let written = match (record, &mut self.carried) {
            (Record::Outcome(outcome), Some(carriage)) => {
                let id = carriage.ids.remove(&outcome.ticket);
                let carried = id.and_then(|id| carriage.ledger.take(&id));
                self.journal.append_outcome(outcome, carried, now)
            }
            (Record::Decision(decided), Some(carriage)) if decided.forwarded => {
                carriage.ids.insert(decided.ticket, decided.id.clone());
                self.journal.append(record, now)
            }
            _ => self.journal.append(record, now),
        };
        self.count(record, now);
        match &written {
            Err(error) if self.writing => {
                let consequence =
                    if self.best_effort { "calls go on unrecorded" } else { "calls are refused" };
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    consequence,
                    "nothing can be written down"
                );
            }
            Ok(()) if !self.writing => tracing::warn!("the journal can be written again"),
            _ => {}
        }
        self.writing = written.is_ok();
        written.is_ok() || self.best_effort
    }

    fn listed(&mut self, result: &[u8]) {
        if let Some(lists) = self.lists.as_ref().filter(|_| result.len() <= LONGEST_LIST) {
            // Nobody waits for whoever reads them: what finds the queue full is not reported.
            let _ = lists.try_send(result.to_vec());
        }
    }

    fn happened(&mut self, happening: Happening) {
        if let Some(friction) = &self.friction {
            friction.happened(happening);
        }
    }
}
