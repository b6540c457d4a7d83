//! Recent decisions: kept for people to look at, written in batches, never waited for.
//!
//! ```text
//!  decide ─record─▶ queue (bounded) ─▶ writer ─▶ one transaction a batch ─▶ store
//! ```
//!
//! Telemetry, not the record of what was decided: that is each sidecar's journal. Under pressure
//! decisions are dropped, and counted. No arguments are kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::bus::{Bus, Change, Topic};
use super::store::{Store, StoreError, decisions as rows};
use super::{App, Tenant};
use crate::gate::decide::Mode;
use crate::gate::verdict::Effect;

/// How many decisions may wait to be written.
const WAITING: usize = 8192;
/// How many are written at once.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(100);
/// How many of a tenant's decisions are kept, and for how long.
const KEPT: u32 = 100_000;
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// After how many decisions what is too many is deleted.
const PRUNED_EVERY: u64 = 1_000;

/// One decision, for people to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// Whose call of what.
    pub agent: String,
    /// The server; empty where the caller did not say.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The person.
    pub user: String,
    /// `dev`, `staging`, `prod`, or what the caller calls it.
    pub environment: String,
    /// The caller's session.
    pub session: String,
    /// How decisions are enforced there.
    pub mode: Mode,
    /// What was answered.
    pub decision: Word,
    /// What the rules said; differs in observe mode only.
    pub authorization: Word,
    /// The rules that decided.
    pub rule_ids: Vec<String>,
    /// Why.
    pub reason: Option<String>,
    /// The same for programs.
    pub reason_code: Option<String>,
    /// What a block is called.
    pub violation_id: Option<String>,
    /// The approval it came to or rests on.
    pub approval: Option<String>,
    /// How long deciding took.
    pub took: Duration,
}

/// A decision's word on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// `ALLOW`
    Allow,
    /// `MODIFY`
    Modify,
    /// `STEP_UP`
    StepUp,
    /// `DEFER`
    Defer,
    /// `BLOCK`
    Block,
}

/// Takes decisions and lets nobody wait. Clones feed the same writer; the default one has none and
/// drops everything.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    queue: Option<mpsc::Sender<(Tenant, Decided)>>,
    dropped: Arc<AtomicU64>,
    closing: CancellationToken,
}

/// Writes what recorders take. Owned by whoever started it, who runs and joins it.
#[derive(Debug)]
pub struct Writer {
    queue: mpsc::Receiver<(Tenant, Decided)>,
    store: Store,
    bus: Bus,
    dropped: Arc<AtomicU64>,
    closing: CancellationToken,
    /// How many were written for each tenant since its last ones were deleted.
    written: HashMap<Tenant, u64>,
}

/// The newest decisions of a tenant, the newest first.
///
/// # Errors
///
/// [`StoreError`]
pub async fn recent(app: &App, tenant: &Tenant, limit: u32) -> Result<Vec<Decided>, StoreError> {
    rows::recent(&app.store, tenant, limit).await
}

/// Forgets decisions that were made long ago. To be called now and then.
///
/// # Errors
///
/// [`StoreError`]
pub async fn sweep(app: &App) -> Result<(), StoreError> {
    match app.now().checked_sub(KEPT_FOR) {
        Ok(before) => rows::forget(&app.store, before).await,
        Err(_) => Ok(()),
    }
}

// === impl Recorder ===

impl Recorder {
    /// A recorder and its writer.
    pub fn start(store: Store, bus: Bus) -> (Self, Writer) {
        let (sender, queue) = mpsc::channel(WAITING);
        let recorder = Self { queue: Some(sender), ..Self::default() };
        let (dropped, closing) = (Arc::clone(&recorder.dropped), recorder.closing.clone());
        (recorder, Writer { queue, store, bus, dropped, closing, written: HashMap::new() })
    }

    /// Takes one decision, or drops it where the writer does not keep up.
    pub fn record(&self, tenant: &Tenant, decided: Decided) {
        let Some(queue) = &self.queue else { return };
        if queue.try_send((tenant.clone(), decided)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many decisions were not written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends the writer, once it has written what it was given before.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

// === impl Writer ===

impl Writer {
    /// Writes until all recorders are gone or one is closed, and then what is left.
    pub async fn run(mut self) {
        let closing = self.closing.clone();
        while let Some(Some(first)) = closing.run_until_cancelled(self.queue.recv()).await {
            // Some more may be on their way: each transaction waits for the disk.
            closing.run_until_cancelled(tokio::time::sleep(GATHER)).await;
            self.write(vec![first]).await;
        }
        self.queue.close();
        while let Ok(first) = self.queue.try_recv() {
            self.write(vec![first]).await;
        }
    }

    /// Writes these and what else is there, up to a batch.
    async fn write(&mut self, mut batch: Vec<(Tenant, Decided)>) {
        while batch.len() < BATCH
            && let Ok(next) = self.queue.try_recv()
        {
            batch.push(next);
        }
        // In the order of the queue.
        let rows: Vec<_> = batch
            .into_iter()
            .map(|(tenant, decided)| (Uuid::now_v7().simple().to_string(), tenant, decided))
            .collect();
        if let Err(error) = rows::insert(&self.store, &rows).await {
            tracing::warn!(%error, count = rows.len(), "decisions could not be written");
            self.dropped.fetch_add(rows.len() as u64, Ordering::Relaxed);
            return;
        }
        let mut more: HashMap<Tenant, u64> = HashMap::new();
        for (_, tenant, _) in rows {
            *more.entry(tenant).or_default() += 1;
        }
        for (tenant, more) in more {
            self.prune(&tenant, more).await;
            self.bus.tell(Change { tenant, topic: Topic::Decisions });
        }
    }

    async fn prune(&mut self, tenant: &Tenant, more: u64) {
        let written = self.written.entry(tenant.clone()).or_default();
        *written += more;
        if *written < PRUNED_EVERY {
            return;
        }
        *written = 0;
        if let Err(error) = rows::keep(&self.store, tenant, KEPT).await {
            tracing::warn!(%error, "old decisions could not be deleted");
        }
    }
}

// === impl Word ===

impl Word {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Modify, Self::StepUp, Self::Defer, Self::Block];

    /// The word for an effect.
    pub fn of(effect: &Effect) -> Self {
        match effect {
            Effect::Allow => Self::Allow,
            Effect::Modify(_) => Self::Modify,
            Effect::StepUp(_) => Self::StepUp,
            Effect::Defer(_) => Self::Defer,
            Effect::Block => Self::Block,
        }
    }

    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Modify => "MODIFY",
            Self::StepUp => "STEP_UP",
            Self::Defer => "DEFER",
            Self::Block => "BLOCK",
        }
    }
}
