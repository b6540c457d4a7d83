//! `thoth health` and `thoth status` on machines in every state: real processes in homes of their
//! own, and every report held against `docs/health.schema.json`.

#![cfg(unix)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

#[path = "../fake/mod.rs"]
mod fake;
mod forms;
mod friction;
mod live;
mod machine;
mod probe;
mod states;
