//! The emitter's thread: naps, tells, scrubs, offers.
//!
//! Nothing of it takes time from the loop that relays, nor from the sinks, which have threads of their
//! own. It is never waited for longer than a deadline; what hangs is left behind and ends with the
//! process.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::room::Waits;
use super::{Flush, Means, NAP, Open, Rest, Shared, Story};
use crate::friction::event::{self, Draft};
use crate::friction::scrub::{Counts, Scrubber};
use crate::friction::tale::Moment;
use crate::sink::Event;
use crate::spool::MAX_EVENT;

/// How long an emitter that was dropped, and not closed, goes on with what it has.
pub(super) const LEFT_ALONE: Duration = Duration::from_secs(3);

/// How many naps in a row bring nothing before the thread sleeps: about a second. Until then nobody
/// has to wake it, which costs the one who does more than handing a happening over.
const NAPS: u32 = 40;

/// The other ends of these are dropped with the thread's last act.
pub(super) struct End {
    pub(super) told: oneshot::Receiver<()>,
    pub(super) blocking: mpsc::Receiver<()>,
}

/// What the thread works with, once it is open.
struct Work<H: Waits> {
    shared: Arc<Shared<H>>,
    /// `None` after a panic.
    story: Option<Box<dyn Story<H>>>,
    scrubber: Scrubber,
    counts: Counts,
    /// Events of what was taken out of the room together: offered together, so that each sink is
    /// woken once for all of them.
    made: Vec<Event>,
}

pub(super) fn start<H: Waits>(shared: Arc<Shared<H>>, open: Open<H>) -> io::Result<End> {
    let (at_end, told) = oneshot::channel::<()>();
    let (at_end_blocking, blocking) = mpsc::channel::<()>();
    thread::Builder::new().name("friction".to_owned()).spawn(move || {
        let _at_end = (at_end, at_end_blocking);
        let of_thread = Arc::clone(&shared);
        if catch_unwind(AssertUnwindSafe(|| run(of_thread, open))).is_err() {
            broken(&shared);
        }
    })?;
    Ok(End { told, blocking })
}

fn run<H: Waits>(shared: Arc<Shared<H>>, open: Open<H>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no friction events in this session: there is no clock for them"
            );
            shared.desk().is_broken = true;
            return;
        }
    };
    runtime.block_on(async {
        let Means { story, scrubber, sinks } = open();
        *shared.sinks.write().unwrap_or_else(PoisonError::into_inner) = Some(sinks);
        let story = Some(story);
        let (counts, made) = Default::default();
        Work { shared, story, scrubber, counts, made }.run().await;
    });
}

/// Said once: from then on nothing is taken.
fn broken<H: Waits>(shared: &Shared<H>) {
    tracing::warn!("no more friction events in this session: telling them panicked");
    let mut desk = shared.desk();
    desk.is_broken = true;
    desk.flushes.clear();
}

// === impl Work ===

impl<H: Waits> Work<H> {
    async fn run(mut self) {
        let mut naps = 0;
        let deadline = loop {
            let (waiting, flushes, closing) = self.rest(&mut naps).await;
            self.tell(waiting, closing);
            self.flush(flushes);
            if let Some(deadline) = closing {
                break deadline;
            }
        };
        self.end();
        let sinks = self.shared.sinks.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sinks) = sinks {
            sinks.close(deadline).await;
        }
    }

    /// Rests until there is something to do. How many happenings to tell then, for whom to flush,
    /// and until when all must be over, if it must.
    async fn rest(&mut self, naps: &mut u32) -> (usize, Vec<Flush>, Option<Instant>) {
        let mut is_rested = false;
        loop {
            let rest = {
                let mut desk = self.shared.desk();
                let waiting = desk.room.len();
                let is_asked = desk.closing.is_some() || !desk.flushes.is_empty();
                if is_asked || desk.room.is_pressing() || (is_rested && waiting > 0) {
                    desk.rest = Rest::None;
                    *naps = 0;
                    return (waiting, mem::take(&mut desk.flushes), desk.closing);
                }
                desk.rest = if *naps < NAPS { Rest::Nap } else { Rest::Sleep };
                desk.rest
            };
            match rest {
                Rest::Nap => {
                    // Woken or not: then it is looked.
                    let _ = timeout(NAP, self.shared.bell.notified()).await;
                    *naps += 1;
                    is_rested = true;
                }
                Rest::None | Rest::Sleep => {
                    self.shared.bell.notified().await;
                    (*naps, is_rested) = (0, false);
                }
            }
        }
    }

    /// Tells so many of those that wait. When half of the time is over there is no time for texts,
    /// and when three quarters are, for nothing: the sinks need some, too.
    fn tell(&mut self, mut count: usize, closing: Option<Instant>) {
        let start = Instant::now();
        let time = closing.map(|deadline| deadline.saturating_duration_since(start));
        let is_over = |quarters| time.is_some_and(|time| start.elapsed() >= time / 4 * quarters);
        while count > 0 {
            let batch = self.shared.desk().room.give(count);
            count = if batch.is_empty() { 0 } else { count - batch.len() };
            for mut taken in batch {
                let is_late = is_over(2);
                if is_late {
                    self.shared.desk().room.lose(1);
                }
                if is_over(3) || (is_late && !taken.what.thin()) {
                    continue;
                }
                self.events(|story, random| story.tell(&taken.what, taken.moment, random));
            }
            self.offer();
            self.shared.desk().room.settle();
            // To the loop that relays, where there is one processor for all. Not more often: on a busy
            // machine, each time costs a turn of everybody else's.
            thread::yield_now();
        }
        self.publish();
    }

    fn end(&mut self) {
        let moment: Moment = self.shared.now();
        self.events(|story, random| story.end(moment, random));
        self.offer();
        self.publish();
    }

    /// Scrubs what is told, and puts it by. A panic ends the story.
    fn events(
        &mut self,
        tell: impl FnOnce(&mut dyn Story<H>, &mut dyn FnMut() -> u128) -> Vec<Draft>,
    ) {
        let Some(story) = &mut self.story else {
            return;
        };
        let made = catch_unwind(AssertUnwindSafe(|| {
            for draft in tell(&mut **story, &mut || Uuid::new_v4().as_u128()) {
                let event = draft.scrub(&self.scrubber, &mut self.counts);
                self.made.extend(self.shared.fit(event));
            }
        }));
        if made.is_err() {
            self.story = None;
            broken(&self.shared);
        }
    }

    /// Gives the events that were put by to the sinks.
    fn offer(&mut self) {
        if let Some(sinks) = &*self.shared.sinks.read().unwrap_or_else(PoisonError::into_inner) {
            sinks.offer(&self.made);
        }
        self.shared.events.fetch_add(self.made.len() as u64, Ordering::Relaxed);
        self.made.clear();
    }

    fn publish(&self) {
        let mut scrubbed = self.shared.scrubbed.lock().unwrap_or_else(PoisonError::into_inner);
        scrubbed.clone_from(&self.counts);
    }

    /// Tells those who wait what to wait for.
    fn flush(&self, flushes: Vec<Flush>) {
        let sinks = self.shared.sinks.read().unwrap_or_else(PoisonError::into_inner);
        for Flush { told, deadline } in flushes {
            if let Some(sinks) = &*sinks {
                let _ = told.send(Box::pin(sinks.flushed(deadline))); // or nobody waits any more
            }
        }
    }
}

// === impl Shared ===

impl<H: Waits> Shared<H> {
    /// An event as sinks take it; where it is too long, without its long parts.
    fn fit(&self, mut event: event::Event) -> Option<Event> {
        if event.as_str().len() > MAX_EVENT {
            event = event.shortened();
            self.desk().room.lose(1);
        }
        let fits = Event::new(event.id(), event.into_line().into());
        debug_assert!(fits.is_ok(), "an event is a line, and what is left of it is short");
        fits.ok()
    }
}
