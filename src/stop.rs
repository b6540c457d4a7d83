//! Signals that ask thoth to end.
//!
//! The first ends the session in order; the next one, while that is under way, at once:
//!
//! ```no_run
//! # use thoth::{child::{Child, Ladder}, stop::Stop};
//! # async fn example(mut stop: Stop, mut child: Child) -> std::io::Result<u8> {
//! let first = stop.next().await;
//! let exit = match stop.unless_stopped(child.end(Ladder::default())).await {
//!     Ok(exit) => exit?,
//!     Err(_second) => child.end(Ladder::AT_ONCE).await?,
//! };
//! Ok(first.exit_code(exit))
//! # }
//! ```
//!
//! SIGHUP is one of them: where the terminal is gone, so is the client. SIGQUIT is not: it ends
//! thoth where it stands, and the child's sentinel ends the child.
//!
//! # Limits
//!
//! A signal that was ignored when thoth started (`nohup`) is heard all the same.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use crate::child::Exit;

/// What thoth was asked to end with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// The terminal is gone (SIGHUP); on Windows, the console's window was closed.
    Hangup,
    /// ctrl-c (SIGINT).
    Interrupt,
    /// SIGTERM; on Windows, ctrl-break or the system's shutdown.
    Terminate,
}

/// Hears the signals from [`listen`] on. Those that come in between two waits are not lost, but
/// several of one kind count as one.
#[derive(Debug)]
pub struct Stop(os::Signals);

/// Begins to listen: from here on, no such signal ends the process by itself.
///
/// # Errors
///
/// Where a handler cannot be installed.
///
/// # Panics
///
/// Outside a tokio runtime with I/O enabled.
pub fn listen() -> io::Result<Stop> {
    os::Signals::new().map(Stop)
}

// === impl Stop ===

impl Stop {
    /// Waits for the next signal. Cancel safe: a signal that was not returned comes next time.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|cx| self.0.poll(cx)).await
    }

    /// Waits for `work`, unless a signal comes first.
    ///
    /// Cancel safe where `work` is. A signal drops `work` where it waits.
    ///
    /// # Errors
    ///
    /// The signal.
    pub async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Signal> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.0.poll(cx).map(Err),
        })
        .await
    }
}

// === impl Signal ===

impl Signal {
    /// What thoth exits with after this signal where there is no child to ask: 128 + its number.
    pub fn exit_code_alone(self) -> u8 {
        128 + match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// What thoth exits with after this signal: the child's own code where it ended by itself in
    /// time, as a server does that cleans up and says so; else 128 + the signal's number, so that
    /// who sent it sees it took effect, whichever signal ended the child.
    pub fn exit_code(self, child: Exit) -> u8 {
        if child.signal().is_none() {
            return child.code();
        }
        self.exit_code_alone()
    }
}

#[cfg(unix)]
mod os {
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    use super::{Context, Poll, Signal, io};

    #[derive(Debug)]
    pub(super) struct Signals {
        terminate: Stream,
        interrupt: Stream,
        hangup: Stream,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            for (stream, signal) in [
                (&mut self.terminate, Signal::Terminate),
                (&mut self.interrupt, Signal::Interrupt),
                (&mut self.hangup, Signal::Hangup),
            ] {
                if stream.poll_recv(cx).is_ready() {
                    return Poll::Ready(signal);
                }
            }
            Poll::Pending
        }
    }
}

#[cfg(windows)]
mod os {
    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
    };

    use super::{Context, Poll, Signal, io};

    #[derive(Debug)]
    pub(super) struct Signals {
        interrupt: CtrlC,
        break_key: CtrlBreak,
        close: CtrlClose,
        shutdown: CtrlShutdown,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: ctrl_c()?,
                break_key: ctrl_break()?,
                close: ctrl_close()?,
                shutdown: ctrl_shutdown()?,
            })
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Interrupt);
            }
            if self.close.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Hangup);
            }
            if self.break_key.poll_recv(cx).is_ready() || self.shutdown.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Terminate);
            }
            Poll::Pending
        }
    }
}
