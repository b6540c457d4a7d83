//! The gate: what a line means, what is decided about it, and what happens next.
//!
//! Pure and sans-I/O. Nothing in this folder reads a clock, a file, a socket or the environment;
//! time and facts come in as arguments, so that every decision can be replayed in a test.
//! `tests/architecture.rs` holds the folder to that.

pub mod answer;
pub mod decide;
pub mod extras;
pub mod framing;
pub mod happening;
pub mod json;
pub mod message;
pub mod plain;
pub mod record;
pub mod session;
pub mod token;
pub mod tools;
pub mod verdict;
pub mod waiting;
