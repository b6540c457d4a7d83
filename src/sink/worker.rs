//! The thread of one sink.
//!
//! A thread, not a task on a pool: standard error that nobody reads, or a file on a network drive,
//! may block for good. Such a thread is left behind when its time is up, and ends with the
//! process; a pool would wait for it.

use std::io;
use std::sync::Arc;
use std::thread;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Event;
use super::queue::{Queue, Tally};
use crate::spool::{Spool, Writer};

/// Where events are written.
pub(super) trait Medium: Send + 'static {
    /// Writes events, in order. How many were; then why not all.
    fn write(&mut self, events: &[Event]) -> (usize, io::Result<()>);
}

/// One thread that empties a queue. Dropped, it ends after what it is writing.
#[derive(Debug)]
pub(super) struct Worker {
    queue: Arc<Queue>,
    /// Dropped at the other end with the thread's last act.
    end: oneshot::Receiver<()>,
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

/// A spool as something to write to.
pub(super) struct Spooled {
    writer: Writer,
    clock: fn() -> Timestamp,
}

// === impl Worker ===

impl Worker {
    /// Starts the thread. `after` is called after each batch, and at the end.
    pub(super) fn start(
        medium: impl Medium,
        after: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (at_end, end) = oneshot::channel::<()>();
        let of_thread = Arc::clone(&queue);
        thread::Builder::new().name("sink".to_owned()).spawn(move || {
            let _at_end = at_end;
            work(&of_thread, medium, after);
        })?;
        Ok(Self { _closes: Closes(Arc::clone(&queue)), queue, end })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Waits until everything is written, or the deadline has passed.
    pub(super) async fn join(self, deadline: Instant) {
        self.queue.close();
        let _ = timeout_at(deadline, self.end).await; // then it is left behind
    }
}

fn work(queue: &Queue, mut medium: impl Medium, after: impl Fn()) {
    let mut is_failing = false;
    while let Some(events) = queue.take() {
        let (count, written) = medium.write(&events);
        let (count, all) = (count as u64, events.len() as u64);
        queue.count(Tally { written: count, dropped: all - count });
        if let (Err(error), false) = (&written, is_failing) {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "friction events are lost; this is said once until it works again"
            );
        }
        is_failing = written.is_err();
        after();
    }
    drop(medium);
    after();
}

// === impl Spooled ===

impl Spooled {
    pub(super) fn new(spool: Spool, clock: fn() -> Timestamp) -> Self {
        Self { writer: Writer::new(spool), clock }
    }
}

impl Medium for Spooled {
    fn write(&mut self, events: &[Event]) -> (usize, io::Result<()>) {
        match self.writer.append(events, (self.clock)()) {
            Ok(()) => (events.len(), Ok(())),
            Err(error) => (0, Err(io::Error::other(error))),
        }
    }
}
