//! Writes what the session decides into the journal, or says why a call must not go on.

use crate::config::settings;
use crate::gate::record::{Record, Recorder};
use crate::journal::Journal;
use crate::machine::clock;

/// The journal as the pump uses it.
#[derive(Debug)]
pub(super) struct Journalist {
    journal: Journal,
    best_effort: bool,
    /// Whether the last record could be written, so that a full disk is told once, not per call.
    writing: bool,
}

impl Journalist {
    pub(super) fn new(journal: Journal, settings: settings::Journal) -> Self {
        Self { journal, best_effort: settings.best_effort, writing: true }
    }

    pub(super) fn close(&mut self) {
        if let Err(error) = self.journal.close(clock::now()) {
            tracing::error!(error = &error as &dyn std::error::Error, "the journal has no end");
        }
    }
}

impl Recorder for Journalist {
    fn record(&mut self, record: &Record) -> bool {
        let written = self.journal.append(record, clock::now());
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
}
