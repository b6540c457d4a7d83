//! The child's standard output, which comes to an end.
//!
//! A pipe ends when the last process that holds it is gone, and a process that left the child's
//! group may hold it for ever. So the end of the group is an end of its output, too: after what is
//! in the pipe by then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::ChildStdout;
use tokio::task::coop::has_budget_remaining;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

/// What the child writes. Reading it is cancel safe.
#[derive(Debug)]
pub struct Output {
    pipe: ChildStdout,
    dead: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Tells [`Child::end`](super::Child::end) that nobody reads any more: dropped at the end, or
    /// with the reader.
    reading: Option<DropGuard>,
}

impl Output {
    pub(super) fn new(
        pipe: ChildStdout,
        read: &CancellationToken,
        dead: &CancellationToken,
    ) -> Self {
        Self {
            pipe,
            dead: Box::pin(dead.clone().cancelled_owned()),
            reading: Some(read.clone().drop_guard()),
        }
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        match Pin::new(&mut self.pipe).poll_read(cx, buf) {
            Poll::Ready(Ok(())) if before == 0 || buf.remaining() < before => {
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(error)) => {
                self.reading = None;
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Ok(())) => {}
            // Not for lack of bytes: the runtime wants its turn first, and wakes us after it.
            Poll::Pending if !has_budget_remaining() => return Poll::Pending,
            Poll::Pending => ready!(self.dead.as_mut().poll(cx)),
        }
        self.reading = None;
        Poll::Ready(Ok(()))
    }
}
