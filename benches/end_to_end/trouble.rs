//! What ends a run before its numbers are known.

use std::io;

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A process could not be started.
    #[error("cannot start {who}: {source}")]
    Start { who: String, source: io::Error },
    /// A process ended, or closed its output, before it had answered.
    #[error("{who} ended ({status}) before it answered{stderr}")]
    Ended { who: String, status: String, stderr: String },
    /// A process was killed because it had not answered in time.
    #[error("{who} did not answer within {seconds} s and was killed{stderr}")]
    Silent { who: String, seconds: u64, stderr: String },
    /// An answer came that is not the echo server's.
    #[error("{who} did not pass on the server's answer, but said: {answer}")]
    Refused { who: String, answer: String },
    /// A row that does not exist was asked for.
    #[error("no row {0:?}; there are: {1}")]
    NoSuchRow(String, String),
    /// The enforcer of the bench, or TLS to it.
    #[error("the bench's own enforcer: {0}")]
    Enforcer(String),
    /// Files, pipes and the terminal.
    #[error(transparent)]
    Io(#[from] io::Error),
}
