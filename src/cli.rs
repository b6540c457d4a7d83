//! (to be written)

pub mod audit;
pub mod printable;
