//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz policy`; what is checked stands in the harness.

#![no_main]

#[path = "../harness/policy.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::check(bytes));
