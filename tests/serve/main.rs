//! `thoth serve` as clients meet it: real processes, real sockets, requests written out, and a
//! server that writes down what reached it.

#![cfg(unix)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod door;
mod ends;
mod http;
mod launch;
mod patience;
mod sessions;
mod stateless;
mod streams;
