//! This machine as one endpoint: what its sidecars share in `~/.thoth/run`.
//!
//! Every sidecar has a file of its own there ([`sidecar`]); what happens once per machine is done
//! by whoever holds the lock ([`lock`]), and what came of it is remembered ([`state`]). There is no
//! daemon: whatever a dead sidecar leaves behind is found out by asking the kernel for its lock.
//!
//! Everything here blocks for a few system calls, and has no place on a line's path.

mod file;
pub mod identity;
pub mod lock;
pub mod quarantine;
pub mod sidecar;
pub mod state;

use std::path::{Path, PathBuf};

use crate::profile::{self, Unsafe};

/// Where the sidecars of a profile meet.
pub fn directory(home: &Path) -> PathBuf {
    home.join("run")
}

/// Makes that directory, or checks the one there is.
fn open(home: &Path) -> Result<PathBuf, Unsafe> {
    profile::open(home)?;
    let directory = directory(home);
    profile::open_inside(&directory)?;
    Ok(directory)
}
