//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz sse`; what is checked stands in the harness.

#![no_main]

#[path = "../harness/sse.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::check(bytes));
