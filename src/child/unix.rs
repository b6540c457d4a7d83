//! The child's process group, and the sentinel that watches over it.

use std::io;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Waits for the end of its input, which is thoth's own end however that came; then kills the group
/// it is in. It ignores what the rest of the group is asked to end with.
const SENTINEL: &str = "trap '' HUP INT TERM; read -r _; kill -s KILL 0";

/// The child's process group: the child, who leads it, whatever the child starts, and a sentinel.
///
/// The sentinel is a shell that does nothing but hold a pipe whose other end is thoth's. It does
/// two things no other means does:
///
/// - thoth is killed, and the *whole* group dies, on every Unix. Linux's `PR_SET_PDEATHSIG` would
///   reach the leader alone (`npx`, but not the server that it started), exists nowhere else, is
///   tied to the thread that forks, and needs unsafe code. A closed input alone is not enough:
///   servers have been seen to run on after it.
/// - As long as the sentinel is not reaped, the system cannot give the group's number to another
///   group. So the group can be killed after its leader was reaped, and no stranger is hit.
///
/// Where there is no `/bin/sh` (bare containers) there is no sentinel, and thoth says so: what is
/// left to a killed thoth's child then is its closed input.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    sentinel: Option<Child>,
}

impl Group {
    /// Makes the process that `command` starts the leader of a group of its own.
    pub(super) fn found(command: &mut Command) {
        command.process_group(0);
    }

    /// The group that `leader` leads, from now on watched over.
    pub(super) fn around(leader: &Child) -> Self {
        let id = leader
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap_or_else(|| unreachable!("a process that was not waited for has an id"));
        let sentinel = sentinel(id)
            .inspect_err(|error| {
                tracing::warn!(%error, "no sentinel: the server may outlive a thoth that is killed");
            })
            .ok();
        Self { id: Pid::from_raw(id), sentinel }
    }

    /// Asks everybody to end.
    pub(super) fn terminate(&self, _leader: &mut Child) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends everybody.
    pub(super) fn kill(&self, _leader: &mut Child) {
        self.signal(Signal::SIGKILL);
    }

    /// Waits for the sentinel to be gone, after [`Group::kill`]. Cancel safe.
    pub(super) async fn reap(&mut self) -> io::Result<()> {
        if let Some(sentinel) = &mut self.sentinel {
            sentinel.wait().await?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        // An error says that nobody is left, or that those who are belong to another user.
        let _ = killpg(self.id, signal);
    }
}

fn sentinel(group: i32) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", SENTINEL, "thoth-sentinel"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(group)
        .kill_on_drop(true)
        .spawn()
}
