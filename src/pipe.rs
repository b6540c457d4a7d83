//! This process's standard input and output, without a thread between them and the pump.
//!
//! tokio's own `stdin` and `stdout` go through a blocking thread: two extra wake-ups a line. Where
//! the client gave us pipes (Rust, Python, shells) or sockets (Node), they are registered with the
//! runtime instead; a terminal, a file or `/dev/null` falls back to tokio's own.
//!
//! Not here: framing, and what a closed pipe means for the session.
//!
//! # Invariants
//!
//! - What others share stays as it was: `O_NONBLOCK` lives on the open file *description*, which a
//!   shell (`thoth run …; other`) or our child's standard error (`2>&1`) may share. See
//!   [`open`] for how each kind is kept apart.
//! - Nothing is shut down: others may hold the same output, and it is theirs too.
//!
//! # Limits
//!
//! Where standard input falls back to tokio's own, a read that waits cannot be cancelled: end the
//! runtime with `shutdown_background`, or the process hangs until a line is typed. What falls back
//! on the way out must be flushed before the process ends.

#[cfg(unix)]
#[path = "pipe/unix.rs"]
mod os;
#[cfg(windows)]
#[path = "pipe/threaded.rs"]
mod os;

use std::io::{Error, ErrorKind};

pub use os::{Stdin, Stdout, open};

/// Whether a write failed because nobody reads any more: an ordinary end, not a fault.
pub fn is_closed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected
    )
}
