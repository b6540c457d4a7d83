//! This machine as one endpoint: what its sidecars share in `~/.thoth/run`.
//!
//! Every sidecar has a file of its own there ([`sidecar`]); what happens once per machine is done
//! by whoever holds the lock ([`lock`]), and what came of it is remembered ([`state`]).

pub mod identity;
pub mod lock;
pub mod sidecar;
pub mod state;
