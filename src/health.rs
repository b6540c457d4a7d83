//! How this machine stands: facts in, one report out. Pure.
//!
//! [`Facts`] are gathered by whoever asks (`thoth health`, `thoth status`); [`Report::of`] says what
//! they come to, and its `--json` form is `docs/health.schema.json`. What an MDM reads is made of
//! the report ([`mdm`]), so that the three never disagree.
//!
//! # Invariants
//!
//! - There is always a report: a fact that could not be had is `null`, and where that matters, a
//!   problem.
//! - What is not configured is `null`, never a problem. A machine without clients is healthy.
//! - The status follows from the problems alone: any error is unhealthy, any warning degraded.
//! - No secret: credentials come in as fingerprints, and text of others is [`plain()`] before it
//!   goes out.

mod credentials;
pub mod facts;
pub mod friction;
pub mod mdm;
mod peer;
mod plain;
pub mod problem;
pub mod report;
mod servers;

pub use self::facts::Facts;
pub use self::plain::plain;
pub use self::problem::{Code, Problem, Severity};
pub use self::report::{Report, Status};

#[cfg(test)]
mod tests;
