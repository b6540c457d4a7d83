//! Runs a program that prints a credential.
//!
//! No shell; nothing to read; a process group of its own, which is killed whole where it does not
//! end in time or says too much. What it says on standard error is not read at all: nobody can
//! tell which part of that is the secret. It sees none of thoth's own variables.
//!
//! # Limits
//!
//! The command has ended when its output has: a process that it leaves behind must not keep its
//! standard output. On Windows, what the program has started is not killed with it.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::content::Content;
use super::words::{self, NotWords};
use super::{Flaw, MAX_OUTPUT};

/// The longest a command may take.
const LONGEST: Duration = Duration::from_secs(10);

/// A command that prints a credential. `Debug` shows the program, and not its arguments.
#[derive(Clone)]
pub struct Invocation {
    words: Vec<String>,
    withheld: Vec<String>,
    limit: Duration,
}

/// A process that is killed with its group when it is dropped before its end.
struct Running(Child);

// === impl Invocation ===

impl Invocation {
    /// A command as it stands in a setting: words between blanks, which may be quoted with `"` or
    /// `'`, or a JSON array of texts. `withheld` are names of variables that it must not see.
    ///
    /// # Errors
    ///
    /// [`NotWords`].
    pub fn parse(text: &str, withheld: Vec<String>) -> Result<Self, NotWords> {
        Ok(Self { words: words::split(text)?, withheld, limit: LONGEST })
    }

    /// The program, as it is looked for.
    pub fn program(&self) -> &str {
        &self.words[0]
    }

    /// Runs it and reads what it prints. Takes 10 s at most.
    ///
    /// Cancel safe: dropping the future kills the program.
    pub(super) async fn run(&self) -> Result<Content, Flaw> {
        let mut command = Command::new(self.program());
        command
            .args(&self.words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        for name in &self.withheld {
            command.env_remove(name);
        }
        #[cfg(unix)]
        command.process_group(0);
        let mut running = Running(command.spawn().map_err(|_| Flaw::NotStarted)?);
        timeout(self.limit, running.output()).await.map_err(|_| Flaw::TimedOut)?
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Invocation").field(&self.program()).finish_non_exhaustive()
    }
}

// === impl Running ===

impl Running {
    async fn output(&mut self) -> Result<Content, Flaw> {
        let mut bytes = Vec::new();
        if let Some(stdout) = self.0.stdout.take() {
            let read = stdout.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await;
            read.map_err(|_| Flaw::Failed)?;
        }
        if bytes.len() as u64 > MAX_OUTPUT {
            return Err(Flaw::TooLong);
        }
        let exit = self.0.wait().await.map_err(|_| Flaw::Failed)?;
        if !exit.success() {
            return Err(Flaw::Failed);
        }
        Content::parse(&bytes)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without an id it was waited for; with one, nobody else can have its group's number.
        #[cfg(unix)]
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            use nix::sys::signal::{Signal, killpg};
            let _ = killpg(nix::unistd::Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}
