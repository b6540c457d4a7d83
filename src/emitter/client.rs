//! Friction events from a Rust program, without a sidecar around its server. (To be written.)

/// Emits the events of one program.
#[derive(Debug)]
pub struct Client {}
