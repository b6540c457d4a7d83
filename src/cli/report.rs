//! `thoth report`: what happened in a session and where its agent got stuck, from its events.
//!
//! Files are read line by line, twice where the session must be found first: memory grows with the
//! events of one session, never with the length of a file. Nothing is changed.

mod journals;
mod source;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;

use self::journals::Journal;
use self::source::{Overview, Source};
use super::exit;
use super::fault::Fault;
use super::printable::Printable;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::{self, variables::Env};
use crate::friction::report::session::Reader;
use crate::friction::report::{Limits, Session, render};
use crate::machine::clock;

/// A session without an end in its journal that was silent for this long is over all the same.
const SILENCE: Duration = Duration::from_mins(2);

/// Tell what happened in a session, and where its agent got stuck
///
/// Reads the events of the files that they go to as configured, by default of
/// `~/.thoth/friction/events.jsonl`, with what was rotated out of them; where there is no such file,
/// the events that lie in `~/.thoth/spool` and were not sent yet. What was decided comes from the
/// session's journal.
///
/// Exit status: 0 told, 1 no such session, 2 something cannot be read or written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thoth report\n  thoth report --list\n  \
    thoth report --output report.html")]
pub(super) struct Args {
    /// The session's id [default: the last one in which anything was done]
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The last session in which anything was done
    #[arg(long, conflicts_with = "session")]
    last: bool,
    /// List the sessions, the last one at the end
    #[arg(long, conflicts_with_all = ["session", "last"])]
    list: bool,
    /// The form [default: as the name after --output ends, else md]
    #[arg(long, value_name = "FORM")]
    format: Option<Format>,
    /// A file of events, one JSON object a line; may be repeated, the oldest first
    #[arg(long, value_name = "PATH")]
    file: Vec<PathBuf>,
    /// Write the report here, for this user alone
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// Markdown
    Md,
    /// JSON, as docs/report.schema.json describes it
    Json,
    /// One page that needs nothing else
    Html,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("no events in {places}; thoth writes some with --friction on")]
    NoEvents { places: String },
    #[error("no session {session} in {places}; thoth report --list shows those there are")]
    NoSession { session: String, places: String },
    #[error("cannot read {place}")]
    Read {
        place: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {place}")]
    Write {
        place: String,
        #[source]
        source: io::Error,
    },
}

// === impl Args ===

impl Args {
    /// For the session in one file of events.
    pub(super) fn of(file: PathBuf, format: Option<Format>, output: Option<PathBuf>) -> Self {
        Self { session: None, last: true, list: false, format, file: vec![file], output }
    }

    /// Reads, and tells. What is worth knowing about the reading goes to `aside`.
    ///
    /// # Errors
    ///
    /// Where there is nothing to tell, or no way to.
    pub(super) fn run(
        self,
        env: &Env,
        out: &mut impl Write,
        aside: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        self.tell(env, out, aside).map_err(|failed| Fault::new(failed.code(), failed))?;
        Ok(ExitCode::SUCCESS)
    }

    fn tell(self, env: &Env, out: &mut impl Write, aside: &mut impl Write) -> Result<(), Failed> {
        let home = config::home(env);
        let source = if self.file.is_empty() {
            let reading = config::read(&RunFlags::default(), None, env, &Layers::of_system(env));
            Source::usual(&reading.event_files(), &home)?
        } else {
            Source::named(self.file)?
        };
        if let Some(note) = source.note() {
            let _ = writeln!(aside, "thoth: {note}");
        }
        let format =
            self.format.or_else(|| Format::of(self.output.as_ref()?)).unwrap_or(Format::Md);
        if self.list {
            let overview = Overview::of(&source)?;
            let text = match format {
                Format::Json => overview.json(),
                Format::Md | Format::Html => overview.text(),
            };
            return put(self.output, text.as_bytes(), out);
        }
        let places = source.shown();
        let id = match self.session {
            Some(session) => session,
            None => Overview::of(&source)?
                .last()
                .ok_or_else(|| Failed::NoEvents { places: places.clone() })?,
        };
        let mut reader = Reader::new(Some(&id));
        source.each(|line| reader.line(line))?;
        let session = Printable(&id).to_string();
        let mut session = reader.finish().ok_or(Failed::NoSession { session, places })?;
        let journal = Journal::of(&home, &session);
        session.join(|call| journal.as_ref()?.decision(call));
        let over = is_over(&session, journal.as_ref());
        let limits = Limits { over, ..Limits::default() };
        let text = match format {
            Format::Md => render::markdown(&session, limits),
            Format::Json => render::json(&session, limits),
            Format::Html => render::html(&session, limits),
        };
        put(self.output, text.as_bytes(), out)
    }
}

/// Whether nothing more will come: its journal has an end, or it was silent for long enough.
fn is_over(session: &Session, journal: Option<&Journal>) -> bool {
    let silence = SignedDuration::try_from(SILENCE).unwrap_or_default();
    let is_silent =
        session.window.is_none_or(|(_, last)| clock::now().duration_since(last) > silence);
    is_silent || journal.is_some_and(Journal::is_closed)
}

fn put(path: Option<PathBuf>, text: &[u8], out: &mut impl Write) -> Result<(), Failed> {
    let Some(path) = path else {
        let written = out.write_all(text).and_then(|()| out.flush());
        return written.map_err(|source| Failed::Write { place: "the report".to_owned(), source });
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    narrow(&mut options);
    let written = options.open(&path).and_then(|mut file| file.write_all(text));
    written.map_err(|source| Failed::Write {
        place: Printable(&path.to_string_lossy()).to_string(),
        source,
    })
}

#[cfg(unix)]
fn narrow(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;

    options.mode(0o600);
}

/// What others may read there is the directory's business.
#[cfg(not(unix))]
fn narrow(_options: &mut OpenOptions) {}

// === impl Format ===

impl Format {
    /// The form that a file's name asks for.
    fn of(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_ascii_lowercase().to_str()? {
            "html" | "htm" => Some(Self::Html),
            "json" => Some(Self::Json),
            "md" => Some(Self::Md),
            _ => None,
        }
    }
}

// === impl Failed ===

impl Failed {
    fn code(&self) -> u8 {
        match self {
            Self::NoEvents { .. } | Self::NoSession { .. } => exit::NO,
            Self::Read { .. } | Self::Write { .. } => exit::UNHEALTHY,
        }
    }

    fn read(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let place = Printable(&path.to_string_lossy()).to_string();
        move |source| Self::Read { place, source }
    }
}

/// The files of one log: what was rotated out of it, the oldest first, and the log itself.
fn with_rotated(path: &std::path::Path) -> Vec<PathBuf> {
    let numbered = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let rest = name.to_str()?.strip_prefix(path.file_name()?.to_str()?)?;
        Some((rest.strip_prefix('.')?.parse::<u32>().ok()?, entry.path()))
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = fs::read_dir(directory.unwrap_or(std::path::Path::new(".")));
    let mut rotated: Vec<_> =
        entries.into_iter().flatten().flatten().filter_map(numbered).collect();
    rotated.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let mut files: Vec<_> = rotated.into_iter().map(|(_, path)| path).collect();
    files.push(path.to_owned());
    files.retain(|path| path.is_file());
    files
}
