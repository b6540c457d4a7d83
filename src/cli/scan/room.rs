//! The private directory of one scan: the agent's configuration, what it said, and the events.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use uuid::Uuid;

use crate::profile;

/// A directory for this user alone. Dropped, it is gone, with everything in it.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    stays: bool,
}

// === impl Room ===

impl Room {
    /// Makes it where temporary files are.
    ///
    /// # Errors
    ///
    /// Those of the system; a directory that is there already is never taken.
    pub(super) fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("thoth-scan-{}", Uuid::new_v4()));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self { path, stays: false })
    }

    /// Writes the agent's configuration, which may hold secrets of the server.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(super) fn put_config(&self, config: &serde_json::Value) -> io::Result<()> {
        let mut file = profile::new_file().write(true).open(self.config())?;
        file.write_all(config.to_string().as_bytes())
    }

    /// Takes that file away: from here on nobody needs it.
    pub(super) fn drop_config(&self) {
        let _ = fs::remove_file(self.config());
    }

    /// Opens the file for what the agent says.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(super) fn open_log(&self) -> io::Result<File> {
        profile::new_file().write(true).open(self.path.join("agent.log"))
    }

    /// Where the agent's configuration is.
    pub(super) fn config(&self) -> PathBuf {
        self.path.join("mcp.json")
    }

    /// Where events go.
    pub(super) fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// Leaves everything but the configuration to whoever wants to look; where it is.
    pub(super) fn keep(mut self) -> PathBuf {
        self.stays = true;
        self.path.clone()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.drop_config();
        if !self.stays {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_private_and_gone_afterwards_but_for_what_is_kept() {
        let room = Room::make().unwrap();
        let path = room.path.clone();
        room.put_config(&serde_json::json!({ "secret": 1 })).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&room.config())), (0o700, 0o600));
        }
        drop(room);
        assert!(!path.exists());

        let room = Room::make().unwrap();
        room.put_config(&serde_json::json!({ "secret": 1 })).unwrap();
        room.open_log().unwrap();
        let path = room.keep();
        let names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["agent.log"]);
        fs::remove_dir_all(path).unwrap();
    }
}
