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
    pub(super) async fn run(&self) -> Result<Vec<u8>, Flaw> {
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
    async fn output(&mut self) -> Result<Vec<u8>, Flaw> {
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
        Ok(bytes)
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::path::Path;

    use super::super::content::Secret;
    use super::*;
    use crate::secret::ApiKey;

    /// A shell, which a user may well ask for, since there is none by itself.
    fn shell(script: &str, of: &Path) -> Invocation {
        let words = ["sh", "-c", script, of.to_str().unwrap()];
        Invocation::parse(&serde_json::to_string(&words).unwrap(), Vec::new()).unwrap()
    }

    async fn printed(script: &str) -> Result<String, Flaw> {
        let printed = shell(script, Path::new("x")).run().await?;
        let content = <ApiKey as Secret>::parse(&printed)?;
        Ok(content.secret.api_key().to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn what_a_command_prints_is_the_secret_if_it_ends_well() {
        for (script, expected) in [
            ("echo t1", Ok("t1")),
            (r#"printf '{"token":"t1","expires_at":"2026-11-21T12:00:00Z"}'"#, Ok("t1")),
            ("echo t1; echo hunter2 >&2", Ok("t1")),
            ("echo t1; exit 1", Err(Flaw::Failed)),
            ("echo t1; kill -9 $$", Err(Flaw::Failed)),
            ("true", Err(Flaw::Empty)),
            ("echo t1; echo t2", Err(Flaw::Unsendable)),
            (r#"printf '{"token":'"#, Err(Flaw::NotJson)),
            (r"printf '\377'", Err(Flaw::NotUtf8)),
            ("cat && echo t1", Ok("t1")), // there is nothing to read, not even the client's lines
            ("while echo 0123456789; do :; done", Err(Flaw::TooLong)),
        ] {
            let printed = printed(script).await;
            assert_eq!(printed.as_deref().map_err(|flaw| *flaw), expected, "{script}");
        }
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_said_to_be() {
        for text in ["/no/such/program", "no-such-program-anywhere x", "/etc/hostname"] {
            let invocation = Invocation::parse(text, Vec::new()).unwrap();
            assert_eq!(invocation.run().await.unwrap_err(), Flaw::NotStarted, "{text}");
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("alive");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let script = r#"exec 3>"$0"; echo up >&3; trap '' TERM; sleep 1000 & sleep 1000; echo t1"#;
        let hanging = shell(script, &pipe);
        let running = tokio::spawn(async move { hanging.run().await });

        let (up, is_up) = tokio::sync::oneshot::channel();
        let watching = std::thread::spawn(move || {
            let mut held = fs::File::open(pipe).unwrap();
            held.read_exact(&mut [0; 3]).unwrap();
            up.send(()).unwrap();
            held.read_to_end(&mut Vec::new()).unwrap(); // until nobody holds the other end
        });
        is_up.await.unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        watching.join().unwrap();

        let limit = Duration::from_millis(50);
        let late = Invocation { limit, ..shell("sleep 1000; echo t1", Path::new("x")) };
        assert_eq!(late.run().await.unwrap_err(), Flaw::TimedOut);
    }

    #[tokio::test]
    async fn a_command_sees_none_of_our_variables() {
        // Whatever stands in this process's environment stands for ours.
        let print = "printf x; env | sed -n 's/^PATH=.*/with-path/p'";
        let words = serde_json::to_string(&["sh", "-c", print]).unwrap();
        for (withheld, expected) in [(vec![], "xwith-path"), (vec!["PATH".to_owned()], "x")] {
            let seen = Invocation { withheld, ..Invocation::parse(&words, vec![]).unwrap() };
            let seen = seen.run().await.map(|seen| String::from_utf8(seen).unwrap());
            // Without a PATH, `env` may not be found: then nothing is printed of it either.
            assert_eq!(seen.unwrap().trim(), expected);
        }
    }

    #[test]
    fn its_arguments_do_not_show() {
        let invocation = Invocation::parse("print-key --with hunter2", Vec::new()).unwrap();
        assert_eq!(format!("{invocation:?}"), r#"Invocation("print-key", ..)"#);
    }
}
