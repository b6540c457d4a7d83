//! The sidecar of the demonstration: a real `thoth run` in a process of its own.
//!
//! It is told everything on its command line. `THOTH_*` and `BATON_*` variables of whoever tries
//! the demonstration are kept from it: neither their enforcer nor their profile takes part.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::time::Instant;

use super::client::{Client, lines};
use crate::config::variables::{Env, HOME_DIR};

/// The agent that the sidecar is told it serves.
pub(super) const AGENT: &str = "demo";

/// Where the sidecar is told it stands: where the built-in rules decide.
pub(super) const ENVIRONMENT: &str = "dev";

/// The longest an answer may take. A first `npx` downloads the server before it starts.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest the sidecar may take to end. It gives its server 1.6 s.
const FAREWELL: Duration = Duration::from_secs(10);

/// A running `thoth run` and the client in front of it. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Sidecar {
    process: Child,
    reader: Option<JoinHandle<()>>,
    client: Option<Client<ChildStdin>>,
}

/// What the sidecar is started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    /// The profile it keeps its journal in.
    pub(super) home: &'a Path,
    /// Its policy; `None` for the built-in baseline.
    pub(super) policy: Option<&'a Path>,
    /// Where the witness writes.
    pub(super) witness: &'a Path,
    /// The server; empty for the demonstration's own.
    pub(super) server: &'a [OsString],
    /// The environment it inherits, but for what speaks to thoth.
    pub(super) env: &'a Env,
}

// === impl Sidecar ===

impl Sidecar {
    /// Starts this very program as a sidecar.
    pub(super) fn start(setup: Setup<'_>) -> io::Result<Self> {
        let thoth = std::env::current_exe()?;
        let mut command = Command::new(&thoth);
        for name in setup.env.names().filter(|name| speaks_to_thoth(name)) {
            command.env_remove(name);
        }
        command
            .env(HOME_DIR.name, setup.home)
            .arg("run")
            .args(["--agent-id", AGENT, "--env", ENVIRONMENT])
            .args(["--enforcement-mode", "progressive", "--denial", "error"]);
        if let Some(policy) = setup.policy {
            command.arg("--policy").arg(policy);
        }
        command.arg("--").arg(&thoth).args(["demo-server", "--witness"]).arg(setup.witness);
        if !setup.server.is_empty() {
            command.arg("--").args(setup.server);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            unreachable!("it was spawned with two pipes")
        };
        let (said, reader) = lines(stdout);
        Ok(Self { process, reader: Some(reader), client: Some(Client::new(stdin, said, PATIENCE)) })
    }

    pub(super) fn client(&mut self) -> &mut Client<ChildStdin> {
        self.client
            .as_mut()
            .unwrap_or_else(|| unreachable!("only `end` takes it, and consumes the sidecar"))
    }

    /// Closes the session and waits for the process to end, at most 10 s. Whether it did.
    pub(super) fn end(mut self) -> io::Result<bool> {
        self.close()
    }

    fn close(&mut self) -> io::Result<bool> {
        let deadline = Instant::now() + FAREWELL;
        let Some(said) = self.client.take().map(Client::close) else {
            return Ok(false);
        };
        // What still comes is read, so that the sidecar is not stopped by a full pipe.
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match said.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(reader) = self.reader.take() {
            // Its queue is closed: it is at its end. What it could panic with, it has no use for.
            let _ = reader.join();
        }
        while self.process.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(true)
    }
}

impl Drop for Sidecar {
    /// A session that broke off is closed like any other, so that the sidecar ends its server. Only
    /// what is still there afterwards is killed. Nothing of this could be told to anybody.
    fn drop(&mut self) {
        let _ = self.close();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn speaks_to_thoth(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.starts_with("THOTH_") || name.starts_with("BATON_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_settings_stay_out_of_the_demonstration() {
        let names = ["PATH", "THOTH_ENV", "thoth_env", "BATON_SINK", "XTHOTH_ENV"];
        let ours: Vec<_> = names.into_iter().filter(|name| speaks_to_thoth(name)).collect();
        assert_eq!(ours, ["THOTH_ENV", "thoth_env", "BATON_SINK"]);
    }
}
