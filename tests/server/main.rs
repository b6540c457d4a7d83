//! The reference enforcer, over its own router and over real TLS.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test is about some of the variants")]

mod abuse;
mod approvals;
mod console;
mod crash;
mod database;
mod decisions;
mod events;
mod fleet;
mod isolation;
mod keys;
mod live;
mod machines;
mod plain;
mod process;
mod program;
mod replicas;
mod rules;
#[cfg(unix)]
#[path = "../run/sidecar.rs"]
#[expect(dead_code, reason = "other tests use another part of it")]
mod sidecar;
mod store;
mod tools;
mod world;
