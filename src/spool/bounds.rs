//! Holds a spool within its bounds: the oldest segments go.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;

use super::Limits;
use super::cursor::Cursor;
use super::segment::{self, Found};

/// Removes what is too old or too much. How many unsettled events went with it.
///
/// A segment that a living process may still append to stays: an event put into a file without a
/// name would be lost although it was taken.
pub(super) fn keep(directory: &Path, limits: &Limits, now: Timestamp) -> io::Result<u64> {
    let segments = segment::list(directory)?;
    let mut bytes: u64 = segments.iter().map(|found| found.len).sum();
    let mut lost = 0;
    for found in &segments {
        if bytes <= limits.bytes && found.name.age(now) <= limits.age {
            break; // what follows is younger
        }
        if is_open(directory, &segments, found) {
            continue;
        }
        let unsettled = unsettled(directory, found)?;
        match fs::remove_file(found.name.path(directory)) {
            Ok(()) => lost += unsettled,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // somebody else did it
            Err(error) => return Err(error),
        }
        bytes -= found.len;
    }
    Ok(lost)
}

/// Whether something may still be appended: it is the last segment of a writer that lives.
pub(super) fn is_open(directory: &Path, segments: &[Found], found: &Found) -> bool {
    let is_last = segments
        .iter()
        .all(|other| other.name.writer != found.name.writer || other.name <= found.name);
    is_last && segment::is_alive(directory, found.name.writer)
}

/// How many lines stand behind the cursor.
fn unsettled(directory: &Path, found: &Found) -> io::Result<u64> {
    let mut file = match fs::File::open(found.name.path(directory)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(Cursor::read(directory).at(found.name)))?;
    let (mut lines, mut chunk) = (0, vec![0; 64 * 1024]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(lines),
            read => lines += memchr::memchr_iter(b'\n', &chunk[..read]).count() as u64,
        }
    }
}
