//! Who may answer: this user, from a process that the MCP client did not start.
//!
//! An agent's own shell runs as the same user, so that alone says nothing. On Linux the processes above
//! the one that asks are looked at; elsewhere they cannot be, and only the user counts.
//!
//! This is a fence, not a wall: a process that cuts its ties (a double fork, a job of `cron` or
//! `systemd-run`) is not told from a person's. `docs/approvals.md` says so.

use super::wire::Refusal;

/// More ancestors than anybody has; whoever has more is refused.
#[cfg(target_os = "linux")]
const MOST_ANCESTORS: usize = 1024;

/// Whoever asks, as the kernel says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
}

/// Whom an answer is not taken from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kin {
    user: u32,
    /// The client: whoever started this process.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux shows ancestors"))]
    client: u32,
}

// === impl Kin ===

impl Kin {
    /// Of this process, as it is now: later its parent may be gone.
    pub(super) fn of_process() -> Self {
        Self { user: nix::unistd::geteuid().as_raw(), client: std::os::unix::process::parent_id() }
    }

    /// Whether `peer` may list and answer.
    pub(super) fn admit(self, peer: Peer) -> Result<(), Refusal> {
        if peer.uid != self.user && peer.uid != 0 {
            return Err(Refusal::Foreign);
        }
        self.unrelated(peer.pid)
    }

    #[cfg(target_os = "linux")]
    fn unrelated(self, pid: Option<i32>) -> Result<(), Refusal> {
        let pid = pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
        self.climb(pid, std::process::id(), crate::machine::parent)
    }

    #[cfg(not(target_os = "linux"))]
    fn unrelated(self, _: Option<i32>) -> Result<(), Refusal> {
        Ok(())
    }

    /// Climbs from a process to the top, where the parent is 0. What cannot be seen could be kin.
    #[cfg(target_os = "linux")]
    fn climb(
        self,
        from: u32,
        own: u32,
        parent: impl Fn(u32) -> Option<u32>,
    ) -> Result<(), Refusal> {
        if from == 0 {
            return Err(Refusal::Unseen); // of another namespace
        }
        let mut pid = from;
        for _ in 0..MOST_ANCESTORS {
            if pid == 0 {
                return Ok(());
            }
            if pid == own || pid == self.client {
                return Err(Refusal::Descendant);
            }
            pid = parent(pid).ok_or(Refusal::Unseen)?;
        }
        Err(Refusal::Unseen)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn whoever_descends_from_the_client_or_the_sidecar_is_refused() {
        // 1 ─┬─ 10 (terminal) ── 11 (shell) ── 12 (thoth approvals)
        //    └─ 20 (client) ─┬─ 21 (sidecar) ── 22 (server)
        //                    └─ 23 (the agent's shell) ── 24 (thoth approvals)
        let parent = |pid| match pid {
            1 => Some(0),
            10 | 20 => Some(1),
            11 => Some(10),
            12 => Some(11),
            21 | 23 => Some(20),
            22 => Some(21),
            24 => Some(23),
            30 => Some(30), // nothing does that, and it must end
            _ => None,
        };
        let kin = Kin { user: 7, client: 20 };
        for (pid, said) in [
            (12, Ok(())),
            (11, Ok(())),
            (1, Ok(())),
            (20, Err(Refusal::Descendant)),
            (21, Err(Refusal::Descendant)),
            (22, Err(Refusal::Descendant)),
            (24, Err(Refusal::Descendant)),
            (30, Err(Refusal::Unseen)),
            (99, Err(Refusal::Unseen)),
            (0, Err(Refusal::Unseen)),
        ] {
            assert_eq!(kin.climb(pid, 21, parent), said, "{pid}");
        }
    }

    #[test]
    fn a_deep_tree_is_no_way_out() {
        let kin = Kin { user: 7, client: 1 };
        let chain = |pid: u32| Some(pid - 1);
        assert_eq!(kin.climb(1000, 5000, chain), Err(Refusal::Descendant));
        assert_eq!(kin.climb(100_000, 5000, chain), Err(Refusal::Unseen));
    }

    #[test]
    fn only_this_user_and_root_are_heard() {
        let kin = Kin { user: 7, client: u32::MAX };
        let top = Some(1);
        assert_eq!(kin.admit(Peer { uid: 8, pid: top }), Err(Refusal::Foreign));
        assert_ne!(kin.admit(Peer { uid: 7, pid: top }), Err(Refusal::Foreign));
        assert_ne!(kin.admit(Peer { uid: 0, pid: top }), Err(Refusal::Foreign));
        assert_eq!(kin.admit(Peer { uid: 7, pid: None }), Err(Refusal::Unseen));
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(kin.admit(Peer { uid: 7, pid: Some(own) }), Err(Refusal::Descendant));
    }
}
