//! The way back: lines to the client, whole and one after the other.

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

/// Takes lines from many tasks. A client that does not read stops whoever has something to say.
#[derive(Clone, Debug)]
pub(super) struct Answers(mpsc::Sender<Bytes>);

/// Where the lines are written.
#[derive(Debug)]
pub(super) struct Outlet {
    lines: mpsc::Receiver<Bytes>,
    pipe: DuplexStream,
}

/// A way to this pipe.
pub(super) fn answers(pipe: DuplexStream) -> (Answers, Outlet) {
    let (sender, lines) = mpsc::channel(1);
    (Answers(sender), Outlet { lines, pipe })
}

// === impl Answers ===

impl Answers {
    /// Says one line, which holds no line's end.
    ///
    /// Cancel safe: dropped, it has said all of it or nothing.
    pub(super) async fn say(&self, line: Bytes) {
        // Nobody listens once the session is over.
        let _ = self.0.send(line).await;
    }
}

// === impl Outlet ===

impl Outlet {
    /// Writes what is said, until nobody is left who could say something, or nobody reads.
    pub(super) async fn run(mut self) {
        while let Some(line) = self.lines.recv().await {
            let written = async {
                self.pipe.write_all(&line).await?;
                self.pipe.write_all(b"\n").await
            };
            if written.await.is_err() {
                return;
            }
        }
    }
}
