//! Looks at what lies in the spools, and changes nothing: no lock is taken, nothing is settled.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::{record, segment};

/// Shows each event that lies in a spool of this profile, the oldest segment of each spool first. Those
/// that were sent stay in their segment until all of it is, and are shown, too. Returns how many there
/// were. Memory is bounded by the longest event.
///
/// # Errors
///
/// Where a spool that is there cannot be read.
pub fn look(home: &Path, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
    let spools = match fs::read_dir(home.join("spool")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        spools => spools?,
    };
    let mut count = 0;
    for spool in spools {
        let directory = spool?.path();
        if !directory.is_dir() {
            continue;
        }
        for found in segment::list(&directory)? {
            let file = match File::open(found.name.path(&directory)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // sent meanwhile
                file => file?,
            };
            let mut lines = BufReader::new(file);
            let mut line = Vec::new();
            loop {
                line.clear();
                let longest = record::LONGEST as u64;
                if (&mut lines).take(longest).read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                // What is no record is damage, or still being written.
                if line.pop() == Some(b'\n')
                    && let Some(event) = record::read(&std::mem::take(&mut line).into())
                {
                    count += 1;
                    each(event.bytes());
                }
            }
        }
    }
    Ok(count)
}
