//! `thoth auth`, at an authorization server that remembers everything.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod callback;
mod discovery;
mod fake;
mod live;
mod login;
mod person;
mod processes;
mod run;
