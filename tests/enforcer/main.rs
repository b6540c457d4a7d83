//! The enforcer client against a real server on a loopback port.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

#[path = "../fake/mod.rs"]
mod fake;

mod asking;
mod doctor;
mod holds;
#[cfg(unix)]
mod rotation;
mod told;
mod trouble;
mod trust;
