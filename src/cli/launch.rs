//! `thoth launch`: starts a client with every server governed, for this one launch.
//!
//! The client is started in thoth's own process group and on its terminal, so that keys such as
//! ctrl-C reach it as they always do; signals that are sent to thoth alone are handed on. What was
//! written for it is removed when it has ended.

mod client;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime;

use super::exit;
use super::fault::Fault;
use super::mcp_config::{Plan, Wish};
use crate::clients::launch::emit::Emission;
use crate::clients::launch::room::{self, Room};
use crate::clients::launch::{Delivery, Recipe};
use crate::config;
use crate::config::variables::{Env, XDG_RUNTIME_DIR};

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

    /// The client's command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
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
        let plan = Plan::make(&self.wish, &[], env, err)?;
        let recipe = plan.recipe;
        let [program, arguments @ ..] = &self.command[..] else {
            unreachable!("clap requires a command");
        };
        if let Some(flag) = given(recipe, arguments) {
            return Err(Fault::new(exit::USAGE, Unfit::Given { flag }));
        }
        let over = self.wish.overrides(env);
        let home = config::home(env);
        let base = over.out.clone().unwrap_or_else(|| {
            room::base(env.get(&XDG_RUNTIME_DIR).map(std::path::Path::new), &home)
        });
        let mut words = Vec::new();
        let mut variables = Vec::new();
        let room = match (recipe.delivery, plan.emit()?) {
            (Delivery::Place(place), _) => {
                let (name, id) = (recipe.name, recipe.id);
                return Err(Fault::new(exit::USAGE, Unfit::Placed { name, id, place }));
            }
            (_, Emission::Words(emitted)) => {
                words = emitted;
                None
            }
            (Delivery::Text(variable), Emission::File(text)) => {
                variables.push((variable, text));
                None
            }
            (delivery, Emission::File(text)) => {
                let room = Room::make(&base).map_err(Fault::of(exit::NO))?;
                let path = room.put("mcp.json", &text).map_err(Fault::of(exit::NO))?;
                let path = path
                    .to_str()
                    .ok_or_else(|| Fault::new(exit::NO, Unfit::NotText(path.clone())))?
                    .to_owned();
                match delivery {
                    Delivery::Flag { flag, mark, with } => {
                        words.extend([flag.to_owned(), format!("{mark}{path}")]);
                        words.extend(with.iter().map(|word| (*word).to_owned()));
                    }
                    Delivery::Path(variable) => variables.push((variable, path)),
                    Delivery::Words { .. } | Delivery::Text(_) | Delivery::Place(_) => {}
                }
                Some(room)
            }
        };
        plan.remember(&home)?;

        // First: what a command takes behind `--`, or as a prompt, is its own.
        words.extend_from_slice(arguments);
        let is_on_terminal =
            [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()]
                .contains(&true);
        let client = client::Client { program, arguments: &words, variables, directory: over.cwd };
        let code = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?
            .block_on(client.live(is_on_terminal));
        drop(room);
        code.map(ExitCode::from).map_err(|lost| Fault::new(lost.exit_code(), lost))
    }
}

/// The flag of ours that the command has already, if it has one.
fn given(recipe: &Recipe, arguments: &[String]) -> Option<String> {
    let is = |argument: &str, flag: &str| {
        argument == flag || argument.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
    };
    let before_end = arguments.iter().take_while(|argument| *argument != "--");
    match recipe.delivery {
        Delivery::Flag { flag, with, .. } => {
            let ours: Vec<_> = [flag].iter().chain(with).copied().collect();
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
