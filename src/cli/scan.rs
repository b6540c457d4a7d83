//! `thoth scan`: lets an agent try one server of a client's configuration, and reports where it got
//! stuck.
//!
//! The server runs under this very thoth, governed as it always is, with friction events into a
//! private directory that is gone afterwards. What is said about the session is
//! [`crate::friction::report`]'s; here is what is started, for how long, and what is left behind.
//!
//! # Invariants
//!
//! - Nothing of the entry's environment is printed, and the file that holds it is removed, also
//!   where the directory stays.
//! - When this ends, the agent and everything it started have ended.

mod agent;
mod entry;
mod room;
mod settled;
mod unwrapped;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime;

use self::agent::{Agent, Driven, Lost};
use self::entry::Entry;
use self::room::Room;
use self::unwrapped::{Stuck, Unwrapped};
use super::exit;
use super::fault::Fault;
use super::report::{self, Format};
use super::wrap_config::wish;
use crate::clients::table::Places;
use crate::config::settings::SinkPlace;
use crate::config::variables::{ANTHROPIC_API_KEY, BATON_EVENT_SINK, BATON_VENDOR_ID, Env};
use crate::machine::Machine;

/// What the server is called in the agent's configuration.
const TARGET: &str = "scan_target";

/// What the agent is asked to do.
const PLAN: &str = include_str!("scan/plan.txt");

/// The flags of a wrapped entry that are this command's to give.
const OURS: [&str; 1] = ["--friction"];

/// Let an agent try a server, and report where it got stuck
///
/// The server of this name is started through thoth as it would be by the client, under the same
/// policies, with friction events on. The agent is given a plan and a configuration with this one
/// server. What it prints goes to a private directory, which is removed at the end; it stays where
/// no event came, and then this says where it is. Its standard error is passed through.
///
/// Exit status: 0 the report is written, also where the time was up; 1 no event came; 64 the command
/// line; 78 there is no such server, or it cannot be started by a command; 126 or 127 the agent
/// cannot be run or was not found.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  thoth scan --config github
  thoth scan --config files --policy read-only.toml --output report.md
  thoth scan --config files --agent my-agent --mcp-config {config} --prompt {plan}")]
pub(super) struct Args {
    /// The server's name in the client's configuration
    #[arg(long, value_name = "NAME")]
    config: String,

    /// The client's configuration file [default: ./.mcp.json, then ~/.claude.json]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// A rule file beside those of the entry; may be given more than once
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,

    /// The longest the agent may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Write the report to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The form of the report [default: as the name after --output ends, else md]
    #[arg(long, value_name = "FORM")]
    format: Option<Format>,

    /// The agent's command, up to the end of the line; `{plan}` and `{config}` stand for the plan's
    /// text and the configuration's path [default: claude -p {plan} --mcp-config {config} …]
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    agent: Vec<OsString>,
}

/// What keeps a scan from being made.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error("the server {name} in {}", path.display())]
    Wrapper {
        name: String,
        path: PathBuf,
        #[source]
        source: Stuck,
    },
    #[error("this program cannot be found by its path, so the agent could not start it")]
    NoProgram,
    #[error("cannot tell where the policy {} is", path.display())]
    Policy { path: PathBuf, source: io::Error },
    #[error("cannot prepare the directory of the scan")]
    Room(#[source] io::Error),
    #[error(
        "the directory for temporary files has a comma or is not UTF-8; choose another with TMPDIR"
    )]
    RoomName,
    #[error("no friction event came, so there is nothing to report; what the agent said is in {}", .0.display())]
    Silent(PathBuf),
}

// === impl Args ===

impl Args {
    pub(super) fn run(self, env: &Env, out: &mut impl Write) -> Result<ExitCode, Fault> {
        let err = &mut io::stderr();
        let here = std::path::absolute(".").map_err(Fault::of(exit::CONFIGURATION))?;
        let agent = Agent::read(&self.agent).map_err(Fault::of(exit::USAGE))?;
        let entry = entry::find(&self.config, self.config_file.as_deref(), &Places::of(env), &here)
            .map_err(Fault::of(exit::CONFIGURATION))?;
        for name in &entry.unreadable {
            note(err, &format!("the variable {name} of the entry is no text, and is left out"));
        }
        let room = Room::make().map_err(Unmade::Room).map_err(Fault::of(exit::NO))?;
        let client = self.client(&entry, &room)?;
        room.put_config(&client).map_err(Unmade::Room).map_err(Fault::of(exit::NO))?;
        if env.has(&ANTHROPIC_API_KEY) {
            note(err, "ANTHROPIC_API_KEY is set: the agent may charge what it does to that key");
        }
        note(err, &format!("{} tries the server {}", agent.name(), entry.name));

        let command = agent.command(PLAN, &room.config());
        let limit = Duration::from_secs(self.timeout);
        let driven = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?
            .block_on(agent::drive(command, &room, limit))
            .map_err(|lost: Lost| Fault::new(lost.exit_code(), lost))?;
        room.drop_config();
        match driven {
            Driven::Ended(exit) if exit.code() == 0 => {}
            Driven::Ended(exit) => note(err, &format!("the agent ended with {exit}")),
            Driven::OutOfTime => note(
                err,
                &format!(
                    "the agent was ended after {} s; the report is of what it did",
                    self.timeout
                ),
            ),
            Driven::Stopped(signal) => return Ok(ExitCode::from(signal.exit_code_alone())),
        }
        self.tell(env, room, out, err)
    }

    /// The agent's configuration: one server, which is this thoth around the entry's.
    fn client(&self, entry: &Entry, room: &Room) -> Result<serde_json::Value, Fault> {
        let Unwrapped { flags, command, args } = unwrapped::of(&entry.command, &entry.args)
            .map_err(|source| Unmade::Wrapper {
                name: entry.name.clone(),
                path: entry.path.clone(),
                source,
            })
            .map_err(Fault::of(exit::CONFIGURATION))?;
        let program = Machine::gather().executable;
        let program = program.as_deref().and_then(Path::to_str);
        let program = program.ok_or_else(|| Fault::new(exit::NO, Unmade::NoProgram))?;
        let sink = SinkPlace::File(room.events()).to_string();
        if sink.contains(',') || room.events().to_str().is_none() {
            return Err(Fault::new(exit::NO, Unmade::RoomName));
        }

        let mut line = vec!["run".to_owned()];
        line.extend(wish::without(flags, &OURS));
        if !flags.iter().any(|flag| flag.split('=').next() == Some("--agent-id")) {
            line.push(format!("--agent-id={}", wish::agent(&entry.name)));
        }
        for path in &self.policy {
            let whole = wish::policy(&path.to_string_lossy())
                .map_err(|source| Unmade::Policy { path: path.clone(), source })
                .map_err(Fault::of(exit::CONFIGURATION))?;
            line.extend(["--policy".to_owned(), whole]);
        }
        line.extend(["--friction=on", "--", command].map(str::to_owned));
        line.extend_from_slice(args);

        let mut env = serde_json::Map::new();
        // Of this process, since agents hand on little of theirs; then the entry's own.
        let given = Env::whole().into_iter().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let given = given.filter(|(name, _)| name.starts_with("THOTH_"));
        let own = entry.env.iter().filter(|(name, _)| !name.starts_with("BATON_")).cloned();
        env.extend(given.chain(own).map(|(name, value)| (name, value.into())));
        env.insert(BATON_EVENT_SINK.name.to_owned(), sink.into());
        env.insert(BATON_VENDOR_ID.name.to_owned(), entry.name.clone().into());
        Ok(serde_json::json!({
            "mcpServers": { TARGET: { "command": program, "args": line, "env": env } }
        }))
    }

    fn tell(
        self,
        env: &Env,
        room: Room,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let events = room.events();
        if fs::metadata(&events).is_ok_and(|file| file.len() > 0) {
            return report::Args::of(events, self.format, self.output).run(env, out, err);
        }
        Err(Fault::new(exit::NO, Unmade::Silent(room.keep())))
    }
}

fn note(err: &mut impl Write, text: &str) {
    let _ = writeln!(err, "thoth: {text}");
}
