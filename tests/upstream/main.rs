//! `thoth run --url` as clients start it: a real process, real pipes, and an MCP server over HTTP
//! that remembers what reached it and what it executed.
//!
//! Each test is one scenario. The measure is always the same: no error that the client sees, as
//! many executions as calls, as many decisions as calls, and each told once.

#![cfg(unix)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what broke by panicking"
)]

mod audit;
mod client;
mod deciders;
mod doubt;
mod eras;
#[path = "../fake/mod.rs"]
mod fake;
mod files;
mod helpers;
mod origins;
mod proxies;
mod rotation;
mod secrets;
mod server;
mod sessions;
mod streams;
