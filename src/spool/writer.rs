//! Appends the events of one process to segments of its own.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use uuid::Uuid;

use super::losses::{self, Losses};
use super::segment::{self, Name, Segment};
use super::{Event, Spool, bounds, record};

/// A buffer is kept for the next batch, unless it grew beyond this.
const BUFFER_KEPT: usize = 64 * 1024;

/// The segments of one process. Makes no file before the first event.
#[derive(Debug)]
pub struct Writer {
    spool: Spool,
    id: Uuid,
    /// Held as long as this lives.
    life: Option<File>,
    segment: Option<(Name, Segment<File>)>,
    /// When the last segment was begun.
    last: i64,
    records: Vec<u8>,
    pending: Losses,
}

/// Why events are not in the spool. None of them is, or counts.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the spool {}", directory.display())]
pub struct NotWritten {
    directory: PathBuf,
    #[source]
    source: io::Error,
}

// === impl Writer ===

impl Writer {
    /// A writer of this spool.
    pub fn new(spool: Spool) -> Self {
        Self {
            spool,
            id: Uuid::now_v7(),
            life: None,
            segment: None,
            last: 0,
            records: Vec::new(),
            pending: Losses::default(),
        }
    }

    /// Puts events on the disk, all of them or none. Where the spool is full, the oldest go first.
    ///
    /// # Errors
    ///
    /// [`NotWritten`], such as on a full disk. The next batch may fit.
    pub fn append(&mut self, events: &[Event], now: Timestamp) -> Result<(), NotWritten> {
        self.records.clear();
        for event in events {
            record::write(&mut self.records, event);
        }
        let appended = self.try_append(now);
        self.records.shrink_to(BUFFER_KEPT);
        losses::add(&self.spool.directory, &mut self.pending);
        let directory = || self.spool.directory.clone();
        appended.map_err(|source| NotWritten { directory: directory(), source })
    }

    /// Ends the segment, where one is open, as there may be nothing to append for long: so whoever
    /// drains can remove it, and it can grow too old. The next event begins another one.
    pub fn rest(&mut self) {
        self.segment = None;
        self.life = None;
        self.id = Uuid::now_v7();
    }

    /// Whether the spool's directory is there.
    pub fn has_place(&self) -> bool {
        self.spool.directory.is_dir()
    }

    fn try_append(&mut self, now: Timestamp) -> io::Result<()> {
        let mut segment = match self.segment.take().filter(|open| self.is_good(open, now)) {
            Some(segment) => segment,
            None => self.begin(now)?,
        };
        let appended = segment.1.append(&self.records);
        if !appended.as_ref().is_err_and(|torn| torn.is_spoilt) {
            self.segment = Some(segment);
        }
        appended.map_err(|torn| torn.source)
    }

    /// Whether a segment takes more: it is neither long nor old, and has its name.
    fn is_good(&self, (name, segment): &(Name, Segment<File>), now: Timestamp) -> bool {
        let Spool { limits, directory } = &self.spool;
        segment.len() < limits.segment_bytes
            && name.age(now) < limits.segment_age
            && name.path(directory).exists()
    }

    fn begin(&mut self, now: Timestamp) -> io::Result<(Name, Segment<File>)> {
        let Spool { limits, directory } = &self.spool;
        if self.life.is_none() {
            self.life = Some(segment::live(directory, self.id)?);
        }
        self.pending.evicted += bounds::keep(directory, limits, now)?;
        let begun = now.as_millisecond().max(self.last + 1);
        let name = Name { begun, writer: self.id };
        let file = segment::create(directory, name)?;
        self.last = begun;
        Ok((name, Segment::new(file)))
    }
}
