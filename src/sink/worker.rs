//! The thread of one sink.
//!
//! A thread, not a task on a pool: standard error that nobody reads, or a file on a network drive,
//! may block for good. Such a thread is left behind when its time is up, and ends with the
//! process; a pool would wait for it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::queue::{Queue, Taken, Tally};
use super::shipper::Bell;
use super::{Event, Setup};
use crate::spool::Writer;

/// After so long without an event, a sink's thread looks after what lies about. As long as a segment
/// of a spool is open ([`crate::spool::Limits::default`]), so that nobody else has to wait for it.
const QUIET: Duration = Duration::from_hours(1);

/// Where events are written.
pub(super) trait Medium: Send + 'static {
    /// Writes events, in order. How many were; then why not all.
    fn write(&mut self, events: &[Event]) -> (usize, io::Result<()>);

    /// Told that there was nothing to write for long.
    fn rest(&mut self) {}
}

/// One thread that empties a queue. Dropped, it ends once the queue is empty.
#[derive(Debug)]
pub(super) struct Worker {
    queue: Arc<Queue>,
    /// Gone at the other end with the thread's last act.
    end: watch::Receiver<()>,
    _closes: Closes,
}

/// Closes a queue when its owner is gone.
#[derive(Debug)]
struct Closes(Arc<Queue>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A spool as something to write to. Made with the first event.
pub(super) struct Spooled {
    setup: Setup,
    writer: Option<Writer>,
    /// Rung after each batch; the end of this is the end of what there is to send.
    bell: Bell,
}

// === impl Worker ===

impl Worker {
    /// Starts the thread. It does its chore after the first events, and whenever it is quiet for long.
    /// `place` is what the log calls where it writes to.
    pub(super) fn start(
        place: String,
        medium: impl Medium,
        chore: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (at_end, end) = watch::channel(());
        let of_thread = Arc::clone(&queue);
        thread::Builder::new().name("sink".to_owned()).spawn(move || {
            let _at_end = at_end;
            work(&place, &of_thread, medium, chore);
        })?;
        Ok(Self { _closes: Closes(Arc::clone(&queue)), queue, end })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Waits until everything is written after the queue was closed, or the deadline has passed: then
    /// the thread is left behind.
    pub(super) async fn ended(&self, deadline: Instant) {
        let mut end = self.end.clone();
        let _ = timeout_at(deadline, end.changed()).await;
    }
}

fn work(place: &str, queue: &Queue, mut medium: impl Medium, chore: impl Fn()) {
    let (mut is_first, mut is_failing) = (true, false);
    loop {
        let events = match queue.take(QUIET) {
            Taken::Events(events) => events,
            Taken::Nothing => {
                medium.rest();
                chore();
                continue;
            }
            Taken::End => return,
        };
        let (count, written) = medium.write(&events);
        let (count, all) = (count as u64, events.len() as u64);
        queue.count(Tally { written: count, dropped: all - count });
        if let (Err(error), false) = (&written, is_failing) {
            tracing::warn!(
                place,
                error = error as &dyn std::error::Error,
                "friction events are lost; this is said once until it works again"
            );
        }
        is_failing = written.is_err();
        if is_first {
            chore();
            is_first = false;
        }
    }
}

// === impl Spooled ===

impl Spooled {
    pub(super) fn new(setup: Setup, bell: Bell) -> Self {
        Self { setup, writer: None, bell }
    }

    fn append(&mut self, events: &[Event]) -> io::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                self.writer.insert(Writer::new(self.setup.open_spool().map_err(io::Error::other)?))
            }
        };
        let appended = writer.append(events, (self.setup.clock)());
        if appended.is_err() && !writer.has_place() {
            self.writer = None; // somebody removed it; it is made again
        }
        appended.map_err(io::Error::other)
    }
}

impl Medium for Spooled {
    fn write(&mut self, events: &[Event]) -> (usize, io::Result<()>) {
        let appended = self.append(events);
        self.bell.ring();
        (if appended.is_ok() { events.len() } else { 0 }, appended)
    }

    fn rest(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.rest();
        }
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.writer = None; // nobody has to wait for its segment
        self.bell.end();
    }
}
