//! The MCP server as a process: found, started in a group of its own, and ended with all it started.
//!
//! Not here: what is written to it and what its lines mean (`pump`), and when it is to end.
//!
//! # Invariants
//!
//! - The child never sees a variable of ours: no `THOTH_*`, no `BATON_*`, no other name that
//!   [`Launch::withheld`] lists.
//! - Nothing of its process group outlives it: not when it ends, not when [`Child`] is dropped, and
//!   on Unix not when thoth itself is killed (`child/unix.rs` says how).
//! - Whoever reads [`Output`] comes to an end, even where a stranger holds the other end open.
//! - No zombies: [`Child::end`] reaps what was started here; after a drop the runtime does.
//!
//! # Limits
//!
//! - A process that left the group (`setsid`, a daemon, the browser of a login) asked to live on,
//!   and does.
//! - Windows: one process is ended, by force, after the grace; what it started, and all of it where
//!   thoth itself is killed, learns of the end from its closed input only. A job object would do
//!   more, and needs code that is not safe Rust.

mod environment;
#[cfg(unix)]
#[path = "child/unix.rs"]
mod group;
#[cfg(windows)]
#[path = "child/windows.rs"]
mod group;
#[cfg(unix)]
mod nvm;
mod output;
mod search;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use environment::Environment;
use group::Group;
pub use output::Output;

/// How long a process that was killed by force may take to be gone: one that waits for a dead
/// network disk may never be, and every wait ends.
const KILLED: Duration = Duration::from_secs(5);

/// What to start, and in which surroundings.
pub struct Launch {
    /// The command, as the user wrote it: a name to look for, or a path.
    pub command: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// This process's environment; what is ours is taken out here.
    pub environment: Vec<(OsString, OsString)>,
    /// Names of further variables that are ours alone, such as one that holds a credential.
    pub withheld: Vec<String>,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The directory thoth was started in no longer exists, or may not be entered.
    #[error("the current directory is gone or closed to this user; start thoth in another")]
    NoDirectory(#[source] io::Error),
    /// There is no such command.
    #[error(
        "`{command}` was found neither in PATH nor in the usual directories; \
         install it, or give its full path"
    )]
    NotFound {
        /// The command, as the user wrote it.
        command: String,
    },
    /// There is such a file, and it cannot be run.
    #[error(
        "{} is there but cannot be run; is it executable by this user, \
         and for a script, is its interpreter there?",
        path.display()
    )]
    NotRunnable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// How long each step of [`Child::end`] waits before the next.
///
/// By default 1.8 s in all: MCP clients escalate 2 s after they closed our input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ladder {
    /// From closing its input to SIGTERM. Default 1.2 s.
    pub grace: Duration,
    /// From SIGTERM to SIGKILL. Default 0.4 s.
    pub term: Duration,
    /// From its end to the end of its output, while others hold that open. Default 0.2 s.
    pub drain: Duration,
}

/// A running MCP server.
///
/// Dropped before its [`end`](Child::end), it is killed with its group.
#[derive(Debug)]
pub struct Child {
    /// What it reads. Dropped, its input is closed.
    pub stdin: Option<ChildStdin>,
    /// What it writes. To be read until its end while [`Child::end`] waits, side by side.
    pub stdout: Option<Output>,
    process: tokio::process::Child,
    /// `None` once nobody of it is left.
    group: Option<Group>,
    /// Nobody reads its output any more: it came to its end, or the reader was dropped.
    read: CancellationToken,
    /// The group is dead: what is not in the pipe by now does not come any more.
    dead: CancellationToken,
}

/// How the child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exit(ExitStatus);

// === impl SpawnError ===

impl SpawnError {
    /// What thoth exits with: 127 where there is no such command, else 126, as shells do.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NoDirectory(_) | Self::NotRunnable { .. } => 126,
        }
    }
}

// === impl Ladder ===

impl Ladder {
    /// No waiting at all: for a second signal.
    pub const AT_ONCE: Self =
        Self { grace: Duration::ZERO, term: Duration::ZERO, drain: Duration::ZERO };
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            grace: Duration::from_millis(1200),
            term: Duration::from_millis(400),
            drain: Duration::from_millis(200),
        }
    }
}

// === impl Child ===

impl Child {
    /// Finds the command and starts it: input and output piped, standard error passed through.
    ///
    /// A name is looked for in the `PATH` of [`Launch::environment`], then in the directories that
    /// a client started from a desktop does not know of. One found there is put first in the
    /// child's own `PATH`, because `npx` needs the `node` beside it.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]; nothing was started.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub fn spawn(launch: Launch) -> Result<Self, SpawnError> {
        std::env::current_dir().map_err(SpawnError::NoDirectory)?;
        let mut environment = Environment::new(launch.environment);
        let found = search::find(&launch.command, &environment)?;
        environment.withhold(&launch.withheld);
        if let Some(directory) = &found.beyond_path {
            environment.put_first_in_path(directory);
        }

        let mut command = Command::new(&found.program);
        command
            .args(launch.arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.arg0(&launch.command); // what the client's own `execvp` would have passed
        Group::found(&mut command);

        let mut process = command
            .spawn()
            .map_err(|source| SpawnError::NotRunnable { path: found.program, source })?;
        let group = Group::around(&process);
        let (read, dead) = (CancellationToken::new(), CancellationToken::new());
        Ok(Self {
            stdin: process.stdin.take(),
            stdout: process.stdout.take().map(|pipe| Output::new(pipe, &read, &dead)),
            process,
            group: Some(group),
            read,
            dead,
        })
    }

    /// Its process id, which is also its group's on Unix; `None` once it was seen to have ended.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits until the child has ended by itself; then call [`Child::end`] for those it left.
    ///
    /// Cancel safe, and may be called again: the answer stays.
    ///
    /// # Errors
    ///
    /// Where the system cannot say.
    pub async fn exited(&mut self) -> io::Result<Exit> {
        self.process.wait().await.map(Exit)
    }

    /// Ends the child and all of its group, in order, and says how the child ended.
    ///
    /// Its input is closed (drop [`Child::stdin`] where that was taken); after
    /// [`grace`](Ladder::grace) its group gets SIGTERM, after [`term`](Ladder::term) SIGKILL. Each
    /// step is skipped when the child has ended before it. Then its output is read to its end by
    /// whoever took [`Child::stdout`], for [`drain`](Ladder::drain) at most, and what is left of
    /// the group is killed.
    ///
    /// Cancel safe: what was done stays done, and a second call begins with the first wait again.
    /// After the end it returns the same answer at once.
    ///
    /// # Errors
    ///
    /// Where the system cannot say how it ended; `TimedOut` where not even SIGKILL ended it.
    pub async fn end(&mut self, ladder: Ladder) -> io::Result<Exit> {
        drop(self.stdin.take());
        if timeout(ladder.grace, self.exited()).await.is_err() {
            self.with_group(Group::terminate);
            if timeout(ladder.term, self.exited()).await.is_err() {
                self.with_group(Group::kill);
            }
        }
        let exit = killed(self.exited()).await?;

        if self.group.is_some() && self.stdout.is_none() {
            let _ = timeout(ladder.drain, self.read.cancelled()).await;
        }
        self.with_group(Group::kill);
        if let Some(group) = &mut self.group {
            killed(group.reap()).await?;
        }
        self.group = None;
        self.dead.cancel();
        Ok(exit)
    }

    /// Asks the child and all of its group to end, and does not wait; then call [`Child::end`].
    pub fn terminate(&mut self) {
        self.with_group(Group::terminate);
    }

    fn with_group(&mut self, act: impl FnOnce(&Group, &mut tokio::process::Child)) {
        if let Some(group) = &self.group {
            act(group, &mut self.process);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.with_group(Group::kill);
        self.dead.cancel();
    }
}

/// Waits for those who were killed, but not for ever.
async fn killed<T>(end: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "killed by force, and still not gone");
    timeout(KILLED, end).await.map_err(late)?
}

// === impl Exit ===

impl Exit {
    /// What thoth exits with: the child's own code, or 128 + n where signal n killed it.
    ///
    /// A Windows code that does not fit becomes its low byte, and 1 where that would say success.
    pub fn code(self) -> u8 {
        match (self.0.code(), self.signal()) {
            (Some(code), _) => {
                u8::try_from(code).unwrap_or_else(|_| (code.to_le_bytes()[0]).max(1))
            }
            (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            (None, None) => 1,
        }
    }

    /// The signal that killed it; `None` where it ended by itself, and on Windows.
    pub fn signal(self) -> Option<i32> {
        #[cfg(unix)]
        return std::os::unix::process::ExitStatusExt::signal(&self.0);
        #[cfg(windows)]
        return None;
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
