//! `thoth wrap-config` and `thoth unwrap-config`, as people and scripts run them: the real program,
//! real files.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod at_once;
mod command_line;
mod faults;
mod remote;
mod room;
mod secrets;
mod starts;
mod wild;
