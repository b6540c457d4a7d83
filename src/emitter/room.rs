//! What waits to be told: bounded by count and by bytes, and never waited for.
//!
//! Pure: time comes in with each happening, whoever calls holds the lock.
//!
//! # Invariants
//!
//! - Of every beginning that was taken its end is taken too, and once; an end without its beginning
//!   is not. So however little room there is, what is told of a request is whole or nothing.
//! - Texts that keep a reader's buffer alive are charged for it; short ones are copied out of it.
//! - What waits is given out in the order it was put in, and its wall-clock times never go back.

use std::collections::{HashSet, VecDeque};
use std::mem;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

use crate::friction::tale::Moment;

/// The most happenings that wait, those counted that are still to come as the ends of what began.
pub const MOST_WAITING: usize = 20_000;

/// The most bytes of text that wait.
pub const MOST_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// A longer text never becomes part of an event: it alone would be as long as an event may be.
pub const LONGEST_TEXT: usize = crate::spool::MAX_EVENT;

/// A text up to this length, in bytes, is copied, so that it does not keep the read alive that it
/// came with: as the gate does with lines that wait.
const SMALL: usize = 8 * 1024;

/// What a text that is not copied keeps alive besides itself, at a guess: one read.
const READ: usize = 64 * 1024;

/// What copies are made into: an allocation for many.
const SHEET: usize = 64 * 1024;

/// The most that is given out at once.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 1024 * 1024;

/// Something that can wait to be told.
pub trait Waits: Send + 'static {
    /// How it belongs to others.
    fn place(&self) -> Place;

    /// Visits every text that may be a slice of a larger buffer.
    fn each_text(&mut self, visit: &mut dyn FnMut(&mut Bytes));

    /// The length of all other texts, in bytes.
    fn weight(&self) -> usize;

    /// Leaves its texts out, because there is no room for them. `false` where nothing would be left,
    /// which is so of what stands alone, if of anything.
    fn thin(&mut self) -> bool;
}

/// How a happening belongs to others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// It stands alone.
    Alone,
    /// It begins what has an end.
    Begins(Key),
    /// It ends what began.
    Ends(Key),
}

/// What has a beginning and an end. In one session, each is used once.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Key {
    /// A call, by its ticket.
    Call(u64),
    /// Any other request, by its number.
    Request(u64),
}

/// A happening that was taken, with its time.
#[derive(Debug)]
pub(super) struct Taken<H> {
    pub(super) what: H,
    pub(super) moment: Moment,
    charge: usize,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Room<H> {
    bounds: Bounds,
    waiting: VecDeque<Taken<H>>,
    /// What began and was taken, and has no end so far.
    open: HashSet<Key>,
    /// What is charged for all that waits, and for what was given out last.
    charged: usize,
    given: usize,
    sheet: BytesMut,
    latest: Timestamp,
    lost: u64,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self { count: MOST_WAITING, bytes: MOST_WAITING_BYTES }
    }
}

// === impl Room ===

impl<H: Waits> Room<H> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            open: HashSet::new(),
            charged: 0,
            given: 0,
            sheet: BytesMut::new(),
            latest: Timestamp::MIN,
            lost: 0,
        }
    }

    /// Takes a happening, or counts it as lost: whole, or its texts.
    pub(super) fn put(&mut self, mut what: H, moment: Moment) {
        // The end of what began has its place already.
        let left = self.bounds.count.saturating_sub(self.waiting.len() + self.open.len());
        let is_taken = match what.place() {
            Place::Alone => left >= 1,
            Place::Begins(key) => left >= 2 && self.open.insert(key),
            Place::Ends(key) => self.open.remove(&key),
        };
        if !is_taken {
            self.lost += 1;
            return;
        }
        let mut charge = charge(&mut what);
        if charge.is_none_or(|charge| self.charged + charge > self.bounds.bytes) {
            self.lost += 1;
            if !what.thin() {
                return;
            }
            charge = None;
        }
        what.each_text(&mut |text| self.detach(text));
        self.latest = self.latest.max(moment.at);
        let moment = Moment { at: self.latest, ..moment };
        let charge = charge.unwrap_or(0);
        self.charged += charge;
        self.waiting.push_back(Taken { what, moment, charge });
    }

    /// Gives out what waited longest, up to so many.
    pub(super) fn give(&mut self, most: usize) -> Vec<Taken<H>> {
        let mut batch = Vec::new();
        while batch.len() < most.min(BATCH)
            && self.given < BATCH_BYTES
            && let Some(taken) = self.waiting.pop_front()
        {
            self.given += taken.charge;
            batch.push(taken);
        }
        batch
    }

    /// What was given out is gone, and charged no more.
    pub(super) fn settle(&mut self) {
        self.charged -= mem::take(&mut self.given);
    }

    /// Whether so much waits that it should not wait for longer.
    pub(super) fn is_pressing(&self) -> bool {
        self.waiting.len() >= self.bounds.count / 8 || self.charged >= self.bounds.bytes / 8
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many happenings were lost, or lost their texts.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Counts happenings that were taken and lost later.
    pub(super) fn lose(&mut self, count: u64) {
        self.lost += count;
    }

    /// Copies a short text out of whatever buffer it is a slice of.
    fn detach(&mut self, text: &mut Bytes) {
        if text.is_empty() || text.len() > SMALL {
            return;
        }
        if self.sheet.capacity() < text.len() {
            self.sheet = BytesMut::with_capacity(SHEET);
        }
        self.sheet.extend_from_slice(text);
        *text = self.sheet.split().freeze();
    }
}

/// What a happening's texts cost; `None` where one of them is too long for any event.
fn charge(what: &mut impl Waits) -> Option<usize> {
    let mut charge = Some(what.weight());
    what.each_text(&mut |text| {
        let of_text = match text.len() {
            len @ 0..=SMALL => Some(len),
            len if len < LONGEST_TEXT => Some(len + READ),
            _ => None,
        };
        charge = charge.and_then(|charge| Some(charge + of_text?));
    });
    charge
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Thing {
        place: Place,
        text: Bytes,
        is_thin: bool,
    }

    impl Thing {
        fn new(place: Place, len: usize) -> Self {
            Self { place, text: vec![b'x'; len].into(), is_thin: false }
        }
    }

    impl Waits for Thing {
        fn place(&self) -> Place {
            self.place
        }

        fn each_text(&mut self, visit: &mut dyn FnMut(&mut Bytes)) {
            visit(&mut self.text);
        }

        fn weight(&self) -> usize {
            0
        }

        fn thin(&mut self) -> bool {
            (self.text, self.is_thin) = (Bytes::new(), true);
            self.place != Place::Alone
        }
    }

    fn at(second: i64) -> Moment {
        let since_start = Duration::from_secs(second.unsigned_abs());
        Moment { at: Timestamp::from_second(second).unwrap(), since_start }
    }

    const SMALL_BOUNDS: Bounds = Bounds { count: 6, bytes: 2 * READ };

    /// What is given out, in order: where it belongs and whether its text is there.
    fn given(room: &mut Room<Thing>) -> Vec<(Place, bool)> {
        let given = room.give(usize::MAX);
        room.settle();
        given.into_iter().map(|taken| (taken.what.place, !taken.what.is_thin)).collect()
    }

    #[test]
    fn without_room_texts_go_first_and_then_whole_calls() {
        let (begins, ends) =
            (|nth| Place::Begins(Key::Call(nth)), |nth| Place::Ends(Key::Call(nth)));
        let mut room = Room::new(SMALL_BOUNDS);
        for (place, len) in [
            (begins(1), 1),
            (ends(1), 2 * READ - 1), // just fits
            (begins(2), 1),          // just does not
            (Place::Alone, 1),       // is nothing without its text
            (begins(3), 0),
            (begins(4), 0), // its end would be the seventh
            (ends(4), 0),
            (ends(3), 0),
            (ends(2), 0),
            (ends(2), 0),      // again
            (Place::Alone, 0), // the seventh
        ] {
            let len = if len > SMALL { len - READ } else { len };
            room.put(Thing::new(place, len), at(1));
        }
        let expected = [
            (begins(1), true),
            (ends(1), true),
            (begins(2), false),
            (begins(3), true),
            (ends(3), true),
            (ends(2), true),
        ];
        assert_eq!(given(&mut room), expected);
        assert_eq!(room.lost(), 6);
        room.put(Thing::new(Place::Alone, 2), at(1)); // there is room again
        assert_eq!(given(&mut room), [(Place::Alone, true)]);
    }

    #[test]
    fn what_is_given_out_is_charged_until_it_is_settled() {
        let mut room = Room::new(SMALL_BOUNDS);
        room.put(Thing::new(Place::Begins(Key::Call(1)), READ - 1), at(1));
        let given = room.give(1);
        room.put(Thing::new(Place::Ends(Key::Call(1)), 2), at(1));
        assert!(room.waiting[0].what.is_thin && !given[0].what.is_thin);
        room.settle();
        assert_eq!(room.charged, 0);
    }

    #[test]
    fn a_short_text_keeps_no_buffer_alive_and_a_long_one_is_not_copied() {
        let mut room = Room::new(Bounds::default());
        let line = Bytes::from(vec![b'x'; 3 * SMALL]);
        for (range, is_copied) in [(3..SMALL, true), (3..2 * SMALL, false)] {
            let text = line.slice(range);
            let place = text.as_ptr();
            room.put(Thing { place: Place::Alone, text, is_thin: false }, at(1));
            let text = &room.waiting.back().unwrap().what.text;
            assert_eq!(text.as_ptr() != place, is_copied);
            assert!(text.iter().all(|byte| *byte == b'x'));
        }
    }

    #[test]
    fn what_no_event_can_hold_is_left_out_at_once() {
        let mut room = Room::new(Bounds::default());
        room.put(Thing::new(Place::Begins(Key::Request(1)), LONGEST_TEXT), at(1));
        assert_eq!(given(&mut room), [(Place::Begins(Key::Request(1)), false)]);
    }

    #[test]
    fn a_clock_that_is_set_back_sets_nothing_back() {
        let mut room = Room::new(Bounds::default());
        for second in [5, 3, 6] {
            room.put(Thing::new(Place::Alone, 0), at(second));
        }
        let seconds = room.give(9).into_iter().map(|taken| taken.moment.at.as_second());
        assert_eq!(seconds.collect::<Vec<_>>(), [5, 5, 6]);
    }

    proptest! {
        #[test]
        fn bounds_hold_and_what_is_given_is_whole_and_in_order(
            steps in prop::collection::vec(
                (0_u8..4, 0_u64..6, prop::sample::select(vec![0, 100, SMALL, READ, 2 * READ])),
                0..200,
            ),
        ) {
            let mut room = Room::new(SMALL_BOUNDS);
            let (mut out, mut second) = (Vec::new(), 0);
            for (kind, key, len) in steps {
                second += 1;
                let place = match kind {
                    0 => Place::Begins(Key::Call(key)),
                    1 => Place::Ends(Key::Call(key)),
                    2 => Place::Alone,
                    _ => {
                        out.extend(room.give(3));
                        room.settle();
                        continue;
                    }
                };
                room.put(Thing::new(place, len), at(second));
                prop_assert!(room.waiting.len() + room.open.len() <= SMALL_BOUNDS.count);
                prop_assert!(room.charged <= SMALL_BOUNDS.bytes);
            }
            let open = room.open.clone();
            for key in &open {
                room.put(Thing::new(Place::Ends(*key), READ), at(second));
            }
            out.extend(room.give(usize::MAX));
            prop_assert!(out.is_sorted_by_key(|taken| taken.moment.since_start));
            let mut begun = HashSet::new();
            for taken in &out {
                match taken.what.place {
                    Place::Alone => {}
                    Place::Begins(key) => prop_assert!(begun.insert(key)),
                    Place::Ends(key) => prop_assert!(begun.remove(&key)),
                }
            }
            prop_assert!(begun.is_empty());
        }
    }
}
