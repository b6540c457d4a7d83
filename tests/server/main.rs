//! The reference enforcer, over its own router and over real TLS.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod abuse;
mod approvals;
mod console;
mod decisions;
mod events;
mod fleet;
mod isolation;
mod keys;
mod live;
mod plain;
mod replicas;
