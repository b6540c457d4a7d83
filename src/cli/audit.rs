//! `thoth audit`: reads journals, for a verdict or for people.

mod tail;
mod verify;

use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Check journals, or read one.
///
/// The journal of a session is `~/.thoth/journal/<agent>/<session>.jsonl`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Tail(tail::Args),
    Verify(verify::Args),
}

/// Why there was nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The profile holds no journal.
    #[error("no journal in {directory} yet; `thoth run` writes one at the first call")]
    NoJournal {
        /// Where it would be.
        directory: String,
    },
    /// One head cannot be of several journals.
    #[error("a head is of one journal; give one file with --head")]
    OneHead,
    /// A file or directory cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The answer cannot be written.
    #[error("cannot write the answer")]
    Write(#[source] io::Error),
}

impl Args {
    /// Runs the subcommand. `home` is thoth's own directory; `colour` whether `out` is a terminal.
    ///
    /// A reader that goes away early ends it quietly.
    ///
    /// # Errors
    ///
    /// [`Failed`] where there is nothing to read or no way to answer; the exit code is then 2.
    pub fn run(
        self,
        home: &Path,
        colour: bool,
        out: &mut impl io::Write,
    ) -> Result<ExitCode, Failed> {
        let (done, cut_short) = match self.command {
            Command::Tail(args) => (args.run(home, colour, out), ExitCode::SUCCESS),
            Command::Verify(args) => (args.run(out), ExitCode::from(2)),
        };
        match done {
            Err(Failed::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(cut_short),
            done => done,
        }
    }
}
