//! The reference enforcer, over its own router and over real TLS.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod abuse;
mod approvals;
mod console;
mod database;
mod decisions;
mod events;
mod fleet;
mod isolation;
mod keys;
mod live;
mod program;
mod replicas;
mod rules;
mod store;
mod world;
