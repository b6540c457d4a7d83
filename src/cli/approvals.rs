//! `thoth approvals`: what waits for a person, and the person's answer.
//!
//! Two keepers are asked: the enforcer, where one is configured, and the sidecars of this account that
//! hold calls of local rules themselves ([`crate::desk`]).
//!
//! # Invariants
//!
//! - What is answered is one whole id that was listed before: a beginning of it that fits several is
//!   refused with the list.
//! - Nothing is approved unseen: it is shown, and confirmed on a terminal unless `--yes` says so.
//! - What others wrote is scrubbed and made safe to print before it is shown.

mod enforcer;
mod sidecars;
mod text;
mod waiting;

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use tokio::runtime;

use self::enforcer::{Keeper, Trouble};
use self::waiting::{NotOne, Place, Waiting, pick};
use super::exit;
use super::fault::{Fault, chain};
use super::printable::Printable;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::settings::Config;
use crate::config::variables::{ENFORCER_URL, Env};
use crate::config::{self, Origin};
use crate::desk::wire::{Decision, LONGEST_NOTE};
use crate::friction::scrub::Scrubber;
use crate::machine::clock;

/// The form of the JSON.
const SCHEMA: u32 = 1;

/// List what waits for a person, and answer it
///
/// Asks the enforcer, where one is configured (as for `thoth run`, in flags, the environment, the
/// managed file or the profile), and the sidecars of this account that hold calls themselves. The
/// enforcer wants a key with the permission `admin`; a sidecar wants a process that its MCP client
/// did not start.
///
/// Exit status: 0 listed or answered; 1 not answered, or a sidecar refuses; 69 the enforcer could not
/// be asked; 78 the configuration cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth approvals list\n  thoth approvals approve 3f2a")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Approve(Approve),
    Deny(Deny),
}

/// List what waits for a person
///
/// Exit status: 0 listed, also where nothing waits; 1 a sidecar does not tell; 69 the enforcer could not be
/// asked, and what else waits is listed; 78 the configuration cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth approvals list --json")]
struct List {
    #[command(flatten)]
    connection: Connection,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Let one call through, once
///
/// Shows the call, its arguments without secrets, and asks on the terminal.
///
/// Exit status: 0 approved; 1 not: nothing or several things wait by this id, it was answered or given up
/// before, it may not be answered from here, or it was not confirmed; 69 the enforcer could not be
/// asked; 78 the configuration cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth approvals approve 3f2a --note 'agreed with Ada'")]
struct Approve {
    #[command(flatten)]
    answer: AnswerTo,

    /// Do not ask on the terminal
    #[arg(long)]
    yes: bool,
}

/// Refuse one call, until its request expires
///
/// Exit status: as of `thoth approvals approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth approvals deny 3f2a --note 'not on a Friday'")]
struct Deny {
    #[command(flatten)]
    answer: AnswerTo,

    /// Nothing is asked; taken so that scripts can treat both alike
    #[arg(long, hide = true)]
    yes: bool,
}

/// Which one is answered.
#[derive(Debug, clap::Args)]
struct AnswerTo {
    /// The id that the list shows, or its beginning; or the hold token that the client was told
    #[arg(value_name = "ID")]
    id: String,

    /// What is written beside the answer; the agent reads it
    #[arg(long, value_name = "TEXT", value_parser = note)]
    note: Option<String>,

    #[command(flatten)]
    connection: Connection,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Where the enforcer is, where the environment or the profile does not say.
#[derive(Clone, Debug, clap::Args)]
struct Connection {
    /// Base address of the enforcer: https, or http to this machine
    #[arg(long, value_name = "URL")]
    enforcer_url: Option<OsString>,

    /// The tenant at the enforcer
    #[arg(long, value_name = "TENANT")]
    tenant_id: Option<OsString>,

    /// A file with a key that may answer: as it is, or as JSON `{"api_key": "..."}`
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<OsString>,

    /// A command that prints the key, run without a shell
    #[arg(long, value_name = "COMMAND", conflicts_with = "api_key_file")]
    api_key_command: Option<OsString>,
}

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    NotOne(#[from] NotOne),
    #[error(
        "nothing was approved: there is no terminal to ask on; look at `thoth approvals list`, and add --yes"
    )]
    NoTerminal,
    #[error("nothing was approved")]
    NotConfirmed(#[source] io::Error),
    #[error("{id} was not answered")]
    Enforcer {
        id: String,
        #[source]
        trouble: Trouble,
    },
    #[error("{id} was not answered: {why}")]
    Sidecar { id: String, why: String },
}

/// What is listed, in the form of `--json`.
#[derive(Serialize)]
struct Listing<'a> {
    schema: u32,
    approvals: &'a [Waiting],
    sidecars_silent: &'a [String],
    enforcer_trouble: Option<String>,
}

/// What was answered, in the form of `--json`.
#[derive(Serialize)]
struct Outcome<'a> {
    schema: u32,
    id: &'a str,
    #[serde(flatten)]
    place: &'a Place,
    decision: Decision,
}

/// Everything that waits, and who could not be asked.
struct Everything {
    waiting: Vec<Waiting>,
    /// Sidecars that did not tell, each in one sentence.
    silent: Vec<String>,
    /// Why the enforcer could not be asked.
    trouble: Option<Trouble>,
}

/// Whom to ask.
struct Keepers {
    config: Config,
    enforcer: Option<Keeper>,
}

fn note(text: &str) -> Result<String, String> {
    if text.len() > LONGEST_NOTE {
        return Err(format!("longer than {LONGEST_NOTE} bytes"));
    }
    Ok(text.to_owned())
}

// === impl Args ===

impl Args {
    /// Asks, shows and answers.
    ///
    /// # Errors
    ///
    /// Where nothing could be asked or answered, with the exit code that says so.
    pub(super) fn run(
        self,
        env: &Env,
        out: &mut impl Write,
        warnings: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?;
        match self.command {
            Command::List(list) => {
                let keepers = Keepers::of(&list.connection, env)?;
                let everything = runtime.block_on(keepers.everything());
                list.tell(&everything, out, warnings)
            }
            Command::Approve(approve) => {
                let keepers = Keepers::of(&approve.answer.connection, env)?;
                let everything = runtime.block_on(keepers.everything());
                let chosen = approve.answer.choose(everything, warnings)?;
                if !approve.yes {
                    // On standard error: standard output may be a script's.
                    let stdin = io::stdin();
                    let terminal = stdin.is_terminal().then(|| stdin.lock());
                    let asked =
                        confirm(&chosen, terminal, warnings).map_err(Fault::of(exit::NO))?;
                    if !asked {
                        return Ok(ExitCode::from(exit::NO));
                    }
                }
                let answered = keepers.answer(&chosen, Decision::Approve, &approve.answer);
                runtime.block_on(answered)?;
                approve.answer.tell(&chosen, Decision::Approve, out)
            }
            Command::Deny(deny) => {
                let keepers = Keepers::of(&deny.answer.connection, env)?;
                let everything = runtime.block_on(keepers.everything());
                let chosen = deny.answer.choose(everything, warnings)?;
                let answered = keepers.answer(&chosen, Decision::Deny, &deny.answer);
                runtime.block_on(answered)?;
                deny.answer.tell(&chosen, Decision::Deny, out)
            }
        }
    }
}

/// Shows a call and asks whether it may be made. Without a terminal, nobody can be asked.
fn confirm(
    chosen: &Waiting,
    terminal: Option<impl BufRead>,
    screen: &mut impl Write,
) -> Result<bool, Unanswered> {
    let mut terminal = terminal.ok_or(Unanswered::NoTerminal)?;
    let mut asked = || {
        text::whole(chosen, clock::now(), screen)?;
        write!(screen, "\nLet this call through, once? [y/N] ")?;
        screen.flush()?;
        let mut line = String::new();
        io::Read::take(&mut terminal, 64).read_line(&mut line)?;
        let is_yes = ["y", "yes"].contains(&&*line.trim().to_ascii_lowercase());
        if !is_yes {
            writeln!(screen, "Nothing was approved, and it goes on waiting.")?;
        }
        Ok(is_yes)
    };
    asked().map_err(Unanswered::NotConfirmed)
}

// === impl List ===

impl List {
    fn tell(
        &self,
        everything: &Everything,
        out: &mut impl Write,
        warnings: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        everything.warn(warnings);
        let told = if self.json {
            let listing = Listing {
                schema: SCHEMA,
                approvals: &everything.waiting,
                sidecars_silent: &everything.silent,
                enforcer_trouble: everything.trouble.as_ref().map(|trouble| chain(trouble)),
            };
            serde_json::to_writer_pretty(&mut *out, &listing)
                .map_err(Into::into)
                .and_then(|()| writeln!(out))
        } else {
            text::list(&everything.waiting, clock::now(), out)
        };
        told.map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::from(match (&everything.trouble, everything.silent.is_empty()) {
            (Some(trouble), _) => trouble.exit_code(),
            (None, false) => exit::NO,
            (None, true) => exit::OK,
        }))
    }
}

// === impl AnswerTo ===

impl AnswerTo {
    /// The one that is meant. Where the enforcer could not be asked and nothing here fits, that is
    /// the trouble.
    fn choose(&self, everything: Everything, warnings: &mut impl Write) -> Result<Waiting, Fault> {
        everything.warn(warnings);
        let Everything { waiting, trouble, .. } = everything;
        match (pick(waiting, &self.id), trouble) {
            (Ok(chosen), _) => Ok(chosen),
            (Err(NotOne::None { .. }), Some(trouble)) => {
                let code = trouble.exit_code();
                let id = Printable(&self.id).to_string();
                Err(Fault::new(code, Unanswered::Enforcer { id, trouble }))
            }
            (Err(not_one), _) => Err(Fault::new(exit::NO, Unanswered::NotOne(not_one))),
        }
    }

    fn tell(
        &self,
        chosen: &Waiting,
        decision: Decision,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let told = if self.json {
            let (id, place) = (&*chosen.id, &chosen.place);
            let outcome = Outcome { schema: SCHEMA, id, place, decision };
            serde_json::to_writer(&mut *out, &outcome)
                .map_err(Into::into)
                .and_then(|()| writeln!(out))
        } else {
            text::answered(chosen, decision, out)
        };
        told.map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::SUCCESS)
    }
}

// === impl Everything ===

impl Everything {
    fn warn(&self, warnings: &mut impl Write) {
        for silent in &self.silent {
            let _ = writeln!(warnings, "thoth: {silent}");
        }
        if let Some(trouble) = &self.trouble {
            let _ = writeln!(warnings, "thoth: {}", chain(trouble));
        }
    }
}

// === impl Keepers ===

impl Keepers {
    /// Reads where the enforcer is. What is wrong with other settings does not matter here, unless
    /// there is an enforcer to be asked wrongly.
    fn of(connection: &Connection, env: &Env) -> Result<Self, Fault> {
        let Connection { enforcer_url, tenant_id, api_key_file, api_key_command } =
            connection.clone();
        let flags = RunFlags {
            tenant_id,
            enforcer_url,
            api_key_file,
            api_key_command,
            ..RunFlags::default()
        };
        let reading = config::read(&flags, None, env, &Layers::of_system(env));
        let is_given = |name| {
            let mut shown = reading.shown().iter().filter(|shown| shown.name == name);
            shown.any(|shown| shown.origin != Origin::Default)
        };
        let config = if reading.draft().enforcer.is_some() || is_given(ENFORCER_URL.name) {
            reading.into_config().map_err(Fault::of(exit::CONFIGURATION))?
        } else {
            reading.draft().clone()
        };
        let enforcer = Keeper::of(&config).map_err(Fault::of(exit::CONFIGURATION))?;
        Ok(Self { config, enforcer })
    }

    async fn everything(&self) -> Everything {
        let scrub = self.config.friction.as_ref().map(|friction| friction.scrub.clone());
        let scrubber = Scrubber::new(scrub.unwrap_or_default());
        let (mut waiting, silent) = sidecars::waiting(&self.config.home, &scrubber).await;
        let mut trouble = None;
        if let Some(enforcer) = &self.enforcer {
            match enforcer.waiting(&scrubber).await {
                Ok(theirs) => waiting.extend(theirs),
                Err(why) => trouble = Some(why),
            }
        }
        waiting.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Everything { waiting, silent, trouble }
    }

    async fn answer(
        &self,
        chosen: &Waiting,
        decision: Decision,
        answer: &AnswerTo,
    ) -> Result<(), Fault> {
        let (id, note) = (Printable(&chosen.id).to_string(), answer.note.clone());
        match (&chosen.place, &self.enforcer) {
            (Place::Enforcer, Some(enforcer)) => {
                enforcer.resolve(&chosen.id, decision, note).await.map_err(|trouble| {
                    Fault::new(trouble.exit_code(), Unanswered::Enforcer { id, trouble })
                })
            }
            (Place::Enforcer, None) => unreachable!("it was listed by the enforcer"),
            (Place::Sidecar { session_id }, _) => {
                sidecars::resolve(&self.config.home, session_id, &chosen.id, decision, note)
                    .await
                    .map_err(|why| Fault::new(exit::NO, Unanswered::Sidecar { id, why }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
