//! How often who may ask.

/// The limits in force.
#[derive(Debug, Default)]
pub struct Limits {}
