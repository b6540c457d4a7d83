//! `thoth launch`: starts a client with every server governed, for this one launch.
//!
//! The client is started in thoth's own process group and on its terminal, so that keys such as
//! ctrl-C reach it as they always do; signals that are sent to thoth alone are handed on. What was
//! written for it is removed when it has ended.

mod client;
mod served;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::runtime;

use self::client::Client;
use self::served::Servers;
use super::exit;
use super::fault::Fault;
use super::mcp_config::{Plan, Wish};
use crate::clients::launch::emit::Emission;
use crate::clients::launch::room::{self, Room};
use crate::clients::launch::{Delivery, Handover, Recipe};
use crate::config;
use crate::config::variables::{Env, LAUNCH_SECRET, XDG_RUNTIME_DIR};
use crate::listener::Secret;

/// Start a client with every server governed, for this one launch
///
/// The client's configuration is written to a private directory that is gone when the client has
/// ended, and the client is told of it in the way that it has for that. Which servers it has is as
/// for `thoth mcp-config`.
///
/// Exit status: the command's own, or 128 + n where signal n ended it; 64 the command line, or a client
/// that is not known or cannot be told of servers for one launch; 78 as for mcp-config; 126 or 127 the
/// command cannot be run or was not found.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  thoth launch --client claude -- claude
  thoth launch --client claude --policy read-only.toml -- claude -p 'what changed?'
  thoth launch --client codex --server docs=https://docs.example.com/mcp -- codex")]
pub(crate) struct Args {
    #[command(flatten)]
    wish: Wish,

    /// Serve every server at an address of this machine, with a secret of this launch, instead of
    /// letting the client start it
    #[arg(long)]
    serve: bool,

    /// The client's command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// One launch.
struct Launch<'a> {
    plan: &'a Plan,
    room: Option<&'a Room>,
    serve: bool,
    env: &'a Env,
}

/// The client cannot be launched so.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(
        "{flag} is among the command's arguments already; thoth launch gives it, and it counts once"
    )]
    Given { flag: String },
    #[error(
        "{name} takes no configuration for one launch; \
         write it with `thoth mcp-config --client {id} --out FILE`, where FILE is {place}"
    )]
    Placed { name: &'static str, id: &'static str, place: &'static str },
    #[error("the path {} is not UTF-8", .0.display())]
    NotText(PathBuf),
}

impl Args {
    pub(crate) fn run(self, env: &Env) -> Result<ExitCode, Fault> {
        let err = &mut io::stderr();
        let plan = Plan::make(&self.wish, &[], self.serve, env, err)?;
        let recipe = plan.recipe;
        let [program, arguments @ ..] = &self.command[..] else {
            unreachable!("clap requires a command");
        };
        if let Some(flag) = given(recipe, arguments) {
            return Err(Fault::new(exit::USAGE, Unfit::Given { flag }));
        }
        let over = self.wish.overrides(env);
        let home = config::home(env);
        let runtime = || env.get(&XDG_RUNTIME_DIR).map(Path::new);
        let out = over.out.as_deref();
        let base = out.map_or_else(|| room::base(runtime(), &home), room::below);
        if let Delivery::Place(place) = recipe.delivery {
            let (name, id) = (recipe.name, recipe.id);
            return Err(Fault::new(exit::USAGE, Unfit::Placed { name, id, place }));
        }
        let is_written = !matches!(recipe.delivery, Delivery::Words { .. } | Delivery::Text(_));
        let room = (is_written || self.serve)
            .then(|| Room::make(&base))
            .transpose()
            .map_err(Fault::of(exit::NO))?;
        let launch = Launch { plan: &plan, room: room.as_ref(), serve: self.serve, env };
        let directory = over.cwd;
        let done = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?
            .block_on(launch.live(program, arguments, directory, &home));
        drop(room);
        done.map(ExitCode::from)
    }
}

// === impl Launch ===

impl Launch<'_> {
    async fn live(
        &self,
        program: &str,
        arguments: &[String],
        directory: Option<PathBuf>,
        home: &Path,
    ) -> Result<u8, Fault> {
        let secret = Secret::random();
        let mut servers = Servers::default();
        let mut variables = Vec::new();
        let emission = match self.room.filter(|_| self.serve) {
            None => self.plan.emit()?,
            Some(room) => {
                let handover = self.plan.recipe.dialect.address.map(|address| address.secret);
                let in_path = handover == Some(Handover::Path);
                servers = Servers::start(self.plan, &secret, in_path, room, self.env)
                    .await
                    .map_err(Fault::of(exit::UNAVAILABLE))?;
                if !in_path {
                    variables.push((LAUNCH_SECRET.name, secret.text().to_owned()));
                }
                self.plan.emit_served(&servers.served)?
            }
        };
        let mut words = self.words(emission, &mut variables)?;
        self.plan.remember(home)?;
        // First: what stands behind `--`, or is a prompt, is the client's own.
        words.extend_from_slice(arguments);
        let client = Client { program, arguments: &words, variables, directory };
        let code = client.live(is_on_terminal()).await;
        servers.end().await;
        code.map_err(|lost| Fault::new(lost.exit_code(), lost))
    }

    /// The words that tell the client, and the variables.
    fn words(
        &self,
        emission: Emission,
        variables: &mut Vec<(&'static str, String)>,
    ) -> Result<Vec<String>, Fault> {
        let mut words = Vec::new();
        match (self.plan.recipe.delivery, emission.text) {
            (Delivery::Flag { flag, mark, with, .. }, Some(text)) => {
                words.extend([flag.to_owned(), format!("{mark}{}", self.put(&text)?)]);
                words.extend(with.iter().map(|word| (*word).to_owned()));
            }
            (Delivery::Path(variable), Some(text)) => variables.push((variable, self.put(&text)?)),
            (Delivery::Text(variable), Some(text)) => variables.push((variable, text)),
            (Delivery::Words { .. } | Delivery::Place(_), _) | (_, None) => {}
        }
        words.extend(emission.words);
        Ok(words)
    }

    fn put(&self, text: &str) -> Result<String, Fault> {
        let room = self.room.unwrap_or_else(|| unreachable!("a file has a room"));
        let path = room.put("mcp.json", text).map_err(Fault::of(exit::NO))?;
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| Fault::new(exit::NO, Unfit::NotText(path)))
    }
}

/// Whether keys reach the client by themselves.
fn is_on_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// The flag of ours that the command has already, if it has one.
fn given(recipe: &Recipe, arguments: &[String]) -> Option<String> {
    let is = |argument: &str, flag: &str| {
        argument == flag || argument.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
    };
    let before_end = arguments.iter().take_while(|argument| *argument != "--");
    match recipe.delivery {
        Delivery::Flag { flag, with, rivals, .. } => {
            let ours: Vec<_> = [flag].iter().chain(with).chain(rivals).copied().collect();
            let mut words = before_end;
            words.find_map(|word| {
                ours.iter().find(|flag| is(word, flag)).map(|flag| (*flag).to_owned())
            })
        }
        Delivery::Words { flags } => {
            let root = recipe.dialect.root;
            let words: Vec<_> = before_end.map(String::as_str).collect();
            let says = |text: &str| {
                text.trim_start_matches(['"', '\''])
                    .strip_prefix(root)
                    .is_some_and(|rest| rest.starts_with(['.', '=', ' ']))
            };
            words.iter().enumerate().find_map(|(at, word)| {
                let flag = flags.iter().find(|flag| word.starts_with(**flag))?;
                let joined = word[flag.len()..].trim_start_matches('=');
                let value = if joined.is_empty() { words.get(at + 1).copied()? } else { joined };
                says(value).then(|| format!("{flag} {root}"))
            })
        }
        Delivery::Path(_) | Delivery::Text(_) | Delivery::Place(_) => None,
    }
}
