//! The client's process: started on our terminal, in our process group, and waited for.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use tokio::process::Command;

use crate::cli::exit;

/// A client that is to be started.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) program: &'a str,
    pub(super) arguments: &'a [String],
    /// Variables besides those of this process.
    pub(super) variables: Vec<(&'static str, String)>,
    /// The directory it works in; without, this one.
    pub(super) directory: Option<PathBuf>,
}

/// There is no client, or nobody knows how it ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("cannot start {program}")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot listen for signals")]
    Deaf(#[source] io::Error),
    #[error("lost the client")]
    Process(#[source] io::Error),
}

// === impl Client ===

impl Client<'_> {
    /// Starts it and waits for its end: what it exits with.
    ///
    /// Signals that reach thoth alone are handed on; those of keys reach the client by themselves
    /// where there is a terminal.
    pub(super) async fn live(self, is_on_terminal: bool) -> Result<u8, Lost> {
        // Before it is started, so that none is lost.
        let mut signals = signals::Signals::new(is_on_terminal).map_err(Lost::Deaf)?;
        let mut command = Command::new(self.program);
        command.args(self.arguments).envs(self.variables);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = command
            .spawn()
            .map_err(|source| Lost::Start { program: self.program.to_owned(), source })?;
        let status = signals.handing_on(&mut child).await.map_err(Lost::Process)?;
        Ok(code(status))
    }
}

/// The client's own code, or 128 + n where signal n ended it.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    // A Windows code that does not fit becomes its low byte, and 1 where that would say success.
    let code = status.code().unwrap_or(1);
    u8::try_from(code).unwrap_or_else(|_| code.to_le_bytes()[0].max(1))
}

// === impl Lost ===

impl Lost {
    /// What thoth exits with, as shells do.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                exit::NOT_FOUND
            }
            Self::Start { .. } => exit::NOT_RUNNABLE,
            Self::Deaf(_) | Self::Process(_) => exit::UNAVAILABLE,
        }
    }
}

#[cfg(unix)]
mod signals {
    use std::future::poll_fn;
    use std::io;
    use std::pin::pin;
    use std::process::ExitStatus;
    use std::task::Poll;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use tokio::process::Child;
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    /// Heard instead of ending thoth, and what is sent on for each; `None` where it reached the
    /// client as well.
    pub(super) struct Signals(Vec<(Stream, Option<Signal>)>);

    impl Signals {
        pub(super) fn new(is_on_terminal: bool) -> io::Result<Self> {
            let of_keys = |signal| Some(signal).filter(|_| !is_on_terminal);
            let heard = [
                (SignalKind::interrupt(), of_keys(Signal::SIGINT)),
                (SignalKind::quit(), of_keys(Signal::SIGQUIT)),
                (SignalKind::terminate(), Some(Signal::SIGTERM)),
                (SignalKind::hangup(), Some(Signal::SIGHUP)),
                (SignalKind::user_defined1(), Some(Signal::SIGUSR1)),
                (SignalKind::user_defined2(), Some(Signal::SIGUSR2)),
            ];
            let listen = |(kind, sent)| signal(kind).map(|stream| (stream, sent));
            heard.into_iter().map(listen).collect::<io::Result<_>>().map(Self)
        }

        /// Waits for the end of a process, and hands on what is heard meanwhile.
        pub(super) async fn handing_on(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
            let mut end = pin!(child.wait());
            poll_fn(|cx| {
                // First the end: behind it the number may be another's.
                if let Poll::Ready(status) = end.as_mut().poll(cx) {
                    return Poll::Ready(status);
                }
                for (stream, sent) in &mut self.0 {
                    while stream.poll_recv(cx).is_ready() {
                        if let (Some(pid), Some(signal)) = (pid, *sent) {
                            let _ = kill(pid, signal); // it may have ended just now
                        }
                    }
                }
                Poll::Pending
            })
            .await
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;
    use std::process::ExitStatus;

    use tokio::process::Child;
    use tokio::signal::windows::{CtrlC, ctrl_c};

    /// Keys reach every process of the console; this one is to outlive them.
    pub(super) struct Signals(#[expect(dead_code, reason = "it listens")] CtrlC);

    impl Signals {
        pub(super) fn new(_is_on_terminal: bool) -> io::Result<Self> {
            ctrl_c().map(Self)
        }

        pub(super) async fn handing_on(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
            child.wait().await
        }
    }
}
