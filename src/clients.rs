//! The MCP clients of this machine: their configuration files, and which of their servers are
//! governed.
//!
//! [`document`] is the text of one file and is pure; [`table`] knows which clients there are and
//! where their files lie; [`scan`] looks at all of them; [`place`] replaces a file safely;
//! [`launch`] writes what a client is told for one launch.

pub mod coverage;
pub mod document;
pub mod extension;
pub mod launch;
pub mod place;
pub mod remote;
pub mod scan;
pub mod table;
mod token;
