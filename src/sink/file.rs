//! Events in a file that several processes may share: 0600, a line each, rotated by size.
//!
//! # Invariants
//!
//! - A batch is one write to a file opened for appending, so lines of different processes do not mix.
//! - Part of a line, which a full disk or a process that was killed may leave, is ended before the
//!   next one begins. What another process is just writing looks the same, and is left alone: who
//!   writes shares the file's lock, and only what nobody writes to is surely torn.
//! - Whoever rotates has that lock alone, and renames only the file that has the name; who writes
//!   to one that has lost its name opens the new one. On a file system without locks, nobody rotates.
//! - The lock is waited for a second at most, then things are done without: a process that was
//!   stopped while it had it keeps no event of the others'.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::Event;
use super::worker::Medium;

/// How long, and how often, whoever has the lock is waited for: a second at most.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSES: u32 = 1_000;

/// When a file is put aside, and how many are kept.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// The length from which on it is, in bytes.
    pub bytes: u64,
    /// How many older ones are kept, as `NAME.1` (the youngest), `NAME.2`, …
    pub kept: u32,
}

impl Default for Rotation {
    /// 64 MiB, and three older ones.
    fn default() -> Self {
        Self { bytes: 64 * 1024 * 1024, kept: 3 }
    }
}

/// A file of events. Made with the first event.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    file: Option<File>,
    /// Whether part of a line may stand at the end.
    is_torn: bool,
    lines: Vec<u8>,
}

// === impl LogFile ===

impl LogFile {
    pub(super) fn new(path: PathBuf, rotation: Rotation) -> Self {
        Self { path, rotation, file: None, is_torn: false, lines: Vec::new() }
    }

    fn append(&mut self) -> io::Result<()> {
        let mut file = match self.file.take().filter(|file| has_name(file, &self.path)) {
            Some(file) => file,
            None => self.open_and_look()?,
        };
        if file.metadata()?.len() >= self.rotation.bytes
            && rotate(&file, &self.path, self.rotation)?
        {
            file = self.open_and_look()?;
        }
        let written = self.write_to(&mut file);
        self.is_torn = written.is_err();
        self.file = Some(file);
        written
    }

    /// Opens the file, and looks how whoever wrote to it before has left it.
    fn open_and_look(&mut self) -> io::Result<File> {
        let file = open(&self.path)?;
        self.is_torn = ends_within_a_line(&self.path, &file, wait);
        Ok(file)
    }

    fn write_to(&mut self, file: &mut File) -> io::Result<()> {
        if self.is_torn {
            self.lines.insert(0, b'\n');
        }
        while_shared(file, wait, |file| file.write_all(&self.lines))
    }
}

impl Medium for LogFile {
    fn write(&mut self, events: &[Event]) -> (usize, io::Result<()>) {
        self.lines.clear();
        for event in events {
            self.lines.extend_from_slice(event.bytes());
            self.lines.push(b'\n');
        }
        let written = self.append();
        (if written.is_ok() { events.len() } else { 0 }, written)
    }
}

/// Opens a file for appending, for this user alone; makes it where it is not there. A symbolic link
/// is not followed where the system can be told so, nor is anything but a file opened.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true);
    narrow(&mut options);
    let file = options.open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    keep_private(&file, &facts)?;
    Ok(file)
}

fn wait() {
    thread::sleep(PAUSE);
}

/// Tries to get a lock until it is got, cannot be got here at all, or has been waited for long enough.
/// Whether it was got.
fn obtain(try_lock: impl Fn() -> Result<(), TryLockError>, pause: impl Fn()) -> bool {
    let mut pauses = 0..PAUSES;
    loop {
        match try_lock() {
            Ok(()) => return true,
            Err(TryLockError::WouldBlock) if pauses.next().is_some() => pause(),
            Err(_) => return false,
        }
    }
}

/// Does it with a share of the file's lock, so that nobody has it alone meanwhile.
fn while_shared<T>(file: &mut File, pause: impl Fn(), act: impl FnOnce(&mut File) -> T) -> T {
    let is_shared = obtain(|| file.try_lock_shared(), pause);
    let done = act(file);
    if is_shared {
        let _ = file.unlock(); // or it goes with the file
    }
    done
}

/// Whether a file that was there before ends with part of a line, as a process that was killed or a
/// full disk leaves it. Where somebody has its lock, who may be writing that line, or where there are
/// no locks, it is looked at again after each pause.
fn ends_within_a_line(path: &Path, file: &File, mut pause: impl FnMut()) -> bool {
    for _ in 0..PAUSES {
        if !is_within_a_line(path, file) {
            return false;
        }
        if file.try_lock().is_ok() {
            let is_torn = is_within_a_line(path, file);
            let _ = file.unlock(); // or it goes with the file
            return is_torn;
        }
        pause();
    }
    true
}

/// Whether the last byte, as of now, ends no line. A file that we may only append to is taken to be
/// whole.
fn is_within_a_line(path: &Path, file: &File) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    let is_empty = file.metadata().map_or(true, |facts| facts.len() == 0);
    !is_empty && last().is_ok_and(|last| last != b'\n')
}

/// Puts the file aside. Whether this process did, or somebody else just has.
fn rotate(file: &File, path: &Path, rotation: Rotation) -> io::Result<bool> {
    if !obtain(|| file.try_lock(), wait) {
        return Ok(false); // somebody else was stopped at it, or nobody can
    }
    let done = has_name(file, path).then(|| {
        for number in (1..rotation.kept).rev() {
            let _ = fs::rename(numbered(path, number), numbered(path, number + 1));
        }
        match rotation.kept {
            0 => fs::remove_file(path),
            _ => fs::rename(path, numbered(path, 1)),
        }
    });
    file.unlock()?;
    done.unwrap_or(Ok(())).map(|()| true)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(unix)]
fn narrow(options: &mut fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;

    let no_follow = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    options.mode(0o600).custom_flags(no_follow.bits());
}

/// A file that was there before may be open to others; one of somebody else is not written to.
#[cfg(unix)]
fn keep_private(file: &File, facts: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    if facts.permissions().mode() & 0o7777 == 0o600 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(unix)]
fn has_name(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let same =
        |one: Metadata, other: Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => same(open, named),
        _ => false,
    }
}

#[cfg(not(unix))]
fn narrow(_options: &mut fs::OpenOptions) {}

/// What others may do there is the directory's business.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn keep_private(_file: &File, _facts: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Elsewhere files have no number that std tells: a file that is there is taken for ours, by its
/// length.
#[cfg(not(unix))]
fn has_name(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => open.len() <= named.len(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::cell::Cell;

    use uuid::Uuid;

    use super::*;

    fn event(number: u128) -> Event {
        Event::new(Uuid::from_u128(number), format!("{number:09}").into()).unwrap()
    }

    fn log(directory: &Path) -> LogFile {
        let rotation = Rotation { bytes: 20, kept: 2 };
        LogFile::new(directory.join("e.jsonl"), rotation)
    }

    /// The numbers in a file; none where there is no file.
    fn numbers(path: PathBuf) -> Vec<u128> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    #[test]
    fn a_long_file_is_put_aside_and_so_many_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let mut log = log(home.path());
        for number in 0..9 {
            log.write(&[event(number)]).1.unwrap();
        }
        let path = &log.path;
        assert_eq!(numbers(path.clone()), [8]);
        assert_eq!(numbers(numbered(path, 1)), [6, 7]);
        assert_eq!(numbers(numbered(path, 2)), [4, 5]);
        assert!(!numbered(path, 3).exists());
    }

    #[cfg(unix)]
    #[test]
    fn of_several_writers_one_rotates_and_no_line_is_lost() {
        let home = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (log(home.path()), log(home.path()));
        for number in 0..3 {
            one.write(&[event(2 * number)]).1.unwrap();
            other.write(&[event(2 * number + 1)]).1.unwrap();
        }
        let path = &one.path;
        let all = [numbered(path, 2), numbered(path, 1), path.clone()].map(numbers).concat();
        assert_eq!(all, (0..6).collect::<Vec<_>>());
    }

    /// Each has opened the file for itself, as processes do: to the system it is the same.
    #[cfg(unix)]
    #[test]
    fn while_several_rotate_at_once_every_line_stays_whole_and_is_somewhere() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("e.jsonl");
        thread::scope(|scope| {
            for writer in 0..4 {
                let rotation = Rotation { bytes: 2_000, kept: 100 };
                let mut log = LogFile::new(path.clone(), rotation);
                scope.spawn(move || {
                    for number in 0..500 {
                        let batch = [event(writer * 1_000 + number)];
                        log.write(&batch).1.unwrap();
                    }
                });
            }
        });
        let files = || (1..=100).map(|number| numbered(&path, number)).chain([path.clone()]);
        for file in files().filter(|file| file.exists()) {
            let length = fs::metadata(&file).unwrap().len();
            assert!(length < 2_000 + 4 * 10, "each writes once at most beyond it: {length}");
        }
        let mut all: Vec<_> = files().flat_map(numbers).collect();
        all.sort_unstable();
        let expected: Vec<_> =
            (0..4).flat_map(|writer| (0..500).map(move |number| writer * 1_000 + number)).collect();
        assert_eq!(all, expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_somebody_moved_or_removed_is_begun_anew() {
        let home = tempfile::tempdir().unwrap();
        let mut log = LogFile::new(home.path().join("e.jsonl"), Rotation::default());
        log.write(&[event(1)]).1.unwrap();
        fs::rename(&log.path, home.path().join("moved")).unwrap();
        log.write(&[event(2)]).1.unwrap();
        assert_eq!(numbers(log.path.clone()), [2]);
        fs::remove_file(&log.path).unwrap();
        log.write(&[event(3)]).1.unwrap();
        assert_eq!(numbers(log.path.clone()), [3]);
        assert_eq!(numbers(home.path().join("moved")), [1]);
    }

    #[test]
    fn part_of_a_line_is_ended_before_the_next_one() {
        let home = tempfile::tempdir().unwrap();
        let mut log = log(home.path());
        fs::write(&log.path, "{\"torn").unwrap();
        log.write(&[event(1)]).1.unwrap();
        log.is_torn = true; // as after a write that failed
        log.write(&[event(2)]).1.unwrap();
        let text = fs::read_to_string(&log.path).unwrap();
        assert_eq!(text, "{\"torn\n000000001\n\n000000002\n");
    }

    /// The file as this process has it, and as another has it.
    #[cfg(unix)]
    fn opened_twice(directory: &Path) -> (PathBuf, File, File) {
        let path = directory.join("e.jsonl");
        let (ours, theirs) = (open(&path).unwrap(), open(&path).unwrap());
        (path, ours, theirs)
    }

    #[cfg(unix)]
    #[test]
    fn a_line_that_somebody_else_is_writing_is_not_torn() {
        let home = tempfile::tempdir().unwrap();
        let (path, ours, mut theirs) = opened_twice(home.path());
        theirs.lock_shared().unwrap();
        theirs.write_all(b"{\"half").unwrap();
        let mut pauses = 0;
        let is_torn = ends_within_a_line(&path, &ours, || {
            pauses += 1;
            theirs.write_all(b"\"}\n").unwrap();
            theirs.unlock().unwrap();
        });
        assert_eq!((is_torn, pauses), (false, 1));

        theirs.write_all(b"{\"torn").unwrap();
        let nobody = || unreachable!("nobody holds the lock");
        assert!(ends_within_a_line(&path, &ours, nobody));

        theirs.lock_shared().unwrap();
        let mut pauses = 0;
        let is_torn = ends_within_a_line(&path, &ours, || pauses += 1);
        assert_eq!((is_torn, pauses), (true, PAUSES), "who was stopped is not waited for");
    }

    #[cfg(unix)]
    #[test]
    fn who_writes_has_a_share_of_the_lock_or_waits_for_it_so_long() {
        let home = tempfile::tempdir().unwrap();
        let (_, mut ours, theirs) = opened_twice(home.path());
        let pauses = Cell::new(0);
        let pause = || pauses.set(pauses.get() + 1);
        assert!(while_shared(&mut ours, pause, |_| theirs.try_lock().is_err()));
        assert_eq!(pauses.take(), 0);

        theirs.try_lock().unwrap();
        let until_free = || {
            pause();
            theirs.unlock().unwrap();
        };
        assert!(while_shared(&mut ours, until_free, |_| theirs.try_lock().is_err()));
        assert_eq!(pauses.take(), 1);

        theirs.try_lock().unwrap();
        assert!(while_shared(&mut ours, pause, |_| true), "whoever has it may have been stopped");
        assert_eq!(pauses.take(), PAUSES);
        assert!(ours.try_lock_shared().is_err(), "and it is still theirs");
    }

    /// Much at once, so that a write takes long enough for others to look at its middle.
    #[cfg(unix)]
    #[test]
    fn whoever_opens_the_file_while_others_write_adds_no_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("e.jsonl");
        let line = "x".repeat(999);
        let batch: Vec<_> = (0..400)
            .map(|number| Event::new(Uuid::from_u128(number), line.clone().into()).unwrap())
            .collect();
        let (writers, times) = (4, 20);
        thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(|| {
                    for _ in 0..times {
                        LogFile::new(path.clone(), Rotation::default()).write(&batch).1.unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().all(|found| found == line), "no line is empty, or another's part");
        assert_eq!(text.lines().count(), writers * times * batch.len());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_said_and_nothing_but_a_file_is_opened() {
        let full = LogFile::new("/dev/full".into(), Rotation::default()).write(&[event(1)]);
        assert!(full.0 == 0 && full.1.is_err());
    }
}
