//! Which processor things run on, and how much memory they hold: Linux only.

/// Memory of one process, in megabytes (10⁶ bytes).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now (`VmRSS`).
    pub(crate) resident: f64,
    /// The most that ever was resident (`VmHWM`).
    pub(crate) peak: f64,
    /// The part of `resident` that is no file's (`RssAnon`): heap and stacks.
    pub(crate) own: f64,
}

/// Keeps this thread, and what it starts, on one processor until it is dropped.
///
/// The scheduler's choice of processor moves a relay's round trip from 9 to 60 µs; on one, all
/// subjects pay for the same switches.
pub(crate) struct Pinned(#[cfg(target_os = "linux")] Option<nix::sched::CpuSet>);

#[cfg(target_os = "linux")]
mod linux {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    use super::{Memory, Pinned};

    const THIS_THREAD: Pid = Pid::from_raw(0);

    impl Pinned {
        /// Pins to the first processor that may be used; where that is refused, changes nothing.
        pub(crate) fn to_one() -> Self {
            Self(pin().ok())
        }
    }

    impl Drop for Pinned {
        fn drop(&mut self) {
            if let Some(before) = &self.0 {
                let _ = sched_setaffinity(THIS_THREAD, before);
            }
        }
    }

    fn pin() -> nix::Result<CpuSet> {
        let before = sched_getaffinity(THIS_THREAD)?;
        let first = (0..CpuSet::count()).find(|&cpu| before.is_set(cpu) == Ok(true));
        let mut one = CpuSet::new();
        one.set(first.unwrap_or(0))?;
        sched_setaffinity(THIS_THREAD, &one)?;
        Ok(before)
    }

    /// What `/proc` says about a process; `None` where it says nothing.
    pub(crate) fn memory(pid: u32) -> Option<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let megabytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            let kibibytes: u32 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(f64::from(kibibytes) * 1024.0 / 1e6)
        };
        Some(Memory {
            resident: megabytes("VmRSS:")?,
            peak: megabytes("VmHWM:")?,
            own: megabytes("RssAnon:")?,
        })
    }

    /// How many threads wanted to run in the last minute, on average.
    pub(crate) fn load() -> Option<f64> {
        let load = std::fs::read_to_string("/proc/loadavg").ok()?;
        load.split(' ').next()?.parse().ok()
    }

    /// The processor's and the kernel's name, for the record.
    pub(crate) fn machine() -> String {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown processor", |(_, model)| model);
        let kernel = read("/proc/sys/kernel/osrelease");
        format!("{model}, Linux {}", kernel.trim())
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{load, machine, memory};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Memory, Pinned};

    impl Pinned {
        pub(crate) fn to_one() -> Self {
            Self()
        }
    }

    pub(crate) fn memory(_pid: u32) -> Option<Memory> {
        None
    }

    pub(crate) fn load() -> Option<f64> {
        None
    }

    pub(crate) fn machine() -> String {
        format!("{}, nothing pinned", std::env::consts::OS)
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{load, machine, memory};
