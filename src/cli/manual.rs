//! `thoth manual`: every subcommand's help in one text.

use std::io::Write;
use std::process::ExitCode;

use super::exit;
use super::fault::Fault;

/// Print the whole manual: every subcommand and flag
///
/// Example: `thoth manual | less`
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "subcommands are run by value, this one has no flags")]
    pub(super) fn run(
        self,
        mut command: clap::Command,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        command.build();
        print(&mut command, out).map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print(command: &mut clap::Command, out: &mut impl Write) -> std::io::Result<()> {
    let title = command.get_bin_name().unwrap_or("thoth").to_uppercase();
    writeln!(out, "{title}\n\n{}\n", command.render_long_help())?;
    let shown =
        |command: &&mut clap::Command| !command.is_hide_set() && command.get_name() != "help";
    for subcommand in command.get_subcommands_mut().filter(shown) {
        print(subcommand, out)?;
    }
    Ok(())
}
