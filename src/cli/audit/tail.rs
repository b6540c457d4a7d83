//! `thoth audit tail`: the end of a journal, as a table for people or as its own lines.

mod row;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use self::row::Row;
use super::Failed;
use crate::cli::printable::Printable;
use crate::journal;

/// How often a followed journal is looked at.
const PERIOD: Duration = Duration::from_millis(200);
/// The longest record that is shown as a row, in bytes. Longer ones are named.
const LONGEST: u64 = 1024 * 1024;
/// How much is read at once when looking for lines from the end.
const CHUNK: usize = 64 * 1024;

/// Show the last records of a journal, newest last
///
/// Times are UTC. What would act on the terminal is shown escaped. Does not check seals.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth audit tail --follow")]
pub(super) struct Args {
    /// The journal; without it, the one that was written last
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
    /// Show new records as they come, until the journal is closed
    #[arg(short, long)]
    follow: bool,
    /// How many records to begin with
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: u64,
    /// Print the records as they stand in the journal
    #[arg(long)]
    json: bool,
}

/// A journal, read up to a point.
struct Tail {
    file: File,
    shown: String,
    /// Where the next line begins.
    at: u64,
    json: bool,
    colour: bool,
}

impl Args {
    pub(super) fn run(
        self,
        home: &Path,
        colour: bool,
        out: &mut impl Write,
    ) -> Result<ExitCode, Failed> {
        let path = match self.path {
            Some(path) => path,
            None => newest(&journal::directory(home))?,
        };
        let shown = Printable(&path.to_string_lossy()).to_string();
        let file = open(&path).map_err(|source| Failed::Read { path: shown.clone(), source })?;
        let mut tail = Tail { file, shown, at: 0, json: self.json, colour };
        if !self.json {
            let title = format!("{}\n{}\n", tail.shown, row::titles());
            out.write_all(title.as_bytes()).map_err(Failed::Write)?;
        }
        tail.at = tail.reading(|tail| {
            let end = tail.whole()?;
            behind_newline(&mut tail.file, end, self.lines.saturating_add(1))
        })?;
        while !tail.show(out)? && self.follow {
            std::thread::sleep(PERIOD);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Tail {
    /// Shows what was written since; whether that closed the journal.
    fn show(&mut self, out: &mut impl Write) -> Result<bool, Failed> {
        let end = self.reading(|tail| {
            let end = tail.whole()?;
            if end < tail.at {
                return Err(io::Error::other("it was cut while it was read"));
            }
            tail.file.seek(SeekFrom::Start(tail.at))?;
            Ok(end)
        })?;
        let (mut line, mut closed) = (Vec::new(), false);
        // Bytes of the line at hand that are no longer in `line`.
        let mut before = 0;
        let mut lines = BufReader::new((&self.file).take(end - self.at));
        loop {
            line.clear();
            let mut part = (&mut lines).take(LONGEST);
            let read = part.read_until(b'\n', &mut line);
            let count = read.map_err(|source| Failed::Read { path: self.shown.clone(), source })?;
            if count == 0 {
                break;
            }
            let row = if before == 0 { Row::parse(&line) } else { None };
            closed |= row.as_ref().is_some_and(Row::is_end);
            let wrote = if self.json {
                out.write_all(&line)
            } else if !line.ends_with(b"\n") {
                Ok(())
            } else if before > 0 {
                writeln!(out, "(a record of {} bytes)", before + line.len())
            } else if let Some(row) = row {
                row.write(self.colour, out)
            } else {
                let text = String::from_utf8_lossy(&line);
                let start: String = text.trim_end().chars().take(60).collect();
                writeln!(out, "(not a record: {})", Printable(&start))
            };
            wrote.map_err(Failed::Write)?;
            before = if line.ends_with(b"\n") { 0 } else { before + line.len() };
        }
        out.flush().map_err(Failed::Write)?;
        self.at = end;
        Ok(closed)
    }

    /// Where the last whole line ends.
    fn whole(&mut self) -> io::Result<u64> {
        let len = self.file.metadata()?.len();
        behind_newline(&mut self.file, len, 1)
    }

    fn reading<T>(&mut self, read: impl FnOnce(&mut Self) -> io::Result<T>) -> Result<T, Failed> {
        read(self).map_err(|source| Failed::Read { path: self.shown.clone(), source })
    }
}

fn newest(directory: &Path) -> Result<PathBuf, Failed> {
    let shown = || Printable(&directory.to_string_lossy()).to_string();
    match journal::newest(directory) {
        Ok(Some(path)) => Ok(path),
        Ok(None) => Err(Failed::NoJournal { directory: shown() }),
        Err(source) => Err(Failed::Read { path: shown(), source }),
    }
}

fn open(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::other("not a file"))
    }
}

/// The offset behind the `nth` newline before `end`, counted backwards from 1; 0 where there are
/// fewer.
fn behind_newline(file: &mut File, mut end: u64, nth: u64) -> io::Result<u64> {
    let (mut chunk, mut left) = (vec![0; CHUNK], nth);
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let part = &mut chunk[..usize::try_from(end - start).unwrap_or(CHUNK)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for at in memchr::memrchr_iter(b'\n', part) {
            left -= 1;
            if left == 0 {
                return Ok(start + at as u64 + 1);
            }
        }
        end = start;
    }
    Ok(0)
}
