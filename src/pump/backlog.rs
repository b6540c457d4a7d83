//! Lines that wait for a pipe.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// How many lines are handed to the system at once.
const AT_ONCE: usize = 64;

/// Lines in the order they are to be written.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    lines: VecDeque<Bytes>,
    bytes: usize,
    /// Nobody reads any more: what is pushed is dropped.
    discarding: bool,
}

impl Backlog {
    pub(super) fn push(&mut self, line: Bytes) {
        if !self.discarding {
            self.bytes += line.len();
            self.lines.push_back(line);
        }
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.bytes = 0;
    }

    /// Drops what waits, and whatever is pushed from now on.
    pub(super) fn discard(&mut self) {
        self.clear();
        self.discarding = true;
    }

    /// Writes some of what waits, as much as the pipe takes at once.
    ///
    /// Cancel safe: what the pipe has not taken still waits.
    ///
    /// # Errors
    ///
    /// The pipe's own; `WriteZero` where it takes nothing.
    pub(super) async fn write_to(
        &mut self,
        pipe: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let written = poll_fn(|cx| {
            let pipe = Pin::new(&mut *pipe);
            if self.lines.len() == 1 || !pipe.is_write_vectored() {
                let first = self.lines.front().map_or(&[][..], |line| line);
                return pipe.poll_write(cx, first);
            }
            let mut slices = [IoSlice::new(&[]); AT_ONCE];
            for (slice, line) in slices.iter_mut().zip(&self.lines) {
                *slice = IoSlice::new(line);
            }
            let filled = self.lines.len().min(AT_ONCE);
            pipe.poll_write_vectored(cx, &slices[..filled])
        })
        .await?;
        if written == 0 && self.bytes > 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written(written);
        Ok(())
    }

    fn written(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(line) = self.lines.front_mut() {
            if written < line.len() {
                line.advance(written);
                return;
            }
            written -= line.len();
            self.lines.pop_front();
        }
    }
}
