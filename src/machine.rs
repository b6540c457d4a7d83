//! Facts about this machine and about who runs thoth on it, and the clock.
//!
//! Gathered once and passed on as a value, so that whatever depends on them stays pure. A fact
//! that cannot be had is `None`, never a guess: whoever requires it must refuse.
//!
//! # Limits
//!
//! Ancestor processes are known on Linux only. On Windows, "root" means an elevated
//! administrator or the system itself, and there are no user numbers.

use std::path::PathBuf;

/// Facts about this machine and this process.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Machine {
    /// The machine's name in the network.
    pub hostname: Option<String>,
    /// `linux`, `macos` or `windows`.
    pub os: &'static str,
    /// The system's version, such as `24.04` or `15.1`.
    pub os_version: Option<String>,
    /// The user thoth runs as.
    pub user: Option<String>,
    /// That user's number: the effective one. `None` on Windows.
    pub uid: Option<u32>,
    /// The number of a group of which this user is the only member, where its main group is one.
    pub private_gid: Option<u32>,
    /// Whether thoth may do everything: uid 0, or elevated on Windows.
    pub is_root: Option<bool>,
    /// Names of the processes above this one, the nearest first; at most [`MAX_ANCESTORS`]
    /// processes. A process may go by two names: that of its program and the one it gave itself.
    pub ancestors: Option<Vec<String>>,
    /// The program that runs.
    pub executable: Option<PathBuf>,
}

/// How many ancestors are looked at.
pub const MAX_ANCESTORS: usize = 64;

impl Machine {
    /// Gathers every fact. Blocking, for well under a millisecond on Unix; on Windows it runs
    /// `whoami`, which takes longer.
    pub fn gather() -> Self {
        Self {
            os: std::env::consts::OS,
            os_version: os_version(),
            ancestors: ancestors(),
            executable: std::env::current_exe().ok(),
            ..who()
        }
    }
}

/// The wall clock. The only place that reads it.
pub mod clock {
    /// The time now.
    pub fn now() -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

/// The number of a group of which this user is the only member, where its main group is one.
/// Blocking: asks the system's directory of users.
#[cfg(unix)]
pub fn private_group() -> Option<u32> {
    use nix::unistd::{User, geteuid};

    private_group_of(&User::from_uid(geteuid()).ok()??)
}

#[cfg(unix)]
fn private_group_of(user: &nix::unistd::User) -> Option<u32> {
    let group = nix::unistd::Group::from_gid(user.gid).ok()??;
    let is_private = group.name == user.name && group.mem.iter().all(|member| *member == user.name);
    is_private.then_some(user.gid.as_raw())
}

#[cfg(unix)]
fn who() -> Machine {
    use nix::unistd::{User, geteuid, gethostname};

    let uid = geteuid();
    let user = User::from_uid(uid).ok().flatten();
    Machine {
        hostname: gethostname().ok().and_then(|hostname| hostname.into_string().ok()),
        private_gid: user.as_ref().and_then(private_group_of),
        user: user.map(|user| user.name),
        uid: Some(uid.as_raw()),
        is_root: Some(uid.is_root()),
        ..Machine::default()
    }
}

/// Asks the system's own `whoami`, by its full path: variables such as `USERNAME` say whatever
/// the one who starts thoth wants them to.
#[cfg(windows)]
fn who() -> Machine {
    let ask = |program: &str, words: &[&str]| {
        std::process::Command::new(format!(r"C:\Windows\System32\{program}.exe"))
            .args(words)
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    Machine {
        hostname: ask("hostname", &[]),
        user: ask("whoami", &[]),
        is_root: ask("whoami", &["/groups", "/fo", "csv"]).map(|groups| is_elevated(&groups)),
        ..Machine::default()
    }
}

#[cfg(not(any(unix, windows)))]
fn who() -> Machine {
    Machine::default()
}

/// Whether a list of groups holds the label of high or system integrity, which a process has
/// when it runs elevated.
#[cfg(any(windows, test))]
fn is_elevated(groups: &str) -> bool {
    groups.contains("\"S-1-16-12288\"") || groups.contains("\"S-1-16-16384\"")
}

fn os_version() -> Option<String> {
    let text = |path: &str| std::fs::read_to_string(path).ok();
    match std::env::consts::OS {
        "linux" => os_release(&text("/etc/os-release")?),
        "macos" => product_version(&text("/System/Library/CoreServices/SystemVersion.plist")?),
        _ => None,
    }
}

/// `VERSION_ID` of an `os-release` file, or the rolling distribution's `BUILD_ID`.
fn os_release(text: &str) -> Option<String> {
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    value("VERSION_ID").or_else(|| value("BUILD_ID"))
}

/// `ProductVersion` of a `SystemVersion.plist`.
fn product_version(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<key>ProductVersion</key>")?;
    let (_, rest) = rest.split_once("<string>")?;
    rest.split_once("</string>").map(|(version, _)| version.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn ancestors() -> Option<Vec<String>> {
    None
}

/// The parent of a process, 0 for one that has none in sight; `None` where the process cannot be seen.
#[cfg(target_os = "linux")]
pub fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    name_and_parent(&stat).map(|(_, parent)| parent)
}

/// Walks up `/proc`. A process that cannot be seen ends the walk, because what stands above it
/// cannot be known; there is no list where that is the parent itself.
#[cfg(target_os = "linux")]
fn ancestors() -> Option<Vec<String>> {
    use std::fs;

    let mut names = Vec::new();
    let (_, mut pid) = name_and_parent(&fs::read_to_string("/proc/self/stat").ok()?)?;
    for step in 0..MAX_ANCESTORS {
        if pid == 0 {
            break;
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| name_and_parent(&stat));
        let Some((given_name, parent)) = stat else {
            return (step > 0).then_some(names);
        };
        // The program behind a process of another user cannot be seen; its given name can.
        let program = fs::read_link(format!("/proc/{pid}/exe"))
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .map(|program| program.trim_end_matches(" (deleted)").to_owned()) // after an update
            .filter(|program| *program != given_name);
        names.extend(program);
        names.push(given_name);
        pid = parent;
    }
    Some(names)
}

/// The name in parentheses, which may hold anything, and the parent's number two fields on:
/// `proc(5)`.
#[cfg(target_os = "linux")]
fn name_and_parent(stat: &str) -> Option<(String, u32)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let parent = after.split_whitespace().nth(1)?.parse().ok()?;
    Some((name.to_owned(), parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_and_a_program() {
        let machine = Machine::gather();
        assert_eq!(machine.os, std::env::consts::OS);
        assert!(machine.hostname.is_some());
        assert!(machine.executable.unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn root_is_user_number_0() {
        let machine = Machine::gather();
        assert_eq!(machine.is_root, machine.uid.map(|uid| uid == 0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_nearest_ancestor_is_the_parent() {
        let parent = std::os::unix::process::parent_id();
        let comm = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap();
        let ancestors = Machine::gather().ancestors.unwrap();
        assert!(
            ancestors[..2.min(ancestors.len())].contains(&comm.trim_end().to_owned()),
            "{comm} {ancestors:?}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_cannot_hide_its_parent_in_its_name() {
        for (stat, read) in [
            ("7 (sh) S 5 7 7 0", Some(("sh", 5))),
            ("7 (a b) R 1 (x) S 9) S 5 7", Some(("a b) R 1 (x) S 9", 5))),
            ("7 (sh) S", None),
            ("7 sh S 5", None),
            ("", None),
        ] {
            let read = read.map(|(name, parent)| (name.to_owned(), parent));
            assert_eq!(name_and_parent(stat), read, "{stat}");
        }
    }

    #[test]
    fn versions_are_read_from_the_systems_own_files() {
        let ubuntu = "NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\n";
        assert_eq!(os_release(ubuntu).as_deref(), Some("24.04"));
        assert_eq!(os_release("BUILD_ID=rolling\n").as_deref(), Some("rolling"));
        assert_eq!(os_release("NAME=x\n"), None);
        let mac = "<dict><key>ProductVersion</key>\n\t<string>15.1</string></dict>";
        assert_eq!(product_version(mac).as_deref(), Some("15.1"));
    }

    #[test]
    fn high_integrity_is_elevated() {
        let group = |sid: &str| format!("\"Mandatory Label\",\"Label\",\"{sid}\",\"\"");
        assert!(is_elevated(&group("S-1-16-12288")));
        assert!(is_elevated(&group("S-1-16-16384")));
        assert!(!is_elevated(&group("S-1-16-8192")));
    }
}
