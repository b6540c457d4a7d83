//! One machine: a home of its own, the variables of its user, and what thoth says of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use tempfile::TempDir;
use thoth::endpoint::sidecar::{Decisions, Entry, Sidecar};
use thoth::endpoint::state::{self, State};

/// A key that must never be seen.
pub(crate) const SECRET: &str = "hunter2-hunter2-hunter2";

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = fs::read_to_string("docs/health.schema.json").unwrap();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&serde_json::from_str(&text).unwrap()).unwrap()
});

/// A machine with nothing on it.
pub(crate) struct Machine {
    home: TempDir,
    variables: Vec<(String, String)>,
    /// The sidecars that run, as long as the machine does.
    entries: Vec<Entry>,
}

/// What `thoth health --json` said of it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) report: Value,
    pub(crate) exit: i32,
}

// === impl Machine ===

impl Machine {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().to_str().unwrap().to_owned();
        // Whoever runs the tests may be root, which is not what they are about.
        let variables = [("HOME", &*root), ("THOTH_REQUIRE_NON_ROOT", "false")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: variables.into(), home, entries: Vec::new() }
    }

    /// A path in its home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// thoth's own directory.
    pub(crate) fn profile(&self) -> PathBuf {
        self.path(".thoth")
    }

    /// With this variable. `HOME/` in its value is the home.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        let value = value.replace("HOME/", &format!("{}/", self.home.path().display()));
        self.variables.push((name.to_owned(), value));
        self
    }

    /// Without this variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// With a file in its home, 0600, and its directories 0700. `HOME` in the text is the home.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        let folder = path.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        if folder != self.home.path() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(&path, text.replace("HOME", self.home.path().to_str().unwrap())).unwrap();
        self.mode(name, 0o600)
    }

    /// With a pipe in its home, which nobody writes into.
    pub(crate) fn pipe(self, name: &str) -> Self {
        let machine = self.file(name, "");
        fs::remove_file(machine.path(name)).unwrap();
        nix::unistd::mkfifo(&machine.path(name), nix::sys::stat::Mode::S_IRUSR).unwrap();
        machine
    }

    pub(crate) fn mode(self, name: &str, mode: u32) -> Self {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// That remembers this of the GovAPI.
    pub(crate) fn remembering(self, state: &State) -> Self {
        state::write(&self.profile(), state).unwrap();
        self
    }

    /// On which this sidecar runs, for an hour now.
    pub(crate) fn running(mut self, change: impl FnOnce(&mut Sidecar)) -> Self {
        let started_at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
        let mut sidecar = Sidecar {
            pid: std::process::id(),
            session_id: format!("s-{}", self.entries.len()),
            started_at,
            updated_at: started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            agent_id: "files".to_owned(),
            server: "npx".to_owned(),
            environment: "dev".to_owned(),
            enforcement_mode: "progressive".to_owned(),
            policies: Vec::new(),
            decisions: Decisions { allow: 5, block: 1, ..Decisions::default() },
            last_decision_at: Some(started_at),
            enforcer: None,
            credentials: Vec::new(),
            journal: None,
            friction: None,
        };
        change(&mut sidecar);
        let entry = Entry::open(&self.profile(), &sidecar.session_id).unwrap();
        entry.write(&sidecar).unwrap();
        self.entries.push(entry);
        self
    }

    /// Ends the sidecar that started last.
    pub(crate) fn end_one(&mut self) {
        self.entries.pop();
    }

    /// Runs thoth with these words.
    pub(crate) fn thoth(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// thoth with these words, to be run as this machine's user.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
        command
            .args(words)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path());
        command
    }

    /// What `thoth health --json` says, held against its schema.
    pub(crate) fn health(&self, words: &[&str]) -> Told {
        let output = self.thoth(&[&["health", "--json"], words].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        let errors: Vec<_> = SCHEMA.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
        assert!(!text.contains(SECRET), "{text}");
        Told { report, exit: output.status.code().unwrap() }
    }

    /// Every file and directory of its home, with its mode, size and time.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        collect(self.home.path(), &mut found);
        found
    }
}

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let facts = fs::symlink_metadata(&path).unwrap();
        let known = format!("{:?} {} {:?}", facts.permissions(), facts.len(), facts.modified());
        if facts.is_dir() {
            collect(&path, found);
        }
        found.insert(path, known);
    }
}

// === impl Told ===

impl Told {
    /// Each problem's code, in their order.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let problems = self.report["problems"].as_array().unwrap();
        problems.iter().map(|problem| problem["code"].as_str().unwrap()).collect()
    }

    /// The status, the codes and the exit status in one.
    pub(crate) fn in_short(&self) -> String {
        let status = self.report["status"].as_str().unwrap();
        format!("{status} {} [{}]", self.exit, self.codes().join(" "))
    }
}
