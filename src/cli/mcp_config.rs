//! `thoth mcp-config`: writes what a client is told of its servers for one launch.
//!
//! What is found, chosen and written is [`crate::clients::launch`]'s; here is what is asked for,
//! and what is told of what was left out.

mod plan;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) use self::plan::Plan;
use super::exit;
use super::fault::Fault;
use crate::clients::launch::emit::Emission;
use crate::config;
use crate::config::agents;
use crate::config::variables::Env;
use crate::profile;

/// Write a client's configuration for one launch: every server governed, no secret in it
///
/// The servers are those that the client would find by itself: the user's, and of a project's those
/// that the user approved in the client, or that are trusted with --trust-project. What is left out is
/// told on stderr, with the reason. For Codex, which takes no file, the words for its command line
/// are written.
///
/// Exit status: 0 done; 64 the command line, or a client that is not known; 78 a file of the client
/// cannot be read, or a server cannot be governed without copying a secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  thoth mcp-config --client claude --out mcp.json
  thoth mcp-config --client claude --out - --policy read-only.toml --trust-project
  thoth mcp-config --client claude --out mcp.json --server files -- npx -y server-files .
  eval \"codex $(thoth mcp-config --client codex --out -)\"")]
pub(crate) struct Args {
    #[command(flatten)]
    wish: Wish,

    /// Where to: a new file, or `-` for standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Write over a file that is there
    #[arg(long)]
    force: bool,

    /// The command of the server that --server names without an address
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What is asked for, of `mcp-config` and of `launch`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Wish {
    /// The client: claude, codex, gemini, copilot, kimi, qwen, kilo, cursor, vscode, antigravity
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: String,

    /// The project whose servers are taken as well [default: the current directory]
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,

    /// A server besides, by its address; it goes before any other of its name; may be repeated
    #[arg(long, value_name = "NAME=URL")]
    server: Vec<String>,

    /// Take the project's servers as they are now, and remember them; one that changes is not taken
    /// again
    #[arg(long)]
    trust_project: bool,

    /// A server that is left out; may be repeated
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,

    /// Who calls, for every server [default: each server's name]
    #[arg(long, value_name = "ID")]
    agent_id: Option<String>,

    /// The tenant at the enforcer
    #[arg(long, value_name = "TENANT")]
    tenant_id: Option<String>,

    /// The person, for most enforcers an e-mail address
    #[arg(long, value_name = "USER")]
    user_id: Option<String>,

    /// A rule file, or the name of a built-in pack; may be repeated
    #[arg(long, value_name = "FILE")]
    policy: Vec<String>,

    /// Base address of the enforcer: https, or http to this machine
    #[arg(long, value_name = "URL")]
    enforcer_url: Option<String>,

    /// How verdicts are enforced: observe (or shadow), progressive, `step_up`, block
    #[arg(long, value_name = "MODE")]
    enforcement_mode: Option<String>,

    /// What the session is for
    #[arg(long, value_name = "INTENT")]
    session_intent: Option<String>,

    /// What the session is approved for, separated by commas
    #[arg(long, value_name = "A,B")]
    approved_scope: Option<String>,

    /// What happens to a step-up: return, wait, elicit, auto
    #[arg(long, value_name = "HOW")]
    step_up: Option<String>,

    /// Where this machine stands: dev, staging, prod
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<String>,
}

/// What was written has no place.
#[derive(Debug, thiserror::Error)]
enum Misplaced {
    #[error("say where to: --out FILE, or --out - for standard output")]
    Nowhere,
    #[error("{} is there already; --force writes over it", .0.display())]
    There(PathBuf),
    #[error("{} is no place for a file", .0.display())]
    NoFile(PathBuf),
}

impl Args {
    pub(crate) fn run(self, env: &Env, out: &mut impl Write) -> Result<ExitCode, Fault> {
        let err = &mut io::stderr();
        let over = self.wish.overrides(env);
        let plan = Plan::make(&self.wish, &self.command, false, env, err)?;
        let Some(target) = self.out.or(over.out) else {
            return Err(Fault::new(exit::USAGE, Misplaced::Nowhere));
        };
        let Emission { text, words } = plan.emit()?;
        let text = match text {
            Some(text) => text,
            None => plan::quoted(&words) + "\n",
        };
        if target.as_os_str() == "-" {
            out.write_all(text.as_bytes()).map_err(Fault::of(exit::NO))?;
            out.flush().map_err(Fault::of(exit::NO))?;
        } else {
            put(&target, &text, self.force)?;
            plan.tell_use(&target, &words, err);
        }
        plan.remember(&config::home(env))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn put(target: &Path, text: &str, force: bool) -> Result<(), Fault> {
    let whole = std::path::absolute(target).map_err(Fault::of(exit::NO))?;
    let (Some(above), Some(name)) =
        (whole.parent(), whole.file_name().and_then(|name| name.to_str()))
    else {
        return Err(Fault::new(exit::USAGE, Misplaced::NoFile(target.to_owned())));
    };
    if !force && std::fs::symlink_metadata(&whole).is_ok() {
        return Err(Fault::new(exit::USAGE, Misplaced::There(target.to_owned())));
    }
    profile::replace(above, name, text.as_bytes()).map_err(Fault::of(exit::NO))
}

// === impl Wish ===

impl Wish {
    /// What the environment says of the agent.
    pub(super) fn overrides(&self, env: &Env) -> agents::Overrides {
        self.agent_id.as_deref().map(|agent| agents::overrides(env, agent)).unwrap_or_default()
    }
}
