//! Servers behind addresses of this machine, for the time of one launch: a `thoth serve` for each.
//!
//! Each is started in a process group of its own, so that keys for the client do not end it, and
//! ends with the pipe that is its input: when the launch has, however that was. Its secret comes in
//! a variable, and it tells where it listens on the pipe that is its output.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use crate::cli::mcp_config::Plan;
use crate::clients::document::Value;
use crate::clients::launch::emit::Served;
use crate::clients::launch::refer::expand;
use crate::clients::launch::room::{NoRoom, Room};
use crate::clients::launch::{Flaw, Governed};
use crate::config::variables::{Env, LAUNCH_SECRET};
use crate::listener::Secret;

/// The longest until one listens.
const READY: Duration = Duration::from_secs(30);

/// The longest their end takes: `thoth serve` itself gives its sessions 5 s, and whoever is killed
/// before has not ended its servers.
const END: Duration = Duration::from_secs(8);

/// The longest line that says where it listens, in bytes.
const LINE: u64 = 4096;

/// Servers that listen.
#[derive(Debug, Default)]
pub(super) struct Servers {
    children: Vec<Child>,
    pub(super) served: Vec<Served>,
}

/// A server does not listen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silent {
    #[error("the server {name}")]
    Flaw {
        name: String,
        #[source]
        source: Flaw,
    },
    #[error("the server {name} cannot be served")]
    Start {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("the server {name} does not listen{told}")]
    Mute { name: String, told: String },
    #[error(transparent)]
    Room(#[from] NoRoom),
}

#[derive(Deserialize)]
struct Told {
    url: String,
    port: u16,
}

// === impl Servers ===

impl Servers {
    /// Starts a `thoth serve` for each that can be served, and waits until all listen. Where one does not, all end.
    /// With `in_path`, the addresses hold the secret.
    pub(super) async fn start(
        plan: &Plan,
        secret: &Secret,
        in_path: bool,
        room: &Room,
        env: &Env,
    ) -> Result<Self, Silent> {
        let mut started = Self::default();
        let mut listening = Vec::new();
        let servers = plan.servers().iter().filter(|server| plan.recipe.can_serve(server));
        for (at, server) in servers.enumerate() {
            let name = || server.name.clone();
            let log = room.put(&format!("serve-{at}.log"), "")?;
            let mut command =
                command(server, env).map_err(|source| Silent::Flaw { name: name(), source })?;
            command.env(LAUNCH_SECRET.name, secret.text());
            let spawned = std::fs::File::options()
                .append(true)
                .open(&log)
                .and_then(|log| command.stderr(log).spawn());
            let child = spawned.map_err(|source| Silent::Start { name: name(), source })?;
            started.children.push(child);
            listening.push((name(), log));
        }
        for ((name, log), child) in listening.into_iter().zip(&mut started.children) {
            let Some(told) = ready(child).await else {
                return Err(Silent::Mute { name, told: last_words(&log) });
            };
            let url = if in_path {
                format!("http://127.0.0.1:{}/{}/mcp", told.port, secret.text())
            } else {
                told.url
            };
            started.served.push(Served { name, url });
        }
        Ok(started)
    }

    /// Ends all of them, and waits for it.
    pub(super) async fn end(mut self) {
        for child in &mut self.children {
            drop(child.stdin.take());
        }
        let end = Instant::now() + END;
        for child in &mut self.children {
            if timeout_at(end, child.wait()).await.is_err() {
                let _ = child.kill().await; // it is gone, or will be
            }
        }
    }
}

fn command(server: &Governed, env: &Env) -> Result<Command, Flaw> {
    let expand = |text: &str| expand(text, |name| env.text_of(name));
    let [_run, args @ ..] = &server.args[..] else { unreachable!("`govern` writes `run` first") };
    let mut command = Command::new(&server.command);
    command.args(["serve", "--secret-env", LAUNCH_SECRET.name]);
    for arg in args {
        command.arg(expand(arg)?);
    }
    for (name, value) in &server.env {
        let value =
            value.text().ok_or_else(|| Flaw::Odd(format!("its variable {name} is no text")))?;
        command.env(name, expand(value)?);
    }
    let member = |name: &str| server.rest.iter().find(|(member, _)| member == name);
    if let Some(directory) = member("cwd").and_then(|(_, value)| Value::text(value)) {
        command.current_dir(expand(directory)?);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    Ok(command)
}

async fn ready(child: &mut Child) -> Option<Told> {
    let output = child.stdout.take()?;
    let mut line = String::new();
    let mut reader = BufReader::new(output.take(LINE));
    timeout(READY, reader.read_line(&mut line)).await.ok()?.ok()?;
    serde_json::from_str(&line).ok()
}

/// What it said before it ended, if anything.
fn last_words(log: &PathBuf) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(":\n{text}") }
}
