//! Sends what lies in a spool to its collector, as long as this process holds the spool's lock.
//!
//! A thread with a runtime of its own: handshakes and encryption are no business of the loop that calls
//! go through. Every sidecar with this collector tries for the lock; one has it, and sends for all, also what
//! sidecars have left that are gone.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::Setup;
use super::collector::{Collector, Fate, IN_FLIGHT};
use crate::rhythm::Rhythm;
use crate::spool::{Drain, Window};

/// How often the spool is looked at for events of other processes.
const IDLE: Duration = Duration::from_secs(2);
/// How often the lock is tried for.
const CONTEST: Duration = Duration::from_secs(5);
/// About how many bytes are under way at once.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// How long before its deadline nothing new is begun: what is under way then may still be answered, and
/// need not be sent again by the next.
const LAST_ORDERS: Duration = Duration::from_millis(800);
/// An event that failed so often, while others were taken, is not tried again.
const PATIENCE: u32 = 8;

/// The thread that sends. Dropped, it stops where it is.
#[derive(Debug)]
pub(super) struct Shipper {
    shared: Arc<Shared>,
    /// Gone at the other end with the thread's last act.
    end: watch::Receiver<()>,
    _stop: DropGuard,
}

/// Tells a shipper of news.
#[derive(Debug)]
pub(super) struct Bell(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// What the log calls where events go.
    place: String,
    /// Rung when there is something new: events, or that it is over.
    bell: Notify,
    is_closing: AtomicBool,
    /// Nothing new is begun.
    is_over: AtomicBool,
    delivered: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// The thread's own.
struct Shipping {
    shared: Arc<Shared>,
    setup: Setup,
    rhythm: Rhythm,
    strikes: Strikes,
    refusal: Refusal,
}

/// Why events were not wanted, as it was said last: a collector that wants none says so for each of
/// them, and the log shall not.
#[derive(Default)]
struct Refusal(Option<String>);

/// How often each event failed while others were taken.
#[derive(Default)]
struct Strikes(HashMap<Uuid, u32>);

/// What became of one window.
#[derive(Default)]
struct Round {
    taken: HashSet<Uuid>,
    unwanted: HashSet<Uuid>,
    failed: Vec<Uuid>,
    /// Why the last of those that are unwanted is.
    refusal: Option<String>,
    why: Option<String>,
    retry_after: Option<Duration>,
}

// === impl Shipper ===

impl Shipper {
    /// Starts the thread, which does nothing before its bell is rung.
    pub(super) fn start(setup: Setup) -> io::Result<Self> {
        let place = setup.place.to_string();
        let shared = Arc::new(Shared { place, ..Shared::default() });
        let (rhythm, strikes, refusal) = Default::default();
        let shipping = Shipping { shared: Arc::clone(&shared), setup, rhythm, strikes, refusal };
        let (at_end, end) = watch::channel(());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        thread::Builder::new().name("ship".to_owned()).spawn(move || {
            let _at_end = at_end;
            let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return shipping.shared.says(Some(format!("no runtime: {error}"))),
            };
            runtime.block_on(stopped.run_until_cancelled(shipping.run()));
            runtime.shutdown_background(); // a name may still be looked up
        })?;
        Ok(Self { shared, end, _stop: stop.drop_guard() })
    }

    /// To be rung when there is something new in the spool, and ended when there will be no more.
    pub(super) fn bell(&self) -> Bell {
        Bell(Arc::clone(&self.shared))
    }

    pub(super) fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what there is was sent, once, after the bell's end; or until the deadline.
    pub(super) async fn ended(&self, deadline: Instant) {
        let mut end = self.end.clone();
        let last_orders = deadline.checked_sub(LAST_ORDERS).unwrap_or(deadline);
        if timeout_at(last_orders, end.changed()).await.is_err() {
            self.shared.is_over.store(true, Ordering::Release);
            let _ = timeout_at(deadline, end.changed()).await;
        }
    }
}

// === impl Bell ===

impl Bell {
    pub(super) fn ring(&self) {
        self.0.bell.notify_one();
    }

    /// There will be nothing more to send.
    pub(super) fn end(&self) {
        self.0.is_closing.store(true, Ordering::Release);
        self.ring();
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
            tracing::info!(place = self.place, why, "friction events wait in the spool");
        }
        *known = trouble;
    }
}

// === impl Shipping ===

impl Shipping {
    async fn run(mut self) {
        self.shared.bell.notified().await; // without events there is nothing to do
        let Some(collector) = self.collector().await else { return };
        let Some(spool) = self.setup.spool() else { return };
        loop {
            // Looking at a disk blocks this thread, which has nothing else to do meanwhile.
            match Drain::try_hold(spool.clone()) {
                Ok(Some(drain)) => self.drain(drain, &collector).await,
                Ok(None) => {} // another process sends
                Err(error) => self.shared.says(Some(told(&error))),
            }
            if self.shared.is_closing() {
                return;
            }
            self.shared.rest(CONTEST).await;
        }
    }

    /// The collector, as soon as there can be one; `None` where it is over before.
    async fn collector(&mut self) -> Option<Arc<Collector>> {
        loop {
            match Collector::new(&self.setup) {
                Ok(collector) => return Some(Arc::new(collector)),
                Err(error) => self.shared.says(Some(told(&error))),
            }
            let wait = self.wait(None);
            self.shared.rest(wait).await;
            if self.shared.is_closing() {
                return None;
            }
        }
    }

    /// Sends until it is over, or the disk makes trouble.
    async fn drain(&mut self, mut drain: Drain, collector: &Arc<Collector>) {
        while !self.shared.is_over.load(Ordering::Acquire) {
            // Looked at before the spool is, so that the last look finds everything.
            let is_last = self.shared.is_closing();
            let now = (self.setup.clock)();
            let window = match drain.window(IN_FLIGHT, WINDOW_BYTES, now) {
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
            let round = self.send(&window, collector).await;
            let settled = drain.settle(&window, &round.done(), round.unwanted.len() as u64);
            if let Err(error) = settled {
                return self.shared.says(Some(told(&error)));
            }
            let Some(why) = round.why else {
                self.shared.says(None);
                self.rhythm.after_success(Duration::ZERO, 0);
                continue;
            };
            self.shared.says(Some(why));
            // What was taken behind an event that was not is known to this process alone: the next one
            // would send it again. So it is tried again as long as that leads on.
            if is_last && round.taken.is_empty() {
                return;
            }
            let wait = self.wait(round.retry_after);
            self.shared.rest(wait).await;
            if self.shared.is_closing() && round.retry_after.is_some() {
                return; // we were asked to wait, and cannot
            }
        }
    }

    /// How long to wait after a failure.
    fn wait(&mut self, retry_after: Option<Duration>) -> Duration {
        let dice = Uuid::new_v4().as_bytes()[0];
        self.rhythm.after_failure(retry_after, dice)
    }

    /// Sends the events of a window, all at once.
    async fn send(&mut self, window: &Window, collector: &Arc<Collector>) -> Round {
        let mut sending = JoinSet::new();
        for event in window.events() {
            let (event, collector) = (event.clone(), Arc::clone(collector));
            sending.spawn(async move { (event.id(), collector.send(event).await) });
        }
        let mut round = Round::default();
        while let Some(sent) = sending.join_next().await {
            let Ok((id, fate)) = sent else { continue }; // a panic; the event is tried again
            round.note(id, fate);
        }
        self.shared.delivered.fetch_add(round.taken.len() as u64, Ordering::Relaxed);
        if let Some(why) = self.refusal.news(&round) {
            let place = &self.shared.place;
            tracing::warn!(
                place,
                why,
                "friction events are not wanted, and lost; this is said once"
            );
        }
        for id in self.strikes.judge(&round) {
            tracing::warn!(%id, "a friction event is given up: the collector fails on it");
            round.unwanted.insert(id);
        }
        round
    }
}

// === impl Strikes ===

impl Strikes {
    /// Which events are given up: one that the collector fails on, while it takes others, must not
    /// hold them up for ever.
    fn judge(&mut self, round: &Round) -> Vec<Uuid> {
        self.0.retain(|id, _| round.failed.contains(id));
        if round.taken.is_empty() {
            return Vec::new();
        }
        for id in &round.failed {
            *self.0.entry(*id).or_default() += 1;
        }
        self.0.extract_if(|_, strikes| *strikes >= PATIENCE).map(|(id, _)| id).collect()
    }
}

// === impl Refusal ===

impl Refusal {
    /// Why events of this round were not wanted, unless that is known from earlier ones.
    fn news(&mut self, round: &Round) -> Option<String> {
        let why = round.refusal.clone().filter(|why| self.0.as_ref() != Some(why))?;
        self.0 = Some(why.clone());
        Some(why)
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
                tracing::debug!(%id, why, "a friction event is not wanted");
                self.unwanted.insert(id);
                self.refusal = Some(why);
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

/// An error in one line: its sources, too.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(taken: &[u128], failed: &[u128]) -> Round {
        let ids = |numbers: &[u128]| numbers.iter().copied().map(Uuid::from_u128).collect();
        Round {
            taken: ids(taken),
            failed: failed.iter().copied().map(Uuid::from_u128).collect(),
            ..Round::default()
        }
    }

    #[test]
    fn an_event_that_fails_while_others_are_taken_is_given_up_in_the_end() {
        let mut strikes = Strikes::default();
        for others in 1..PATIENCE.into() {
            assert!(strikes.judge(&round(&[100 + others], &[1])).is_empty(), "{others}");
        }
        assert_eq!(strikes.judge(&round(&[200], &[1, 2])), [Uuid::from_u128(1)]);
        assert!(strikes.judge(&round(&[201], &[1, 2])).is_empty(), "counted anew");
    }

    #[test]
    fn while_a_collector_takes_nothing_no_event_is_given_up() {
        let mut strikes = Strikes::default();
        for _ in 0..10 * PATIENCE {
            assert!(strikes.judge(&round(&[], &[1, 2, 3])).is_empty());
        }
    }

    #[test]
    fn why_events_are_not_wanted_is_said_once_for_each_reason() {
        let refused = |number: u128, why: &str| {
            let mut round = round(&[], &[]);
            round.note(Uuid::from_u128(number), Fate::Unwanted(why.to_owned()));
            round
        };
        let mut refusal = Refusal::default();
        assert_eq!(refusal.news(&refused(1, "400")).as_deref(), Some("400"));
        assert_eq!(refusal.news(&refused(2, "400")), None);
        assert_eq!(refusal.news(&round(&[3], &[])), None, "others are wanted");
        assert_eq!(refusal.news(&refused(4, "413")).as_deref(), Some("413"));
    }

    #[test]
    fn an_event_that_did_not_fail_for_once_begins_anew() {
        let mut strikes = Strikes::default();
        for number in 0..10 * u128::from(PATIENCE) {
            let failed = if number % 7 == 6 { [2] } else { [1] };
            assert!(strikes.judge(&round(&[3], &failed)).is_empty(), "{number}");
        }
    }
}
