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

/// What waits.
#[derive(Debug)]
pub(super) struct Room<H> {
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

// === impl Room ===

impl<H: Waits> Room<H> {
    pub(super) fn new() -> Self {
        Self {
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
        let is_full = self.waiting.len() + self.open.len() >= MOST_WAITING;
        let is_taken = match what.place() {
            Place::Alone => !is_full,
            Place::Begins(key) => !is_full && self.open.insert(key),
            Place::Ends(key) => self.open.remove(&key),
        };
        if !is_taken {
            self.lost += 1;
            return;
        }
        let mut charge = charge(&mut what);
        if charge.is_none_or(|charge| self.charged + charge > MOST_WAITING_BYTES) {
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
        self.waiting.len() >= MOST_WAITING / 8 || self.charged >= MOST_WAITING_BYTES / 8
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
