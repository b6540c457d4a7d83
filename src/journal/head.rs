//! The head file: where a journal stands, kept beside it.
//!
//! A chain cannot show that its end was cut off, so the number and the seal of the last record
//! stand in `<session>.head` as well: one line of JSON, overwritten after each record.
//!
//! ```text
//! {"seq":7,"seal":"<64 hex>"}                    \n     (padded with blanks to 128 bytes)
//! ```
//!
//! A record is written first and its head second, so the head is never ahead of the journal, and
//! behind by one record at most where thoth was killed between the two. It is no secret and no
//! signature: whoever can write both files can make them agree.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::profile;
use crate::seal::{Digest, Head};

/// The file's length: the longest line there can be, and room to spare.
const LENGTH: usize = 128;
/// How often a file that changes while it is read is read again.
const READS: usize = 16;

/// Writes the head of one journal.
#[derive(Debug)]
pub(super) struct Keeper(File);

/// Where the head of a journal is kept: `<session>.head` for `<session>.jsonl`.
pub(super) fn beside(journal: &Path) -> PathBuf {
    journal.with_extension("head")
}

/// Reads the head of a journal; `None` where there is none yet.
///
/// # Errors
///
/// Where the file cannot be read, or holds no head.
pub(super) fn read(path: &Path) -> io::Result<Option<Head>> {
    let mut last = None;
    for _ in 0..READS {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?.take(LENGTH as u64 + 1),
        };
        let mut bytes = Vec::with_capacity(LENGTH + 1);
        file.read_to_end(&mut bytes)?;
        // A read may see one half of the line before a write and the other half after it.
        if last.as_ref() == Some(&bytes) {
            if bytes.is_empty() {
                return Ok(None);
            }
            let head = parse(&bytes).ok_or(io::ErrorKind::InvalidData)?;
            return Ok(Some(head));
        }
        last = Some(bytes);
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

fn parse(bytes: &[u8]) -> Option<Head> {
    let line = bytes.strip_suffix(b"\n")?.trim_ascii_end();
    let line = line.strip_prefix(b"{\"seq\":")?.strip_suffix(b"\"}")?;
    let at = line.iter().position(|&byte| byte == b',')?;
    let seal = line[at..].strip_prefix(b",\"seal\":\"")?;
    Some(Head { seq: str::from_utf8(&line[..at]).ok()?.parse().ok()?, seal: Digest::parse(seal)? })
}

fn line(head: Head) -> [u8; LENGTH] {
    let mut line = [b' '; LENGTH];
    let Head { seq, seal } = head;
    write!(&mut line[..], r#"{{"seq":{seq},"seal":"{seal}"}}"#)
        .unwrap_or_else(|_| unreachable!("104 bytes at most"));
    line[LENGTH - 1] = b'\n';
    line
}

// === impl Keeper ===

impl Keeper {
    /// Makes the head file; one that is there already is refused.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = profile::new_file().write(true).open(path)?;
        Ok(Self(file))
    }

    /// Overwrites the head, in one write.
    pub(super) fn keep(&mut self, head: Head) -> io::Result<()> {
        overwrite(&mut self.0, &line(head))
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[cfg(unix)]
fn overwrite(file: &mut File, line: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, line, 0)
}

#[cfg(not(unix))]
fn overwrite(file: &mut File, line: &[u8]) -> io::Result<()> {
    use std::io::Seek as _;

    file.rewind()?;
    file.write_all(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal;

    #[test]
    fn a_head_is_read_back() {
        let home = tempfile::tempdir().unwrap();
        let path = beside(&home.path().join("s.jsonl"));
        assert!(path.ends_with("s.head"));
        assert_eq!(read(&path).unwrap(), None);
        let mut keeper = Keeper::create(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None, "made, and nothing kept yet");
        let seal = seal::digest(b"some");
        for seq in [u64::MAX, 7] {
            let head = Head { seq, seal };
            keeper.keep(head).unwrap();
            assert_eq!(read(&path).unwrap(), Some(head));
        }
        assert!(Keeper::create(&path).is_err(), "never one that is there");
        std::fs::write(&path, b"{\"seq\":7}\n").unwrap();
        assert!(read(&path).is_err());
    }
}
