//! Which processor things run on, and how much of it they take: Linux only.

use std::time::Duration;

/// One of the processors that may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Which {
    First,
    Last,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::OnceLock;

    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::{Pid, SysconfVar, sysconf};

    use super::{Duration, Which};

    const THIS_THREAD: Pid = Pid::from_raw(0);
    /// What may be used, as it was at first.
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();

    /// Keeps this thread, and what it starts from now on, to one processor; where that is refused,
    /// changes nothing.
    pub(crate) fn keep_to(which: Which) {
        let allowed = ALLOWED.get_or_init(|| {
            let set = sched_getaffinity(THIS_THREAD).unwrap_or_default();
            (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect()
        });
        let one = match which {
            Which::First => allowed.first(),
            Which::Last => allowed.last(),
        };
        let mut set = CpuSet::new();
        if let Some(&cpu) = one
            && set.set(cpu).is_ok()
        {
            let _ = sched_setaffinity(THIS_THREAD, &set);
        }
    }

    /// How long a process has run on any processor; steps of 10 ms.
    pub(crate) fn spent(pid: u32) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may hold blanks; it ends with the last parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks: u64 =
            fields.get(11..13)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        let hertz = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        Some(Duration::from_millis(ticks * 1000 / hertz))
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{keep_to, spent};

#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_to(_which: Which) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn spent(_pid: u32) -> Option<Duration> {
    None
}
