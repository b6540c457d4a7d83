//! Reads journals from the disk: checks one, finds all in a directory, finds the newest.
//!
//! A journal may be read while its session still writes it: its head is read first, and the file
//! from there on only grows, so that a live journal is never taken for a broken one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::head;
use crate::seal::{Checker, Head, Report};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;
/// How long half a line may take to become a whole one, in a journal that is being written.
const HALF_A_LINE: Duration = Duration::from_millis(50);
/// How deep directories are searched: a profile, its journals, an agent, a session.
const DEEPEST: usize = 8;

/// What reading one journal came to.
#[derive(Debug)]
pub struct Verified {
    /// What its chain shows.
    pub report: Report,
    /// The head beside it.
    pub kept: KeptHead,
}

/// The head file beside a journal.
#[derive(Debug)]
pub enum KeptHead {
    /// There is none: the journal was copied without it, or it was removed.
    Absent,
    /// The chain was held against it.
    Kept(Head),
    /// There is one, and it holds no head.
    Unreadable(io::Error),
}

impl Verified {
    /// Whether nothing is wrong, as far as can be seen from here. An open journal may be whole.
    pub fn is_whole(&self) -> bool {
        self.report.findings.is_empty() && !matches!(self.kept, KeptHead::Unreadable(_))
    }
}

/// Checks a journal against its own chain, against the head beside it, and against a head that
/// was `known` from elsewhere. Memory is bounded whatever the file holds.
///
/// A journal that is gone, but whose head is still there, counts as cut down to nothing.
///
/// # Errors
///
/// Where the file cannot be read, or is no file.
pub fn verify(path: &Path, known: Option<Head>) -> io::Result<Verified> {
    let kept = match head::read(&head::beside(path)) {
        Ok(None) => KeptHead::Absent,
        Ok(Some(head)) => KeptHead::Kept(head),
        Err(error) => KeptHead::Unreadable(error),
    };
    let beside = match &kept {
        KeptHead::Kept(head) => Some(*head),
        KeptHead::Absent | KeptHead::Unreadable(_) => None,
    };
    let mut checker = Checker::new(known.into_iter().chain(beside));
    match fs::metadata(path) {
        Ok(facts) if facts.is_file() => read(File::open(path)?, facts.len(), &mut checker)?,
        Ok(_) => return Err(io::Error::other("not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound && beside.is_some() => {}
        Err(error) => return Err(error),
    }
    let report = checker.finish();
    Ok(Verified { report, kept })
}

/// The journals at a path: a file itself, or all `*.jsonl` below a directory, in order, and those
/// of which only the head is left. Symbolic links below the directory are not followed.
///
/// # Errors
///
/// Where the path or a directory below it cannot be read.
pub fn find(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if path.is_dir() {
        search(path, DEEPEST, &mut found)?;
        found.sort();
        found.dedup();
    } else {
        found.push(path.to_owned());
    }
    Ok(found)
}

/// The journal below a directory that was written last; `None` where there is none.
///
/// # Errors
///
/// Where a directory cannot be read.
pub fn newest(directory: &Path) -> io::Result<Option<PathBuf>> {
    let written = |path: &PathBuf| match fs::metadata(path).and_then(|facts| facts.modified()) {
        Ok(time) => time,
        Err(_) => SystemTime::UNIX_EPOCH, // gone since, or never there
    };
    let found = match find(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        found => found?,
    };
    let there = found.into_iter().filter(|path| path.is_file());
    Ok(there.max_by_key(written))
}

fn read(mut file: impl io::Read, len: u64, checker: &mut Checker) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let (mut read, mut waited) = (0_u64, false);
    // What is written while this reads is not waited for, but for the end of a begun line.
    while read < len || checker.inside_a_line() {
        match file.read(&mut chunk) {
            Ok(0) if waited || !checker.inside_a_line() => break,
            Ok(0) => {
                std::thread::sleep(HALF_A_LINE);
                waited = true;
            }
            Ok(count) => {
                checker.push(&chunk[..count]);
                read += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn search(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let extension = path.extension().and_then(|extension| extension.to_str());
        if kind.is_dir() {
            if depth > 0 {
                search(&path, depth - 1, found)?;
            }
        } else if kind.is_file() && matches!(extension, Some("jsonl" | "head")) {
            found.push(path.with_extension("jsonl"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of which the next part appears only after its end was seen.
    struct Growing(Vec<&'static [u8]>);

    impl io::Read for Growing {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let part = self.0.pop().unwrap_or_default();
            to[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    fn read_all(parts: &[&'static [u8]], len: u64) -> (bool, usize) {
        let mut file = Growing(parts.iter().rev().copied().collect());
        let mut checker = Checker::new(None);
        read(&mut file, len, &mut checker).unwrap();
        (checker.inside_a_line(), file.0.len())
    }

    #[test]
    fn a_line_that_is_just_being_written_is_waited_for() {
        assert_eq!(read_all(&[b"a\nb", b"", b"c\n"], 3), (false, 0));
        assert_eq!(read_all(&[b"a\nb", b"", b""], 3), (true, 0), "but not for ever");
        // What comes behind the end that the file had is another look's business.
        assert_eq!(read_all(&[b"a\n", b"b\n"], 2), (false, 1));
    }
}
