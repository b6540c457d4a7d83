//! `thoth run`: one sidecar on standard input and output, from its flags to the exit code of its
//! server.
//!
//! What a sidecar is made of is in `sidecar`. Here: the configuration, the process's own pipes, and
//! what signals do.

use std::ffi::OsString;
use std::pin::pin;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tokio::runtime;

use super::exit;
use super::expected;
use super::fault::Fault;
use super::sidecar::{Company, Conversation, DRAIN, End, Parts, Server, Surroundings, tell};
use crate::clients::table::Places;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::settings::Config;
use crate::config::variables::Env;
use crate::config::{self, Reading};
use crate::machine::Machine;
use crate::pump::Signals;
use crate::stop::Stop;
use crate::{pipe, stop, trace};

/// How soon a credential's file that is not there yet is looked for again.
const AGAIN: Duration = Duration::from_millis(50);

/// Run an MCP server behind the gate
///
/// Every `tools/call` of the client is held until it is decided by the local rules and, where one is
/// configured, by the remote enforcer. Everything else passes as it is. Standard output carries the
/// protocol only.
///
/// Exit status: the server's own, 0 for one behind a URL; 64 usage, 77 preflight refused, 78
/// configuration, 126 or 127 the server's command cannot be run or was not found.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thoth run --agent-id files --policy rules.toml -- npx -y \
    @modelcontextprotocol/server-filesystem /srv\n  thoth run --url https://mcp.example.com/mcp \
    --upstream-token-file ~/.secrets/example")]
pub struct Args {
    #[command(flatten)]
    flags: RunFlags,

    /// The MCP server's command and its arguments
    #[arg(
        last = true,
        required_unless_present = "url",
        conflicts_with = "url",
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

impl Args {
    /// Runs the sidecar until its session is over.
    ///
    /// # Errors
    ///
    /// Why the server was not started, with the exit code that says so.
    pub fn run(self, env: &Env) -> Result<ExitCode, Fault> {
        let reading = read(&self.flags, &self.command, env);
        let machine = Machine::gather();
        let expected = expected::managed(&reading, &machine);
        let around = Surroundings { machine, places: Places::of(env), expected };
        let config = reading.into_config().map_err(Fault::of(exit::CONFIGURATION))?;
        let flush = trace::init(config.log);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?;
        let server = server(&config, self.command);
        let ended = runtime.block_on(session(config, server, around));
        // A read of a terminal cannot be called back; it must not keep the process.
        runtime.shutdown_background();
        drop(flush);
        ended.map(ExitCode::from)
    }
}

/// Reads the configuration; again where a credential's file is just being replaced, until the
/// grace for that is over. Blocking.
pub(super) fn read(flags: &RunFlags, command: &[OsString], env: &Env) -> Reading {
    let command = command.first().map(OsString::as_os_str);
    let mut reading = config::read(flags, command, env, &Layers::of_system(env));
    let mut left = reading.patience();
    while !reading.patience().is_zero() && !left.is_zero() {
        thread::sleep(AGAIN);
        left = left.saturating_sub(AGAIN);
        reading = config::read(flags, command, env, &Layers::of_system(env));
    }
    reading
}

/// The server that was named: the command line has one of both.
pub(super) fn server(config: &Config, command: Vec<OsString>) -> Server {
    match &config.upstream {
        Some(upstream) => Server::Url(Box::new(upstream.clone())),
        None => Server::Command(command),
    }
}

async fn session(config: Config, server: Server, around: Surroundings) -> Result<u8, Fault> {
    let mut stop = stop::listen().map_err(Fault::of(exit::UNAVAILABLE))?;
    let prepared = stop.unless_stopped(Parts::prepare(config, server, around)).await;
    let parts = match prepared {
        Ok(parts) => parts?,
        Err(signal) => return Ok(signal.exit_code_alone()),
    };
    parts.notices().for_each(tell);
    let (conversation, mut company) = parts.start()?;
    let mut drain = DRAIN;
    let code = converse(conversation, &mut company, &mut stop, &mut drain).await;
    // A second signal does not wait for what is said to others.
    let _ = stop.unless_stopped(company.part(drain)).await;
    code
}

/// Runs the session on this process's own pipes; `drain` is nothing after a second signal.
async fn converse(
    conversation: Conversation,
    company: &mut Company,
    stop: &mut Stop,
    drain: &mut Duration,
) -> Result<u8, Fault> {
    let (client_in, client_out) = pipe::open().map_err(Fault::of(exit::UNAVAILABLE))?;
    let signals = Signals::default();
    let mut session = pin!(conversation.hold(client_in, client_out, company, signals.clone()));
    let ended = match stop.unless_stopped(session.as_mut()).await {
        Ok(ended) => ended.map(End::code),
        Err(signal) => {
            signals.stop.cancel();
            match stop.unless_stopped(session.as_mut()).await {
                Ok(ended) => ended.map(|end| match end {
                    End::Process(exit) => signal.exit_code(exit),
                    End::Closed => signal.exit_code_alone(),
                }),
                // A second signal: nothing is waited for. The child is killed as it drops.
                Err(second) => {
                    *drain = Duration::ZERO;
                    Ok(second.exit_code_alone())
                }
            }
        }
    };
    ended.map_err(Fault::of(exit::UNAVAILABLE))
}
