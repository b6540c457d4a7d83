//! Turns what happens into friction events, off the line's path, and gives them to the sinks.
//!
//! One thread for one session, started by the first happening: it opens the sinks, tells
//! ([`Story`]), scrubs, and offers every event to every sink. Whoever hands a happening over goes on
//! at once.
//!
//! ```text
//!  Handle::happened ──▶ room (bounded) ──▶ thread: Story::tell ──▶ scrub ──▶ Sinks::offer
//! ```
//!
//! # Invariants
//!
//! - [`Handle::happened`] never waits, and rarely wakes anybody: the thread looks by itself every
//!   [`NAP`] while there is something to do.
//! - The order of handing over is the order of numbers and of times in the stream.
//! - Every event that begins something is followed by at most one that ends it, and with
//!   [`Emitter::close`] by exactly one; numbers have no gap, whatever was lost (`room`).
//! - Before the first happening nothing is made: no thread, no sink, no file.
//! - A panic here costs telemetry and nothing else; it is told once.

pub mod client;

mod places;
mod room;
mod session;
#[cfg(test)]
mod tests;
mod thread;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, mem};

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::friction::event::Draft;
use crate::friction::scrub::{Counts, Scrubber};
use crate::friction::tale::Moment;
use crate::gate::happening::Happening;
use crate::sink::{Sinks, Standing};

pub use self::places::open as open_sinks;
pub use self::room::{Key, LONGEST_TEXT, MOST_WAITING, MOST_WAITING_BYTES, Place, Waits};

use self::room::{Bounds, Room};
use self::thread::End;

/// How long a happening may wait for others before it is told.
pub const NAP: Duration = Duration::from_millis(25);

/// The emitter of one session. Dropped without [`Emitter::close`], it tells what it has by itself,
/// for as long as the process lives and 3 seconds at most.
#[derive(Debug)]
pub struct Emitter<H: Waits = Happening> {
    shared: Arc<Shared<H>>,
}

/// The way into the emitter. Clones lead to the same one.
#[derive(Debug)]
pub struct Handle<H: Waits = Happening> {
    shared: Arc<Shared<H>>,
}

/// What the thread works with.
pub struct Means<H> {
    story: Box<dyn Story<H>>,
    scrubber: Scrubber,
    sinks: Sinks,
}

/// Turns happenings into events.
pub trait Story<H>: Send {
    /// Tells one happening. `random` gives random bits for event ids.
    fn tell(&mut self, what: &H, moment: Moment, random: &mut dyn FnMut() -> u128) -> Vec<Draft>;

    /// Closes what is still open, once the session is over.
    fn end(&mut self, moment: Moment, random: &mut dyn FnMut() -> u128) -> Vec<Draft>;
}

/// How the emitter stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Telling {
    /// How many events were made.
    pub events: u64,
    /// How many events went without a part, or were not made, since too much waited.
    pub dropped: u64,
    /// How many texts were taken out, by category.
    pub scrubbed: Vec<(String, u64)>,
    /// How each sink stands; empty before the first event, and once the sinks are closed.
    pub sinks: Vec<Standing>,
}

/// What the thread and those who hand over share.
struct Shared<H: Waits> {
    clock: fn() -> Timestamp,
    start: Instant,
    desk: Mutex<Desk<H>>,
    /// Wakes the thread.
    bell: Notify,
    events: AtomicU64,
    scrubbed: Mutex<Counts>,
    sinks: RwLock<Option<Sinks>>,
}

/// What is under the lock that the line's path takes.
struct Desk<H: Waits> {
    room: Room<H>,
    thread: Thread<H>,
    /// The thread could not be started, or something in it panicked: nothing is taken any more.
    is_broken: bool,
    rest: Rest,
    flushes: Vec<Flush>,
    /// Nothing is taken any more; what waits is told until then.
    closing: Option<Instant>,
}

/// Makes what the thread works with, in the thread.
type Open<H> = Box<dyn FnOnce() -> Means<H> + Send>;

enum Thread<H> {
    /// Nothing happened yet.
    Waiting(Open<H>),
    /// It was started.
    Started(End),
    /// It never was and never will be, or somebody waits for its end.
    Gone,
}

/// What the thread does while it does not work.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Rest {
    /// It works, or is about to.
    None,
    /// It looks by itself, soon.
    Nap,
    /// It waits to be woken.
    Sleep,
}

/// Somebody waits until all so far is written.
struct Flush {
    /// Is told what to wait for, once all so far is told.
    told: oneshot::Sender<Written>,
    deadline: Instant,
}

/// Done when files have what was told.
type Written = Pin<Box<dyn Future<Output = ()> + Send>>;

// === impl Emitter ===

impl<H: Waits> Emitter<H> {
    /// An emitter that does nothing before the first happening. Then `open` is called, in the
    /// emitter's thread: the place to make sinks, and whatever else takes time.
    pub fn new(clock: fn() -> Timestamp, open: impl FnOnce() -> Means<H> + Send + 'static) -> Self {
        let desk = Desk {
            room: Room::new(Bounds::default()),
            thread: Thread::Waiting(Box::new(open)),
            is_broken: false,
            rest: Rest::None,
            flushes: Vec::new(),
            closing: None,
        };
        let shared = Shared {
            clock,
            start: Instant::now(),
            desk: Mutex::new(desk),
            bell: Notify::new(),
            events: AtomicU64::new(0),
            scrubbed: Mutex::default(),
            sinks: RwLock::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The way in.
    pub fn handle(&self) -> Handle<H> {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Takes nothing any more, tells what waits and what is still open, and closes the sinks; until
    /// the deadline at the latest, when whatever hangs is left behind.
    pub async fn close(self, deadline: Instant) {
        if let Some(end) = self.shared.close(deadline) {
            let _ = timeout_at(deadline, end.told).await;
        }
    }

    /// The same for whoever has no runtime: blocks.
    pub fn close_blocking(self, deadline: Instant) {
        if let Some(end) = self.shared.close(deadline) {
            let rest = deadline.saturating_duration_since(Instant::now());
            let _ = end.blocking.recv_timeout(rest);
        }
    }
}

impl<H: Waits> Drop for Emitter<H> {
    fn drop(&mut self) {
        self.shared.close(Instant::now() + thread::LEFT_ALONE);
    }
}

// === impl Handle ===

impl<H: Waits> Handle<H> {
    /// Takes a happening, and never waits: where too much waits already, a result goes without its
    /// text, and a beginning is not told, nor is its end.
    pub fn happened(&self, what: H) {
        self.shared.happened(what);
    }

    /// Waits until everything so far has been written by the sinks that are files, or the deadline.
    pub async fn flushed(&self, deadline: Instant) {
        if let Some(told) = self.shared.flush(deadline)
            && let Ok(Ok(written)) = timeout_at(deadline, told).await
        {
            written.await; // until the deadline, too
        }
    }

    /// How it stands. Looks into directories: blocking.
    pub fn telling(&self) -> Telling {
        self.shared.telling()
    }
}

impl<H: Waits> Clone for Handle<H> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

// === impl Means ===

impl<H> Means<H> {
    /// What tells, what takes secrets out, and where events go.
    pub fn new(story: impl Story<H> + 'static, scrubber: Scrubber, sinks: Sinks) -> Self {
        Self { story: Box::new(story), scrubber, sinks }
    }
}

impl<H> fmt::Debug for Means<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl<H: Waits> Shared<H> {
    fn happened(self: &Arc<Self>, what: H) {
        let mut desk = self.desk();
        if desk.closing.is_some() || desk.is_broken {
            desk.room.lose(1);
            return;
        }
        // Under the lock, so that times are in the order of what happened.
        let moment = self.now();
        desk.room.put(what, moment);
        if let Thread::Waiting(_) = desk.thread {
            desk.start(self);
            return;
        }
        let is_due = match desk.rest {
            Rest::None => false,
            Rest::Nap => desk.room.is_pressing(),
            Rest::Sleep => true,
        };
        if is_due {
            desk.rest = Rest::None;
            drop(desk);
            self.bell.notify_one();
        }
    }

    /// `None` where there is nothing to wait for.
    fn flush(&self, deadline: Instant) -> Option<oneshot::Receiver<Written>> {
        let mut desk = self.desk();
        if !matches!(desk.thread, Thread::Started(_)) || desk.is_broken {
            return None;
        }
        let (told, all) = oneshot::channel();
        desk.flushes.push(Flush { told, deadline });
        drop(desk);
        self.bell.notify_one();
        Some(all)
    }

    /// `None` where there is nothing to wait for.
    fn close(&self, deadline: Instant) -> Option<End> {
        let mut desk = self.desk();
        desk.closing.get_or_insert(deadline);
        let thread = mem::replace(&mut desk.thread, Thread::Gone);
        drop(desk);
        self.bell.notify_one();
        match thread {
            Thread::Started(end) => Some(end),
            Thread::Waiting(_) | Thread::Gone => None,
        }
    }

    fn telling(&self) -> Telling {
        let scrubbed = self.scrubbed.lock().unwrap_or_else(PoisonError::into_inner);
        let scrubbed = scrubbed.iter().map(|(category, count)| (category.to_owned(), count));
        Telling {
            events: self.events.load(Ordering::Relaxed),
            dropped: self.desk().room.lost(),
            scrubbed: scrubbed.collect(),
            sinks: self.standings(),
        }
    }

    fn standings(&self) -> Vec<Standing> {
        let sinks = self.sinks.read().unwrap_or_else(PoisonError::into_inner);
        sinks.as_ref().map(Sinks::standings).unwrap_or_default()
    }

    fn now(&self) -> Moment {
        Moment { at: (self.clock)(), since_start: self.start.elapsed() }
    }

    /// Nothing that could panic is done under the lock.
    fn desk(&self) -> MutexGuard<'_, Desk<H>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Waits> fmt::Debug for Shared<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("events", &self.events).finish_non_exhaustive()
    }
}

// === impl Desk ===

impl<H: Waits> Desk<H> {
    fn start(&mut self, shared: &Arc<Shared<H>>) {
        let Thread::Waiting(open) = mem::replace(&mut self.thread, Thread::Gone) else {
            return;
        };
        match thread::start(Arc::clone(shared), open) {
            Ok(end) => self.thread = Thread::Started(end),
            Err(error) => {
                self.is_broken = true;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no friction events in this session: there is no thread for them"
                );
            }
        }
    }
}
