//! Whoever started `thoth serve`: gone when standard input ends, where that is a pipe.
//!
//! A terminal, a file and `/dev/null` say nothing about anybody's end.

use std::io;

use tokio::io::AsyncReadExt;

use crate::pipe::{self, Stdin, Stdout};

/// The process that holds the other end of standard input.
#[derive(Debug)]
pub(super) struct Parent(Option<(Stdin, Stdout)>);

impl Parent {
    /// Looks at standard input. With `detached`, nobody is waited for.
    pub(super) fn of_standard_input(detached: bool) -> Self {
        Self(if detached || !is_pipe() { None } else { pipe::open().ok() })
    }

    /// Waits until it is gone; for ever, where that cannot be seen. What it writes is dropped.
    ///
    /// Cancel safe.
    pub(super) async fn gone(&mut self) {
        let Some((input, _)) = &mut self.0 else { return std::future::pending().await };
        let mut unread = [0; 1024];
        while input.read(&mut unread).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

#[cfg(unix)]
fn is_pipe() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;

    let input = io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from);
    let kind = input.and_then(|input| input.metadata()).map(|facts| facts.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}

#[cfg(not(unix))]
fn is_pipe() -> bool {
    use std::io::IsTerminal;

    !io::stdin().is_terminal()
}
