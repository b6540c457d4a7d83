//! A home directory of its own for each test, and thoth in it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const THOTH: &str = env!("CARGO_BIN_EXE_thoth");

/// Two servers that can be wrapped and one that cannot.
pub(crate) const THREE: &str = r#"{
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "files"], "env": { "TOKEN": "hunter2-files" } },
    "plain": { "command": "plain" },
    "far": { "url": "http://x.example/mcp", "headers": { "Authorization": "Bearer hunter2-far" } }
  }
}
"#;

pub(crate) struct Room {
    root: tempfile::TempDir,
}

/// What came of a command.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    /// Puts a file in place, with the directories above it.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// thoth with these arguments, in an environment without anything of this machine's.
    pub(crate) fn thoth<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command(THOTH, args)
    }

    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(self.root.path());
        command.env("HOME", self.path("")).env("USERPROFILE", self.path(""));
        command.env("PATH", "/usr/bin:/bin");
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        said(self.thoth(args).output().unwrap())
    }

    /// thoth, installed in the room.
    pub(crate) fn installed(&self) -> PathBuf {
        let path = self.path("bin").join(Path::new(THOTH).file_name().unwrap());
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[cfg(unix)]
            std::os::unix::fs::symlink(THOTH, &path).unwrap();
            #[cfg(not(unix))]
            fs::copy(THOTH, &path).unwrap();
        }
        path
    }

    /// `thoth wrap-config`, with the thoth that is installed in the room.
    pub(crate) fn wrap(&self, args: &[&str]) -> Said {
        let program = self.installed();
        let program = program.to_str().unwrap();
        self.run([&["wrap-config", "--thoth-bin", program], args].concat())
    }

    pub(crate) fn unwrap(&self, args: &[&str]) -> Said {
        self.run([&["unwrap-config"], args].concat())
    }

    /// Every file below thoth's own directory.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        below(&self.path(".thoth"))
    }
}

pub(crate) fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Every file in a directory and in those below it.
pub(crate) fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
