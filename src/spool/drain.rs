//! Gives out what lies in a spool, the oldest first, and forgets what was settled.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use uuid::Uuid;

use super::cursor::Cursor;
use super::losses::{self, Losses};
use super::segment::{self, Name};
use super::{Event, Spool, bounds, record};

/// How many settled ids a drain remembers, so as not to give them out again.
pub const REMEMBERED: usize = 8192;
/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Held by the one process that drains.
pub(super) const LOCK: &str = "drain.lock";

/// The one process that empties a spool, as long as this lives.
#[derive(Debug)]
pub struct Drain {
    spool: Spool,
    /// Locked; the lock goes with it.
    _held: File,
    cursor: Cursor,
    settled: Recent,
    pending: Losses,
}

/// The next events to send. What has to be said of them goes to [`Drain::settle`].
#[derive(Debug, Default)]
pub struct Window {
    passages: Vec<Passage>,
    /// Segments that end with this window, and will not grow.
    finished: Vec<Name>,
}

/// One line of a segment.
#[derive(Debug)]
struct Passage {
    name: Name,
    /// Where it ends.
    end: u64,
    what: What,
}

/// What a line holds.
#[derive(Debug)]
enum What {
    /// An event to send.
    Event(Event),
    /// One that is settled already, or stands in this window twice.
    Known,
    /// Nothing that was ever written.
    Damage,
}

/// Why a spool cannot be emptied.
#[derive(Debug, thiserror::Error)]
#[error("cannot empty the spool {}", directory.display())]
pub struct NotDrained {
    directory: PathBuf,
    #[source]
    source: io::Error,
}

/// The ids settled last.
#[derive(Debug, Default)]
struct Recent {
    ids: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

// === impl Drain ===

impl Drain {
    /// Takes the lock, unless another process, or another drain of this one, holds it: then `None`,
    /// at once.
    ///
    /// # Errors
    ///
    /// [`NotDrained`] where there can be no lock.
    pub fn try_hold(spool: Spool) -> Result<Option<Self>, NotDrained> {
        let held = segment::try_hold(&spool.directory.join(LOCK));
        let held = held.map_err(|source| NotDrained::of(&spool, source))?;
        Ok(held.map(|held| Self {
            cursor: Cursor::read(&spool.directory),
            spool,
            _held: held,
            settled: Recent::default(),
            pending: Losses::default(),
        }))
    }

    /// Up to so many events, of about so many bytes in all; one at least, where there is one. Those
    /// that were not settled are given out again.
    ///
    /// # Errors
    ///
    /// [`NotDrained`].
    pub fn window(
        &mut self,
        most: usize,
        bytes: usize,
        now: Timestamp,
    ) -> Result<Window, NotDrained> {
        let window = self.try_window(most, bytes, now);
        window.map_err(|source| NotDrained::of(&self.spool, source))
    }

    /// Told which events of a window need not be given out again, by their ids, and how many of them
    /// the collector did not want. A segment is removed once all of it is settled.
    ///
    /// # Errors
    ///
    /// [`NotDrained`], where that could not be written down: the next drain will give them out
    /// again, this one will not.
    pub fn settle(
        &mut self,
        window: &Window,
        done: &HashSet<Uuid>,
        refused: u64,
    ) -> Result<(), NotDrained> {
        for id in done {
            self.settled.insert(*id);
        }
        self.pending.refused += refused;
        let is_done = |passage: &&Passage| {
            passage.event().is_none_or(|event| self.settled.ids.contains(&event.id()))
        };
        for passage in window.passages.iter().take_while(is_done) {
            if self.cursor.advance(passage.name, passage.end) {
                self.pending.damaged += u64::from(matches!(passage.what, What::Damage));
            }
        }
        let settled = self.write_down(window);
        losses::add(&self.spool.directory, &mut self.pending);
        settled.map_err(|source| NotDrained::of(&self.spool, source))
    }

    fn write_down(&mut self, window: &Window) -> io::Result<()> {
        let directory = &self.spool.directory;
        for name in &window.finished {
            let of_it = window.passages.iter().filter(|passage| passage.name == *name);
            let end = of_it.map(|passage| passage.end).max().unwrap_or(0);
            if self.cursor.at(*name) >= end {
                match fs::remove_file(name.path(directory)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        let segments = segment::list(directory)?;
        segment::bury(directory, &segments);
        self.cursor.write(directory, &segments).map_err(io::Error::other)
    }

    fn try_window(&mut self, most: usize, bytes: usize, now: Timestamp) -> io::Result<Window> {
        let Spool { directory, limits } = &self.spool;
        self.pending.evicted += bounds::keep(directory, limits, now)?;
        let segments = segment::list(directory)?;
        let mut window = Window::default();
        let mut room = Room { events: most, bytes };
        let mut given = HashSet::new();
        for found in &segments {
            // Asked before it is read: whatever is there to the end then, is there for good.
            let is_open = bounds::is_open(directory, &segments, found);
            if room.is_full() {
                break;
            }
            let reading = read(found.name.path(directory), self.cursor.at(found.name))?;
            let Some(mut lines) = reading else { continue };
            let is_at_end = loop {
                if room.is_full() {
                    break false;
                }
                let Some((line, end)) = lines.next()? else { break true };
                let what = match record::read(&line) {
                    None => What::Damage,
                    Some(event) if self.settled.ids.contains(&event.id()) => What::Known,
                    Some(event) if !given.insert(event.id()) => What::Known,
                    Some(event) => What::Event(event),
                };
                let passage = Passage { name: found.name, end, what };
                room.take(passage.event());
                window.passages.push(passage);
            };
            if is_at_end && !is_open {
                window.finished.push(found.name);
            }
        }
        Ok(window)
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        losses::add(&self.spool.directory, &mut self.pending);
    }
}

// === impl Window ===

impl Window {
    /// The events, in the order in which each process wrote them.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.passages.iter().filter_map(Passage::event)
    }

    /// Whether there is nothing to send, and nothing to settle.
    pub fn is_empty(&self) -> bool {
        self.passages.is_empty() && self.finished.is_empty()
    }
}

impl Passage {
    fn event(&self) -> Option<&Event> {
        match &self.what {
            What::Event(event) => Some(event),
            What::Known | What::Damage => None,
        }
    }
}

/// What still fits into a window.
struct Room {
    events: usize,
    bytes: usize,
}

impl Room {
    fn is_full(&self) -> bool {
        self.events == 0 || self.bytes == 0
    }

    fn take(&mut self, event: Option<&Event>) {
        self.events -= usize::from(event.is_some());
        self.bytes = self.bytes.saturating_sub(event.map_or(1, |event| event.bytes().len()));
    }
}

/// The whole lines of a file, from somewhere on.
struct Lines {
    file: File,
    /// Where the first byte of `ahead` stands.
    at: u64,
    ahead: BytesMut,
    /// How much of it holds no line end.
    searched: usize,
}

fn read(path: PathBuf, from: u64) -> io::Result<Option<Lines>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None), // evicted
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(from))?;
    Ok(Some(Lines { file, at: from, ahead: BytesMut::new(), searched: 0 }))
}

impl Lines {
    /// The next line without its end, and where it ends in the file. `None` where none ends: what stands
    /// there is the beginning of one that is being written, or that was never taken.
    fn next(&mut self) -> io::Result<Option<(Bytes, u64)>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.ahead[self.searched..]) {
                let mut line = self.ahead.split_to(self.searched + end + 1);
                self.at += line.len() as u64;
                self.searched = 0;
                line.truncate(line.len() - 1);
                return Ok(Some((line.freeze(), self.at)));
            }
            self.searched = self.ahead.len();
            if self.searched > record::LONGEST {
                return Ok(Some(self.skip()));
            }
            let len = self.ahead.len();
            self.ahead.resize(len + CHUNK, 0);
            let read = self.file.read(&mut self.ahead[len..])?;
            self.ahead.truncate(len + read);
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// Passes over what is longer than any line: it counts as one that cannot be read.
    fn skip(&mut self) -> (Bytes, u64) {
        self.at += self.ahead.len() as u64;
        self.ahead.clear();
        self.searched = 0;
        (Bytes::new(), self.at)
    }
}

// === impl NotDrained ===

impl NotDrained {
    fn of(spool: &Spool, source: io::Error) -> Self {
        Self { directory: spool.directory.clone(), source }
    }
}

// === impl Recent ===

impl Recent {
    fn insert(&mut self, id: Uuid) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}
