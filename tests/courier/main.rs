//! The courier, between its two pipes and a scripted HTTP server on loopback.
//!
//! What the whole program does against a server with a memory is in `tests/upstream`.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod ends;
mod fake;
mod headers;
mod older;
mod order;
mod remedies;
mod streams;
