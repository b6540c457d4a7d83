//! `thoth mcp-config` and `thoth launch`, as people run them: the real program, real files, real
//! processes. The client is a script that says what it was given; its servers are started as it was
//! told.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod golden;
mod projects;
mod room;
#[cfg(unix)]
mod running;
mod secrets;
