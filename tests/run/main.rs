//! `thoth run` as clients start it: real processes, real pipes, and a server that answers every
//! request and writes down what reached it.

#![cfg(unix)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod approvals;
mod credentials;
#[path = "../fake/mod.rs"]
mod fake;
mod friction;
mod lifecycle;
mod refusals;
mod remote;
mod sidecar;
mod traffic;
