//! The command line: one file for each subcommand.

pub mod doctor;
pub mod exit;
pub mod paint;
