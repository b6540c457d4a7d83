//! A Mac of our own: two people, the programs the scripts call, and a thoth that remembers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What the scripts set for themselves, and what is put in its place.
const SYSTEM_PATH: &str = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";

/// A directory that is laid out like a Mac.
pub(crate) struct Mac {
    root: TempDir,
}

/// How a script ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Every script below `packaging/` that is meant for a Mac and runs alone.
pub(crate) fn scripts() -> Vec<String> {
    let mut all = Vec::new();
    for directory in ["jamf/extension-attributes", "jamf/policies", "kandji"] {
        for file in fs::read_dir(Path::new("packaging").join(directory)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            all.push(format!("{directory}/{name}"));
        }
    }
    all.sort();
    all
}

/// Runs a command to its end, with nothing on its standard input.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes a program.
pub(crate) fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

// === impl Mac ===

impl Mac {
    /// With alice at the screen, bob beside her, and no thoth.
    pub(crate) fn new() -> Self {
        let mac = Self { root: tempfile::tempdir().unwrap() };
        for home in ["Users/alice", "Users/bob the second", "Library/LaunchAgents"] {
            fs::create_dir_all(mac.path(home)).unwrap();
        }
        mac.at_the_screen("alice");
        let root = mac.root.path().display().to_string();
        for (name, text) in PROGRAMS {
            program(&mac.path("stubs").join(name), &text.replace("@ROOT@", &root));
        }
        mac
    }

    /// The same with a thoth that runs `body` after it has written down who called it, and how.
    pub(crate) fn with_thoth(body: &str) -> Self {
        let mac = Self::new();
        let calls = mac.path("calls");
        let text = format!(
            "#!/bin/sh\necho \"$USER ${{HOME##*/}} $(env | grep -c .) $*\" >>'{}'\n{body}\n",
            calls.display()
        );
        program(&mac.path("usr/local/bin/thoth"), &text);
        mac
    }

    /// The same with the thoth that was built.
    pub(crate) fn with_real_thoth() -> Self {
        let mac = Self::new();
        let place = mac.path("usr/local/bin/thoth");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_thoth"), &place).unwrap();
        mac
    }

    /// A path on this Mac.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Puts somebody at the screen; `root` is the login window.
    pub(crate) fn at_the_screen(&self, name: &str) {
        fs::write(self.path("console"), name).unwrap();
    }

    /// Runs `packaging/SCRIPT` as Jamf does: three arguments of its own, then the parameters.
    pub(crate) fn run(&self, script: &str, parameters: &[&str]) -> Ended {
        let text = fs::read_to_string(Path::new("packaging").join(script)).unwrap();
        assert!(text.contains(SYSTEM_PATH), "{script} takes its programs from anywhere");
        let root = self.root.path().display().to_string();
        let text = text
            .replace(SYSTEM_PATH, &format!("PATH={root}/stubs:/usr/bin:/bin"))
            .replace("/usr/local/bin/thoth", &format!("{root}/usr/local/bin/thoth"))
            .replace("/Library/", &format!("{root}/Library/"));
        let staged = self.path("script");
        fs::write(&staged, text).unwrap();
        let given = ["/", "mac", "alice"].iter().chain(parameters);
        run(Command::new("/bin/sh").arg(staged).args(given))
    }

    /// How thoth was called so far, call by call: who, in which home, with what.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// The programs of a Mac, as far as the scripts use them.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "dscl",
        r#"#!/bin/sh
case "$2 $3" in
    '-list /Users') printf '%s\n' '_mbsetupuser 248' 'alice 501' 'bob 502' 'gone 503' 'root 0' ;;
    '-read /Users/alice') echo 'NFSHomeDirectory: @ROOT@/Users/alice' ;;
    '-read /Users/bob') printf 'NFSHomeDirectory:\n @ROOT@/Users/bob the second\n' ;;
    '-read /Users/gone') echo 'NFSHomeDirectory: @ROOT@/Users/gone' ;;
    *) exit 56 ;;
esac
"#,
    ),
    (
        "stat",
        r#"#!/bin/sh
case "$2 $3" in
    '%Su /dev/console') cat '@ROOT@/console' ;;
    '%u /dev/console') echo 501 ;;
    '%u %Lp '*) echo "$(cat '@ROOT@/owner' 2>/dev/null || echo 0) $(/usr/bin/stat -c %a "$3")" ;;
    '%u '*) cat '@ROOT@/owner' 2>/dev/null || echo 0 ;;
    '%Lp '*) /usr/bin/stat -c %a "$3" ;;
esac
"#,
    ),
    ("defaults", "#!/bin/sh\nexec cat '@ROOT@/last' 2>/dev/null\n"),
    // `sudo -n -u NAME COMMAND...`
    ("sudo", "#!/bin/sh\n[ \"$1 $2\" = '-n -u' ] || exit 1\nshift 3\nexec \"$@\"\n"),
    ("id", "#!/bin/sh\necho 501\n"),
    // Of what only root may do, what everybody may.
    ("install", "#!/bin/sh\nfor last in \"$@\"; do :; done\nexec mkdir -p \"$last\"\n"),
    ("chown", "#!/bin/sh\n"),
    ("launchctl", "#!/bin/sh\necho \"$*\" >>'@ROOT@/launchctl'\n"),
    (
        "pkgutil",
        r#"#!/bin/sh
case "$1" in
    --check-signature) cat '@ROOT@/signature' ;;
    *) echo "$*" >>'@ROOT@/pkgutil' ;;
esac
"#,
    ),
    ("shasum", "#!/bin/sh\nexec sha256sum \"$3\"\n"),
    ("installer", "#!/bin/sh\nexec sh \"$2\"\n"),
    ("codesign", "#!/bin/sh\nexit 1\n"),
];
