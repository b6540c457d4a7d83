//! Holds of a sidecar's own, and `thoth approvals`: real processes that descend from each other, or do
//! not; and an enforcer with a memory.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod command;
mod door;
#[path = "../fake/mod.rs"]
mod fake;
mod remote;
mod tree;
