//! Friction events of `thoth run` as clients and collectors see them: real processes, real pipes,
//! real sockets. The server and the agent are this test program again, started with other words.

#![cfg(unix)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod agent;
mod collectors;
#[path = "../fake/mod.rs"]
mod fake;
mod faults;
mod ledger;
mod scan;
mod server;
mod session;
mod stream;
