//! Where the sockets are: `~/.thoth/run/approvals`, one for each sidecar that holds something.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::profile::{self, Unsafe};

/// The longest path that fits a socket's address everywhere, in bytes.
const LONGEST: usize = 100;

/// A way to name a socket whose path may be too long for one.
#[derive(Debug)]
pub(super) struct Reached {
    path: PathBuf,
    /// Kept open while the path is used.
    _directory: Option<File>,
}

pub(super) fn directory(home: &Path) -> PathBuf {
    home.join("run").join("approvals")
}

/// Makes the directory, 0700, or checks the one there is.
pub(super) fn open(home: &Path) -> Result<PathBuf, Unsafe> {
    profile::open(home)?;
    profile::open_inside(&home.join("run"))?;
    let directory = directory(home);
    profile::open_inside(&directory)?;
    Ok(directory)
}

// === impl Reached ===

impl Reached {
    /// The same place by a short path: on Linux, a long one goes by its directory's descriptor.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let (true, Some(directory), Some(name)) = (
            cfg!(target_os = "linux") && path.as_os_str().len() > LONGEST,
            path.parent(),
            path.file_name(),
        ) else {
            return Ok(Self { path: path.to_owned(), _directory: None });
        };
        let directory = File::open(directory)?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
        let path = Path::new("/proc/self/fd").join(number.to_string()).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
