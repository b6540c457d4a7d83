//! `thoth unwrap-config`: makes every wrapped server's entry what it was.

use std::io::{self, Write};
use std::process::ExitCode;

use super::exit;
use super::fault::Fault;
use super::paint::Paint;
use super::wrap_config::rows::State;
use super::wrap_config::select::Selection;
use super::wrap_config::work::{Task, Work};
use super::wrap_config::{Manner, code};
use crate::config::variables::Env;
use crate::machine::clock;

/// Undo wrap-config: make every wrapped server start without thoth again.
///
/// What this thoth wrapped becomes what it was, byte for byte. An entry that was wrapped by hand or
/// by an older thoth becomes the command behind its `--`.
///
/// Exit status: 0 done, 1 a file could not be read or written or an entry not be unwrapped, 64 the
/// command line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  thoth unwrap-config --all
  thoth unwrap-config --client cursor --dry-run
  thoth unwrap-config .mcp.json --output -")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    manner: Manner,
}

impl Args {
    pub(crate) fn run(
        self,
        env: &Env,
        paint: Paint,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let home = crate::config::home(env);
        let goal = self.manner.goal(&self.selection)?;
        let places = self.selection.places(env).map_err(Fault::of(exit::USAGE))?;
        let files = self.selection.files(&places).map_err(Fault::of(exit::USAGE))?;
        let (task, now) = (Task::Unwrap, clock::now());
        let work = Work { task, goal, places: &places, home: &home, secrets: &[], now };
        let report = self.manner.work(&work, files);
        let err = &mut io::stderr();
        let tense = self.manner.tense();
        self.manner.tell(&report, tense, paint, out, err).map_err(Fault::of(exit::NO))?;
        let stuck = report.rows().any(|(_, row)| row.state == State::Stuck);
        Ok(if stuck { ExitCode::from(exit::NO) } else { code(&report) })
    }
}
