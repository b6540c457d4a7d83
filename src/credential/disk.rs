//! A file that is read at every use, and cannot hold up the loop.
//!
//! A file on a disk of this machine is read where it is asked for: 3 µs, less than handing the
//! read to another thread and back. Anywhere else (NFS, SMB, FUSE, an unknown kind of disk) the
//! read goes to a thread, and is waited for one second; a disk that hangs keeps one thread and no
//! call. Where the last read found the file says where the next one happens.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Flaw;
use super::file::{self, Keep, Seen};

/// The longest that a disk is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file, and what is known of its disk.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    limit: u64,
    keep: Keep,
    is_local: AtomicBool,
    /// Held by the thread that reads: there is one at most.
    thread: Arc<Mutex<()>>,
}

impl Disk {
    pub(super) fn new(path: PathBuf, limit: u64, keep: Keep) -> Self {
        Self { path, limit, keep, is_local: AtomicBool::new(false), thread: Arc::default() }
    }

    /// Reads the file here and now. Blocking.
    pub(super) fn read_now(&self) -> Result<Vec<u8>, Flaw> {
        self.seen(file::read(&self.path, self.limit, self.keep))
    }

    /// Reads the file, and does not block. Takes two seconds at most.
    ///
    /// Cancel safe: a thread that reads is left to end by itself.
    pub(super) async fn read(&self) -> Result<Vec<u8>, Flaw> {
        if self.is_local.load(Ordering::Relaxed) {
            return self.read_now();
        }
        let lock = Arc::clone(&self.thread).lock_owned();
        let held = timeout(PATIENCE, lock).await.map_err(|_| Flaw::Slow)?;
        let (path, limit, keep) = (self.path.clone(), self.limit, self.keep);
        let reading = spawn_blocking(move || {
            let seen = file::read(&path, limit, keep);
            drop(held);
            seen
        });
        match timeout(PATIENCE, reading).await {
            Ok(Ok(seen)) => self.seen(seen),
            Ok(Err(_)) => Err(Flaw::Unreadable),
            Err(_) => Err(Flaw::Slow),
        }
    }

    fn seen(&self, seen: Seen) -> Result<Vec<u8>, Flaw> {
        if let Some(is_local) = seen.local {
            self.is_local.store(is_local, Ordering::Relaxed);
        }
        seen.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_keeps_one_thread_and_no_caller() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "k").unwrap();
        let disk = Disk::new(path, 4, Keep::Unchanged);
        let hung = Arc::clone(&disk.thread).lock_owned().await;
        for _ in 0..3 {
            assert_eq!(disk.read().await, Err(Flaw::Slow));
        }
        drop(hung);
        assert_eq!(disk.read().await, Ok(b"k".to_vec()));
    }
}
