//! Which lists of tools were reported: one file for each agent in `~/.thoth/run/tools`, so that a
//! list goes out again only when it has changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::file;
use crate::profile;

/// Whether this very list of this agent was reported before.
pub fn is_reported(home: &Path, agent_id: &str, digest: &str) -> bool {
    fs::read(path(home, agent_id)).is_ok_and(|known| known == digest.as_bytes())
}

/// Remembers that it was.
///
/// # Errors
///
/// The system's own; then the list will be reported again.
pub fn reported(home: &Path, agent_id: &str, digest: &str) -> io::Result<()> {
    let path = path(home, agent_id);
    super::open(home).map_err(io::Error::other)?;
    profile::open_inside(&directory(home)).map_err(io::Error::other)?;
    file::replace(&path, digest.as_bytes(), |_| Ok(()))
}

fn directory(home: &Path) -> PathBuf {
    super::directory(home).join("tools")
}

/// An agent may be called anything, so its file is called by a hash.
fn path(home: &Path, agent_id: &str) -> PathBuf {
    let name = hex::encode(Sha256::digest(agent_id));
    directory(home).join(&name[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_has_its_own_memory() {
        let home = tempfile::tempdir().unwrap();
        assert!(!is_reported(home.path(), "../files", "1"));
        reported(home.path(), "../files", "1").unwrap();
        assert!(is_reported(home.path(), "../files", "1"));
        assert!(!is_reported(home.path(), "web", "1"));
        reported(home.path(), "../files", "2").unwrap();
        assert!(!is_reported(home.path(), "../files", "1"));
        assert!(is_reported(home.path(), "../files", "2"));
    }
}
