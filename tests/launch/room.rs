//! A home directory and a project for each test, and thoth in them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) const THOTH: &str = env!("CARGO_BIN_EXE_thoth");

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
        let room = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(room.path("app")).unwrap();
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    /// The path of the project, as clients write it down.
    pub(crate) fn app(&self) -> String {
        self.path("app").to_str().unwrap().to_owned()
    }

    /// Puts a file in place, with the directories above it.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Says in Claude Code's own file what was approved of the project.
    pub(crate) fn claude(&self, project: &Value, user: &Value) {
        let text = serde_json::json!({"projects": {self.app(): project}, "mcpServers": user});
        self.file(".claude.json", text.to_string());
    }

    /// thoth with these arguments, in the project, in an environment without anything of this
    /// machine's.
    pub(crate) fn thoth<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(THOTH);
        command.args(args).env_clear().current_dir(self.path("app"));
        command.env("HOME", self.path("")).env("USERPROFILE", self.path(""));
        command.env("PATH", "/usr/bin:/bin");
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        said(&self.thoth(args).output().unwrap())
    }

    /// `thoth mcp-config --out -`.
    pub(crate) fn config(&self, client: &str, args: &[&str]) -> Said {
        self.run([&["mcp-config", "--client", client, "--out", "-"], args].concat())
    }
}

impl Said {
    /// What was written, as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    /// The names of the servers that were written.
    pub(crate) fn names(&self) -> Vec<String> {
        self.json()["mcpServers"].as_object().unwrap().keys().cloned().collect()
    }
}

pub(crate) fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// Every path below a directory.
pub(crate) fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}
