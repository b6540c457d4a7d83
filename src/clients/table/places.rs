//! The directories that clients keep their files in, for one user of one system.

use std::path::{Path, PathBuf};

use super::Base;
use crate::config::variables::{
    APPDATA, CLAUDE_CONFIG_DIR, CLINE_DIR, CODEX_HOME, Env, HOME, HOME_DRIVE, HOME_PATH,
    LOCALAPPDATA, PATH, PROGRAM_DATA, PROGRAM_FILES, USER_PROFILE, Variable, XDG_CONFIG_HOME,
};

/// A system, as far as clients' paths differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum System {
    /// macOS.
    Macos,
    /// Linux, and whatever else is like it.
    Linux,
    /// Windows.
    Windows,
}

/// The directories that clients keep their files in, for one user of one system.
///
/// A variable that names a directory adds it to the one that holds without: a client that was
/// started from a desktop does not have the variables of a terminal, and the other way round.
/// Relative directories do not count, as each client would understand them in its own way.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The system.
    pub system: System,
    /// The home directory; empty where there is none, so that no file of a user is found.
    pub home: PathBuf,
    /// Projects to look at beside those that Claude Code knows, such as the current directory.
    pub projects: Vec<PathBuf>,
    /// Where commands are looked for.
    pub path: Vec<PathBuf>,
    /// Where the file system begins, for administrators' files: `/`.
    pub root: PathBuf,
    xdg_config: Option<PathBuf>,
    roaming: Option<PathBuf>,
    local: Option<PathBuf>,
    programs: Option<PathBuf>,
    common: Option<PathBuf>,
    claude: Option<PathBuf>,
    codex: Option<PathBuf>,
    cline: Option<PathBuf>,
}

// === impl System ===

impl System {
    /// Every system.
    pub const ALL: [Self; 3] = [Self::Macos, Self::Linux, Self::Windows];

    /// The system this program was built for.
    pub fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Macos
        } else {
            Self::Linux
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Macos => "macOS",
            Self::Linux => "Linux",
            Self::Windows => "Windows",
        }
    }

    /// Its name in a manifest's `platform_overrides`, which is that of Node.js.
    pub fn platform(self) -> &'static str {
        match self {
            Self::Macos => "darwin",
            Self::Linux => "linux",
            Self::Windows => "win32",
        }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::here()
    }
}

// === impl Places ===

impl Places {
    /// The places of the user whose environment this is, on this system.
    pub fn of(env: &Env) -> Self {
        Self::on(System::here(), env)
    }

    /// The places of the user whose environment this is, on a system.
    pub fn on(system: System, env: &Env) -> Self {
        let directory = |variable: &Variable| {
            let path = PathBuf::from(env.get(variable)?);
            is_absolute(system, &path).then_some(path)
        };
        let of_windows = || {
            let drive = env.get(&HOME_DRIVE)?;
            let mut joined = drive.to_owned();
            joined.push(env.get(&HOME_PATH)?);
            Some(PathBuf::from(joined))
        };
        let home = match system {
            // Shells from elsewhere set HOME there; the clients do not look at it.
            System::Windows => directory(&USER_PROFILE).or_else(of_windows),
            System::Macos | System::Linux => directory(&HOME),
        };
        let path = env.get(&PATH).unwrap_or_default().to_string_lossy();
        let between = if system == System::Windows { ';' } else { ':' };
        let path = path.split(between).map(PathBuf::from);
        Self {
            system,
            home: home.unwrap_or_default(),
            projects: Vec::new(),
            path: path.filter(|path| is_absolute(system, path)).collect(),
            root: PathBuf::from("/"),
            xdg_config: directory(&XDG_CONFIG_HOME),
            roaming: directory(&APPDATA),
            local: directory(&LOCALAPPDATA),
            programs: directory(&PROGRAM_FILES),
            common: directory(&PROGRAM_DATA),
            claude: directory(&CLAUDE_CONFIG_DIR),
            codex: directory(&CODEX_HOME),
            cline: directory(&CLINE_DIR),
        }
    }

    /// The same, with one more project to look at.
    #[must_use]
    pub fn with_project(mut self, root: PathBuf) -> Self {
        self.projects.push(root);
        self
    }

    /// Where a command is looked for: in `PATH`, and where people install programs, as `thoth run`
    /// does.
    pub(in crate::clients) fn programs(&self) -> impl Iterator<Item = PathBuf> {
        const OWN: [&str; 5] =
            [".local/bin", ".cargo/bin", ".volta/bin", ".local/share/mise/shims", ".asdf/shims"];
        const SHARED: [&str; 8] = [
            "usr/local/bin",
            "opt/homebrew/bin",
            "home/linuxbrew/.linuxbrew/bin",
            "opt/local/bin",
            "snap/bin",
            "run/current-system/sw/bin",
            "usr/bin",
            "bin",
        ];
        let own = OWN.iter().map(|below| self.home.join(below));
        let shared: Vec<_> = match self.system {
            System::Windows => {
                self.of_base(Base::Programs, None).iter().map(|at| at.join("nodejs")).collect()
            }
            System::Macos | System::Linux => SHARED.iter().map(|at| self.root.join(at)).collect(),
        };
        self.path.iter().cloned().chain(own).chain(shared)
    }

    /// The directories that paths of one kind begin in; a project's root is that project's.
    pub fn of_base(&self, base: Base, project: Option<&Path>) -> Vec<PathBuf> {
        let data = match self.system {
            System::Macos => (None, "Library/Application Support"),
            System::Linux => (self.xdg_config.as_ref(), ".config"),
            System::Windows => (self.roaming.as_ref(), "AppData/Roaming"),
        };
        let (named, usual) = match base {
            Base::Home => (None, ""),
            Base::Data => data,
            Base::Config => (self.xdg_config.as_ref(), ".config"),
            Base::Local => (self.local.as_ref(), "AppData/Local"),
            Base::Claude => (self.claude.as_ref(), ""),
            Base::Codex => (self.codex.as_ref(), ".codex"),
            Base::Cline => (self.cline.as_ref(), ".cline"),
            Base::Root => {
                return Vec::from_iter(Some(self.root.clone()).filter(|root| is_some(root)));
            }
            Base::Programs => return vec![named_or(self.programs.as_ref(), "C:/Program Files")],
            Base::Common => return vec![named_or(self.common.as_ref(), "C:/ProgramData")],
            Base::Project => return Vec::from_iter(project.map(Path::to_owned)),
        };
        // Collecting the components drops the slash that joining nothing leaves.
        let home = Some(&self.home).filter(|home| is_some(home));
        let usual: Option<PathBuf> = home.map(|home| home.join(usual).components().collect());
        let mut found = Vec::from_iter(named.cloned());
        found.extend(usual.filter(|usual| Some(usual) != named));
        found
    }
}

/// Whether a path says where it is on a system, which need not be this one.
fn is_absolute(system: System, path: &Path) -> bool {
    match (system, path.as_os_str().as_encoded_bytes()) {
        (System::Windows, [b'\\', b'\\', ..]) => true,
        (System::Windows, [drive, b':', b'\\' | b'/', ..]) => drive.is_ascii_alphabetic(),
        (System::Windows, _) => false,
        (System::Macos | System::Linux, text) => text.starts_with(b"/"),
    }
}

fn is_some(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

fn named_or(named: Option<&PathBuf>, usual: &str) -> PathBuf {
    named.cloned().unwrap_or_else(|| PathBuf::from(usual))
}
