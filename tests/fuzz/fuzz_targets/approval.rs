//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz approval`; what is checked stands in the harness.

#![no_main]

#[path = "../harness/approval.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::check(bytes));
