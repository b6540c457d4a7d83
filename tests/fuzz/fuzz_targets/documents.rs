//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz documents`; what is checked stands in the harness.

#![no_main]

#[path = "../harness/documents.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::check(bytes));
