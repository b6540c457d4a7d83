//! Where a session got stuck, told from its events.
//!
//! ```text
//!  lines of events ──▶ Session::read ──▶ Session ──▶ Story::of ──▶ render::{markdown, json, html}
//!  the journal's decisions ──▶ Session::join ─┘          └── detect: the detectors, over calls
//! ```
//!
//! Pure: lines and decisions come in, text goes out. Which file they come from is decided elsewhere.
//!
//! # Invariants
//!
//! - What is kept of a session is bounded: so many events, so much text of each.
//! - Nothing of a session stands in a report unescaped, whatever its format: names, errors, goals and
//!   reasons are others' text, and whoever reads the report did not ask for their markup.
//! - Equal sessions have equal reports.

pub mod detect;
pub mod finding;
pub mod render;
pub mod session;
pub mod story;
pub mod text;

mod line;
mod merge;
mod pairs;

pub use self::detect::End;

pub use self::finding::{Evidence, Finding, Priority, Signal, Source, Subject};
pub use self::line::{Begun, begun};
pub use self::session::{Annotation, Call, Decision, Request, Session, Software, Surface};
pub use self::story::{Story, Tool};

/// From when on something is a finding, and how much of it is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How many times one call is made within the window without success.
    pub retries: usize,
    /// How long the window is, in milliseconds.
    pub window_ms: u64,
    /// How long a slow call takes, in milliseconds.
    pub slow_ms: u64,
    /// How many refusals without a success after them precede giving up.
    pub refusals: usize,
    /// Whether the session is over. One that goes on was not given up.
    pub over: bool,
    /// How many findings are told.
    pub findings: usize,
    /// How many pieces of evidence are told of a finding.
    pub evidence: usize,
    /// How many tools, refusals, requests and notes are told, of each.
    pub rows: usize,
    /// How many calls are told one by one.
    pub calls: usize,
    /// How much is told of a text, in characters.
    pub excerpt: usize,
    /// How long a report in Markdown is at most, in bytes; a last line says so where it was cut.
    pub bytes: usize,
}

// === impl Limits ===

impl Default for Limits {
    /// For a file: of a session that is over.
    fn default() -> Self {
        Self {
            retries: 3,
            window_ms: 120_000,
            slow_ms: 10_000,
            refusals: 3,
            over: true,
            findings: 50,
            evidence: 5,
            rows: 100,
            calls: 2000,
            excerpt: 300,
            bytes: 1024 * 1024,
        }
    }
}

impl Limits {
    /// For an agent that asks in the middle of its session: short, and nothing was given up yet.
    pub fn in_conversation() -> Self {
        let short = Self { findings: 10, evidence: 3, rows: 20, calls: 20, ..Self::default() };
        Self { over: false, excerpt: 200, bytes: 16 * 1024, ..short }
    }
}
