//! The scripts of `packaging/`, run here: in a directory that looks like a Mac, with the programs of
//! a Mac played by small scripts, and with a thoth that writes down how it was called.

#![cfg(target_os = "linux")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod attributes;
mod each_user;
mod files;
mod mac;
mod policies;
mod rollout;
