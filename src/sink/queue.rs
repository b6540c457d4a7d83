//! What waits for one sink: bounded, and never waited for.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Event;

/// The most events that wait for one sink. Ten times as many as the reference has: a burst of calls
/// must fit while the disk takes its time, and what counts is [`MOST_BYTES`].
pub const MOST_EVENTS: usize = 10_000;
/// The most bytes that wait for one sink.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The most bytes that are taken out at once, give or take an event.
const BATCH: usize = 256 * 1024;

/// Events on their way to one thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something was put in, or nothing will be any more.
    changed: Condvar,
    /// How many events have been dealt with for good, from the first one on.
    done: watch::Sender<u64>,
}

/// What a look into a queue brings.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// Events, the oldest first; one at least.
    Events(Vec<Event>),
    /// Nothing for so long.
    Nothing,
    /// Nothing, now and for good.
    End,
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally {
    pub(super) written: u64,
    pub(super) dropped: u64,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    bytes: usize,
    is_closed: bool,
    tally: Tally,
    /// How many events were ever put in.
    put: u64,
    /// How many of them have gone, the oldest first: taken out, or for want of room.
    gone: u64,
}

// === impl Queue ===

impl Queue {
    /// Puts events in, and wakes whoever takes them out once for all of them. Where there is no room,
    /// the oldest go; one that would never fit goes itself.
    pub(super) fn push(&self, events: &[Event]) {
        let mut state = self.state();
        for event in events {
            state.push(event.clone());
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes out what is there, the oldest first; waits for something to be, for about so long. What
    /// was taken out before counts as dealt with once [`Queue::count`] is told. Blocks.
    pub(super) fn take(&self, patience: Duration) -> Taken {
        let mut state = self.state();
        while state.events.is_empty() {
            if state.is_closed {
                return Taken::End;
            }
            let waited = self.changed.wait_timeout(state, patience);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() && state.events.is_empty() && !state.is_closed {
                return Taken::Nothing;
            }
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH
            && let Some(event) = state.pop()
        {
            bytes += event.bytes().len();
            batch.push(event);
        }
        Taken::Events(batch)
    }

    /// Waits until every event that was put in so far is dealt with: written, or lost. So it is, too,
    /// once nobody deals with any more.
    pub(super) fn written(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut done, put) = (self.done.subscribe(), self.state().put);
        async move {
            let _ = done.wait_for(|done| *done >= put).await; // or the queue is gone
        }
    }

    /// Takes nothing any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    /// Told what became of the events that were taken out last.
    pub(super) fn count(&self, more: Tally) {
        let mut state = self.state();
        state.tally.written += more.written;
        state.tally.dropped += more.dropped;
        self.done.send_replace(state.gone);
    }

    pub(super) fn tally(&self) -> Tally {
        self.state().tally
    }

    /// Nothing that could panic is done under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, event: Event) {
        if self.is_closed || event.bytes().len() > MOST_BYTES {
            self.tally.dropped += 1;
            return;
        }
        self.put += 1;
        self.bytes += event.bytes().len();
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            if self.pop().is_some() {
                self.tally.dropped += 1;
            }
        }
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.bytes().len();
        self.gone += 1;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn event(number: usize, len: usize) -> Event {
        Event::new(Uuid::from_u128(number as u128), vec![b'x'; len].into()).unwrap()
    }

    fn numbers(queue: &Queue) -> Vec<u128> {
        let mut numbers = Vec::new();
        queue.close();
        while let Taken::Events(batch) = queue.take(Duration::from_secs(9)) {
            numbers.extend(batch.iter().map(|event| event.id().as_u128()));
        }
        numbers
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_and_are_counted() {
        let queue = Queue::default();
        (0..MOST_EVENTS + 7).for_each(|number| queue.push(&[event(number, 1)]));
        let kept: Vec<_> = (7..MOST_EVENTS as u128 + 7).collect();
        assert_eq!(numbers(&queue), kept);
        assert_eq!(queue.tally(), Tally { written: 0, dropped: 7 });
    }

    #[test]
    fn the_oldest_go_where_they_are_too_big() {
        let queue = Queue::default();
        (0..4).for_each(|number| queue.push(&[event(number, MOST_BYTES / 2 - 1)]));
        assert_eq!(numbers(&queue), [2, 3]);
        assert_eq!(queue.tally().dropped, 2);
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_says_so() {
        let queue = Queue::default();
        queue.push(&[event(1, 1)]);
        queue.close();
        queue.push(&[event(2, 1)]);
        assert_eq!(numbers(&queue), [1]);
        assert_eq!(queue.tally().dropped, 1);
    }

    #[test]
    fn whoever_takes_is_not_kept_for_ever() {
        let queue = Queue::default();
        assert_eq!(queue.take(Duration::ZERO), Taken::Nothing);
        queue.close();
        assert_eq!(queue.take(Duration::ZERO), Taken::End);
    }

    #[tokio::test]
    async fn what_was_put_in_is_written_when_its_batch_is_counted() {
        let queue = Queue::default();
        queue.written().await; // there is nothing
        queue.push(&[event(1, 1)]);
        let first = queue.written();
        assert!(matches!(queue.take(Duration::ZERO), Taken::Events(_)));
        queue.push(&[event(2, 1)]);
        let mut second = std::pin::pin!(queue.written());
        queue.count(Tally { written: 1, dropped: 0 });
        first.await;
        let early = tokio::time::timeout(Duration::ZERO, &mut second).await;
        assert!(early.is_err(), "the second is still here");
        assert!(matches!(queue.take(Duration::ZERO), Taken::Events(_)));
        queue.count(Tally { written: 0, dropped: 1 });
        second.await;
    }

    #[tokio::test]
    async fn an_event_that_was_pushed_out_is_not_written_before_those_ahead_of_it() {
        let queue = Queue::default();
        queue.push(&[event(0, 1)]);
        assert!(matches!(queue.take(Duration::ZERO), Taken::Events(_)));
        queue.push(&[event(1, 1)]);
        let mut both = std::pin::pin!(queue.written());
        (0..MOST_EVENTS).for_each(|number| queue.push(&[event(number, 1)])); // pushes 1 out
        let early = tokio::time::timeout(Duration::ZERO, &mut both).await;
        assert!(early.is_err(), "event 0 is still being written");
        queue.count(Tally { written: 1, dropped: 0 });
        assert!(matches!(queue.take(Duration::ZERO), Taken::Events(_)));
        queue.count(Tally::default());
        both.await;
    }
}
