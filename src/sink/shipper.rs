//! Sends what lies in a spool to its collector, as long as this process holds the spool's lock.
//!
//! Every sidecar with this collector tries for the lock; one has it, and sends for all, also what
//! sidecars have left that are gone.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::collector::{Collector, Fate, IN_FLIGHT};
use crate::rhythm::Rhythm;
use crate::spool::{Drain, NotDrained, Spool, Window};

/// How often the spool is looked at for events of other processes.
const IDLE: Duration = Duration::from_secs(2);
/// How often the lock is tried for.
const CONTEST: Duration = Duration::from_secs(5);
/// About how many bytes are under way at once.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// An event that failed so often, while others were taken, is not tried again.
const PATIENCE: u32 = 8;

/// The task that sends. Dropped, it stops where it is.
#[derive(Debug)]
pub(super) struct Shipper {
    shared: Arc<Shared>,
    task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Rung when there is something new: events, or that it is over.
    bell: Notify,
    is_closing: AtomicBool,
    delivered: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// The task's own.
struct Shipping {
    shared: Arc<Shared>,
    spool: Spool,
    collector: Arc<Collector>,
    clock: fn() -> Timestamp,
    rhythm: Rhythm,
    /// How often an event failed while others were taken.
    strikes: HashMap<Uuid, u32>,
}

/// What became of one window.
#[derive(Default)]
struct Round {
    taken: HashSet<Uuid>,
    unwanted: HashSet<Uuid>,
    failed: Vec<Uuid>,
    why: Option<String>,
    retry_after: Option<Duration>,
}

// === impl Shipper ===

impl Shipper {
    pub(super) fn start(spool: Spool, collector: Arc<Collector>, clock: fn() -> Timestamp) -> Self {
        let shared = Arc::new(Shared::default());
        let shipping = Shipping {
            shared: Arc::clone(&shared),
            spool,
            collector,
            clock,
            rhythm: Rhythm::default(),
            strikes: HashMap::new(),
        };
        Self { shared, task: AbortOnDropHandle::new(tokio::spawn(shipping.run())) }
    }

    /// To be called when there is something new in the spool.
    pub(super) fn bell(&self) -> impl Fn() + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.bell.notify_one()
    }

    pub(super) fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends what there is, once, until the deadline at the latest; then stops.
    pub(super) async fn close(self, deadline: Instant) {
        self.shared.is_closing.store(true, Ordering::Release);
        self.shared.bell.notify_one();
        let _ = timeout_at(deadline, self.task).await; // aborted, where it is dropped
    }
}

// === impl Shared ===

impl Shared {
    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Waits until the bell rings, or so long.
    async fn pause(&self, longest: Duration) {
        if !self.is_closing() {
            let _ = timeout_at(Instant::now() + longest, self.bell.notified()).await;
        }
    }

    /// Waits so long, whatever is new, but that it is over.
    async fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.is_closing() && timeout_at(end, self.bell.notified()).await.is_ok() {}
    }

    fn says(&self, trouble: Option<String>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some(why)) = (&*known, &trouble) {
            tracing::info!(why, "friction events wait in the spool");
        }
        *known = trouble;
    }
}

// === impl Shipping ===

impl Shipping {
    async fn run(mut self) {
        loop {
            let spool = self.spool.clone();
            match blocking(move || Drain::try_hold(spool)).await {
                Some(Ok(Some(drain))) => self.drain(drain).await,
                Some(Ok(None)) => {} // another process sends
                Some(Err(error)) => self.shared.says(Some(told(&error))),
                None => return,
            }
            if self.shared.is_closing() {
                return;
            }
            self.shared.rest(CONTEST).await;
        }
    }

    /// Sends until it is over, or the disk makes trouble.
    async fn drain(&mut self, mut drain: Drain) {
        loop {
            // Looked at before the spool is, so that the last look finds everything.
            let is_last = self.shared.is_closing();
            let now = (self.clock)();
            let looking = blocking(move || {
                let window = drain.window(IN_FLIGHT, WINDOW_BYTES, now);
                (drain, window)
            });
            let Some((held, window)) = looking.await else { return };
            drain = held;
            let window = match window {
                Ok(window) => window,
                Err(error) => return self.shared.says(Some(told(&error))),
            };
            if window.is_empty() {
                if is_last {
                    return;
                }
                self.shared.pause(IDLE).await;
                continue;
            }
            let round = self.send(&window).await;
            let (done, refused) = (round.done(), round.unwanted.len() as u64);
            let settling = blocking(move || {
                let settled = drain.settle(&window, &done, refused);
                (drain, settled)
            });
            let Some((held, settled)) = settling.await else { return };
            drain = held;
            if let Err(error) = settled {
                return self.shared.says(Some(told(&error)));
            }
            let Some(why) = round.why else {
                self.shared.says(None);
                self.rhythm.after_success(Duration::ZERO, 0);
                continue;
            };
            self.shared.says(Some(why));
            if is_last {
                return;
            }
            let dice = Uuid::new_v4().as_bytes()[0];
            let wait = self.rhythm.after_failure(round.retry_after, dice);
            self.shared.rest(wait).await;
            if self.shared.is_closing() && round.retry_after.is_some() {
                return; // we were asked to wait, and cannot
            }
        }
    }

    /// Sends the events of a window, all at once.
    async fn send(&mut self, window: &Window) -> Round {
        let mut sending = JoinSet::new();
        for event in window.events() {
            let (event, collector) = (event.clone(), Arc::clone(&self.collector));
            sending.spawn(async move { (event.id(), collector.send(event).await) });
        }
        let mut round = Round::default();
        while let Some(sent) = sending.join_next().await {
            let Ok((id, fate)) = sent else { continue }; // a panic; the event is tried again
            round.note(id, fate);
        }
        self.shared.delivered.fetch_add(round.taken.len() as u64, Ordering::Relaxed);
        self.judge(&mut round);
        round
    }

    /// One event that the collector fails on, while it takes others, must not hold them up for ever.
    fn judge(&mut self, round: &mut Round) {
        self.strikes.retain(|id, _| round.failed.contains(id));
        if round.taken.is_empty() {
            return;
        }
        for id in &round.failed {
            let strikes = self.strikes.entry(*id).or_default();
            *strikes += 1;
            if *strikes >= PATIENCE {
                tracing::warn!(%id, "a friction event is given up: the collector fails on it");
                round.unwanted.insert(*id);
            }
        }
    }
}

// === impl Round ===

impl Round {
    fn note(&mut self, id: Uuid, fate: Fate) {
        match fate {
            Fate::Taken => {
                self.taken.insert(id);
            }
            Fate::Unwanted(why) => {
                tracing::warn!(%id, why, "a friction event is not wanted");
                self.unwanted.insert(id);
            }
            Fate::Later { why, retry_after } => {
                self.failed.push(id);
                self.why = Some(why);
                self.retry_after = self.retry_after.max(retry_after);
            }
        }
    }

    /// What need not be sent again.
    fn done(&self) -> HashSet<Uuid> {
        self.taken.union(&self.unwanted).copied().collect()
    }
}

/// Runs what blocks where it may. `None` where the runtime ends.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    spawn_blocking(work).await.ok()
}

fn told(error: &NotDrained) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}
