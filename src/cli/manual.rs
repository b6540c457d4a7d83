//! `thoth manual`: every subcommand's help in one text, or as man pages for a package.

mod page;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::exit;
use super::fault::Fault;

/// Print the whole manual: every subcommand and flag
///
/// Example: `thoth manual | less`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write a man page for each subcommand into this directory instead
    #[arg(long, value_name = "DIR", hide = true)]
    roff: Option<PathBuf>,
    /// The day that stands on the man pages
    #[arg(long, value_name = "YYYY-MM-DD", requires = "roff", default_value = "", hide = true)]
    date: String,
}

// === impl Args ===

impl Args {
    pub(super) fn run(
        self,
        mut command: clap::Command,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        if let Some(directory) = &self.roff {
            page::write_all(command, &self.date, directory).map_err(Fault::of(exit::NO))?;
        } else {
            command.build();
            print(&command, out).map_err(Fault::of(exit::NO))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The subcommands that a reader is told of.
fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn print(command: &clap::Command, out: &mut impl Write) -> io::Result<()> {
    let title = command.get_bin_name().unwrap_or("thoth").to_uppercase();
    writeln!(out, "{title}\n\n{}\n", command.clone().render_long_help())?;
    shown(command).try_for_each(|subcommand| print(subcommand, out))
}
