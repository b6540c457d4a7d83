//! The child alone, where there are no process groups to signal.
//!
//! Same interface as on Unix. A console program cannot be asked to end in a way it would notice
//! for sure, so both steps end it by force; what it started is not reached.

use std::io;

use tokio::process::{Child, Command};

/// Keeps the console's ctrl-c from the child: thoth ends it, in order. The constant is
/// `CREATE_NEW_PROCESS_GROUP` of the Windows API.
const NEW_PROCESS_GROUP: u32 = 0x0000_0200;

/// The child, as far as it can be reached.
#[derive(Debug)]
pub(super) struct Group;

#[expect(clippy::unused_self, reason = "the interface is that of Unix")]
impl Group {
    /// Keeps the console's signals from the process that `command` starts.
    pub(super) fn found(command: &mut Command) {
        command.creation_flags(NEW_PROCESS_GROUP);
    }

    /// The group that `leader` leads.
    pub(super) fn around(_leader: &Child) -> Self {
        Self
    }

    /// Ends the leader.
    pub(super) fn terminate(&self, leader: &mut Child) {
        // An error says that it has ended already.
        let _ = leader.start_kill();
    }

    /// Ends the leader.
    pub(super) fn kill(&self, leader: &mut Child) {
        self.terminate(leader);
    }

    /// Nobody else is there to wait for.
    #[expect(clippy::unused_async, reason = "the interface is that of Unix")]
    pub(super) async fn reap(&mut self) -> io::Result<()> {
        Ok(())
    }
}
