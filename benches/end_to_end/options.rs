//! What the bench can be told.

use std::path::PathBuf;

use clap::Parser;

/// The numbers that thoth promises, measured beside their floor.
#[derive(Debug, Parser)]
#[command(name = "end_to_end")]
pub(crate) struct Options {
    /// A few samples only: shows that everything works, not how fast.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    pub(crate) rows: Vec<String>,

    /// The `thoth` to measure, instead of the one cargo has just built; `self-relay` or
    /// `self-relay-tokio` measure the bench itself.
    #[arg(long, value_name = "PATH")]
    pub(crate) sidecar: Option<PathBuf>,

    /// A `baton-proxy` to measure beside it:
    /// `python3 -m venv V && V/bin/pip install baton-proxy==0.6.18`, then `V/bin/baton-proxy`.
    #[arg(long, value_name = "PATH")]
    pub(crate) baton: Option<PathBuf>,

    /// Also write the numbers to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// What cargo passes under `cargo bench`, and does not under `cargo test`.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}
