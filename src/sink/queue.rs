//! What waits for one sink: bounded, and never waited for.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Event;

/// The most events that wait for one sink. As many as the reference has.
pub const MOST_EVENTS: usize = 1000;
/// The most bytes that wait for one sink.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The most bytes that are taken out at once, give or take an event.
const BATCH: usize = 1024 * 1024;

/// Events on their way to one thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something was put in, or nothing will be any more.
    changed: Condvar,
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
}

// === impl Queue ===

impl Queue {
    /// Puts an event in. Where there is no room, the oldest goes; one that would never fit goes
    /// itself.
    pub(super) fn push(&self, event: Event) {
        let mut state = self.state();
        if state.is_closed || event.bytes().len() > MOST_BYTES {
            state.tally.dropped += 1;
            return;
        }
        state.bytes += event.bytes().len();
        state.events.push_back(event);
        while state.events.len() > MOST_EVENTS || state.bytes > MOST_BYTES {
            if state.pop().is_some() {
                state.tally.dropped += 1;
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes out what is there, the oldest first; waits for something to be. `None` once the queue is
    /// closed and empty. Blocks.
    pub(super) fn take(&self) -> Option<Vec<Event>> {
        let mut state = self.state();
        while state.events.is_empty() {
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH
            && let Some(event) = state.pop()
        {
            bytes += event.bytes().len();
            batch.push(event);
        }
        Some(batch)
    }

    /// Takes nothing any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn count(&self, more: Tally) {
        let tally = &mut self.state().tally;
        tally.written += more.written;
        tally.dropped += more.dropped;
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
    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.bytes().len();
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
        while let Some(batch) = queue.take() {
            numbers.extend(batch.iter().map(|event| event.id().as_u128()));
        }
        numbers
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_and_are_counted() {
        let queue = Queue::default();
        (0..MOST_EVENTS + 7).for_each(|number| queue.push(event(number, 1)));
        let kept: Vec<_> = (7..MOST_EVENTS as u128 + 7).collect();
        assert_eq!(numbers(&queue), kept);
        assert_eq!(queue.tally(), Tally { written: 0, dropped: 7 });
    }

    #[test]
    fn the_oldest_go_where_they_are_too_big() {
        let queue = Queue::default();
        (0..4).for_each(|number| queue.push(event(number, MOST_BYTES / 2 - 1)));
        assert_eq!(numbers(&queue), [2, 3]);
        assert_eq!(queue.tally().dropped, 2);
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_says_so() {
        let queue = Queue::default();
        queue.push(event(1, 1));
        queue.close();
        queue.push(event(2, 1));
        assert_eq!(numbers(&queue), [1]);
        assert_eq!(queue.tally().dropped, 1);
    }
}
