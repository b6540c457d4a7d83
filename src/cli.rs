//! The command line: one file for each subcommand, and the way from arguments to an exit code.

mod approvals;
pub mod audit;
#[cfg(feature = "login")]
mod auth;
mod demo;
pub mod doctor;
pub mod doctor_tls;
#[cfg(feature = "enforcer")]
mod enforcer;
pub mod exit;
mod expected;
mod fault;
mod friction;
mod health;
mod launch;
mod local;
mod manual;
mod mcp_config;
pub mod paint;
mod policy;
mod printable;
mod remote;
mod report;
pub mod run;
mod scan;
mod serve;
mod set_api_key;
mod sidecar;
mod status;
mod unwrap_config;
mod wrap_config;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::fault::Fault;
use self::paint::Paint;
use crate::config;
use crate::config::variables::Env;

/// A governance sidecar for MCP: every tool call is held until it is decided.
#[derive(Debug, Parser)]
#[command(name = "thoth", version, max_term_width = 100)]
#[command(after_help = "Example:\n  thoth run --policy rules.toml -- npx -y some-mcp-server\n\n\
    Start with:\n  thoth demo")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The same with `run` alone. Clients start that again and again, and wait for it; the flags and texts of all
/// the others take half a millisecond to make.
#[derive(Debug, Parser)]
#[command(name = "thoth", version, max_term_width = 100)]
struct Running {
    #[command(subcommand)]
    command: Run,
}

#[derive(Debug, Subcommand)]
enum Run {
    Run(run::Args),
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Serve(Box<serve::Args>),
    Policy(policy::Args),
    Approvals(approvals::Args),
    #[cfg(feature = "login")]
    Auth(auth::Args),
    Audit(audit::Args),
    Doctor(doctor::Args),
    Health(health::Args),
    Status(status::Args),
    Report(report::Args),
    WrapConfig(Box<wrap_config::Args>),
    UnwrapConfig(unwrap_config::Args),
    McpConfig(Box<mcp_config::Args>),
    Launch(Box<launch::Args>),
    Scan(scan::Args),
    Demo(demo::Args),
    #[cfg(feature = "enforcer")]
    Enforcer(Box<enforcer::Args>),
    SetApiKey(set_api_key::Args),
    Manual(manual::Args),
    /// Print a completion script for a shell
    ///
    /// Example: `thoth completions bash > /etc/bash_completion.d/thoth`
    Completions {
        /// The shell
        shell: Shell,
    },
    #[command(hide = true)]
    DemoServer(demo::server::Args),
}

/// Runs thoth with these arguments, the program's name first, and says what to exit with.
///
/// What cannot be done is told on standard error, with its causes.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::read(arguments.into_iter().collect()) {
        Ok(cli) => cli,
        Err(told) => {
            // `--help` and `--version` come this way, too, and go to standard output.
            let code = if told.use_stderr() { exit::USAGE } else { exit::OK };
            let _ = told.print();
            return ExitCode::from(code);
        }
    };
    match cli.run(&Env::of_process()) {
        Ok(code) => code,
        Err(fault) if fault.is_broken_pipe() => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = write!(io::stderr(), "{fault}");
            fault.code()
        }
    }
}

// === impl Cli ===

impl Cli {
    fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        if arguments.get(1).is_some_and(|word| word == "run") {
            let Running { command: Run::Run(args) } = Running::try_parse_from(arguments)?;
            return Ok(Self { command: Command::Run(args) });
        }
        Self::try_parse_from(arguments)
    }

    fn run(self, env: &Env) -> Result<ExitCode, Fault> {
        let terminal = io::stdout().is_terminal();
        // Not locked: `run` gives standard output to a thread of its own where it is a file.
        let out = &mut io::stdout();
        match self.command {
            Command::Run(args) => args.run(env),
            Command::Serve(args) => args.run(env, out),
            Command::Policy(args) => args.run(out).map_err(Fault::of(exit::NO)),
            Command::Approvals(args) => args.run(env, out, &mut io::stderr()),
            #[cfg(feature = "login")]
            Command::Auth(args) => args.run(env, out),
            Command::Audit(args) => {
                args.run(&config::home(env), terminal, out).map_err(Fault::of(2))
            }
            Command::Doctor(args) => args.run(env, Paint::new(env, terminal), out),
            Command::Health(args) => args.run(env, Paint::new(env, terminal), out),
            Command::Status(args) => args.run(env, Paint::new(env, terminal), out),
            Command::Report(args) => args.run(env, out, &mut io::stderr()),
            Command::WrapConfig(args) => args.run(env, Paint::new(env, terminal), out),
            Command::UnwrapConfig(args) => args.run(env, Paint::new(env, terminal), out),
            Command::McpConfig(args) => args.run(env, out),
            Command::Launch(args) => args.run(env),
            Command::Scan(args) => args.run(env, out),
            Command::Demo(args) => args.run(env, out).map_err(Fault::of(exit::UNAVAILABLE)),
            #[cfg(feature = "enforcer")]
            Command::Enforcer(args) => args.run(env, terminal, out),
            Command::SetApiKey(args) => args.run(env, out, &mut io::stderr()),
            Command::DemoServer(args) => args.run(out).map_err(Fault::of(exit::UNAVAILABLE)),
            Command::Manual(args) => args.run(Self::command(), out),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "thoth", out);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_alone_reads_what_the_whole_command_line_reads() {
        for line in [
            &["run", "--agent-id", "a", "--", "npx", "--", "x"][..],
            &["run"],
            &["run", "--help"],
            &["run", "--agnt-id", "a", "--", "npx"],
            &["run", "--api-key", "k", "--api-key-file", "f", "--", "npx"],
        ] {
            let line = ["thoth"].iter().chain(line).map(OsString::from).collect::<Vec<_>>();
            let (alone, whole) = (Cli::read(line.clone()), Cli::try_parse_from(line));
            match (alone, whole) {
                (Ok(alone), Ok(whole)) => assert_eq!(format!("{alone:?}"), format!("{whole:?}")),
                (Err(alone), Err(whole)) => assert_eq!(alone.to_string(), whole.to_string()),
                (alone, whole) => panic!("{alone:?} and {whole:?}"),
            }
        }
    }
}
