//! The processes that are compared, and the files they need.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{self, Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

use crate::options::Options;
use crate::rules;
use crate::trouble::Trouble;
use crate::watch::Watch;

/// What all rows share.
pub(crate) struct Setup {
    bench: PathBuf,
    sidecar: Sidecar,
    baton: Option<PathBuf>,
    quick: bool,
    directory: TempDir,
    policy: PathBuf,
    watch: Watch,
}

/// What is measured.
enum Sidecar {
    Thoth(PathBuf),
    /// One of our own relays: shows what the bench itself adds.
    Relay(&'static str),
}

/// Who decides about the sidecar's calls.
#[derive(Clone, Copy)]
pub(crate) enum Judge<'a> {
    Rules,
    Enforcer(&'a EnforcerFacts),
}

/// Where the sidecar's friction events go.
#[derive(Clone, Copy)]
pub(crate) enum Telling {
    /// There are none.
    Nothing,
    /// To a file in the sidecar's own `~/.thoth`.
    File,
    /// To a collector on this port.
    Collector(u16),
}

/// Where the bench's enforcer is.
pub(crate) struct EnforcerFacts {
    pub(crate) port: u16,
    pub(crate) authority: PathBuf,
    pin: String,
}

/// The bench's enforcer, while it runs.
pub(crate) struct Enforcer {
    pub(crate) facts: EnforcerFacts,
    child: Child,
    /// Held open: the enforcer ends with its input.
    _input: Option<ChildStdin>,
}

/// The roles that relay; on Windows tokio has no non-blocking pipes for standard input.
const RELAYS: &[&str] = if cfg!(unix) { &["relay", "relay-tokio"] } else { &["relay"] };

// === impl Setup ===

impl Setup {
    pub(crate) fn new(options: &Options) -> Result<Self, Trouble> {
        let sidecar = match options.sidecar.as_deref() {
            None => Sidecar::Thoth(PathBuf::from(env!("CARGO_BIN_EXE_thoth"))),
            Some(path) if path == Path::new("self-relay") => Sidecar::Relay("relay"),
            Some(path) if path == Path::new("self-relay-tokio") => Sidecar::Relay("relay-tokio"),
            Some(path) => Sidecar::Thoth(path::absolute(path)?),
        };
        let directory = tempfile::tempdir()?;
        let policy = directory.path().join("policy.toml");
        fs::write(&policy, rules::policy())?;
        Ok(Self {
            bench: env::current_exe()?,
            sidecar,
            baton: options.baton.as_deref().map(path::absolute).transpose()?,
            quick: options.quick,
            directory,
            policy,
            watch: Watch::start(),
        })
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Where processes may leave files; removed at the end.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }

    /// The first number in a full run, the second in a quick one.
    pub(crate) fn full_or_quick(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// What is measured, in words.
    pub(crate) fn sidecar_name(&self) -> String {
        match &self.sidecar {
            Sidecar::Thoth(path) => path.display().to_string(),
            Sidecar::Relay(role) => format!("the bench's own {role}"),
        }
    }

    /// The server alone.
    pub(crate) fn server(&self, server: &[&str]) -> Command {
        let mut command = self.command(&self.bench);
        command.args(["--role", "echo"]).args(server);
        command
    }

    /// The server behind each of the relays; the faster one is the floor.
    pub(crate) fn relays(&self, server: &[&str]) -> Vec<(&'static str, Command)> {
        RELAYS.iter().map(|&role| (role, self.behind_relay(role, server))).collect()
    }

    /// The server behind the sidecar, with an empty `~/.thoth` of its own.
    pub(crate) fn sidecar(&self, judge: Judge<'_>, server: &[&str]) -> Result<Command, Trouble> {
        self.sidecar_telling(judge, Telling::Nothing, server)
    }

    /// The same, with friction events.
    pub(crate) fn sidecar_telling(
        &self,
        judge: Judge<'_>,
        telling: Telling,
        server: &[&str],
    ) -> Result<Command, Trouble> {
        let thoth = match &self.sidecar {
            Sidecar::Relay(role) => return Ok(self.behind_relay(role, server)),
            Sidecar::Thoth(path) => path,
        };
        let home = tempfile::tempdir_in(self.directory())?.keep();
        let mut command = self.command(thoth);
        command
            .env("THOTH_HOME_DIR", &home)
            .env("THOTH_ENV", "dev")
            .args(["run", "--agent-id", "bench", "--tenant-id", "acme"])
            .args(["--user-id", "user@example.com"]);
        match telling {
            Telling::Nothing => command.args(["--friction", "off"]),
            Telling::File => command
                .args(["--friction", "on"])
                .env("BATON_EVENT_SINK", format!("file://{}", home.join("events.jsonl").display())),
            Telling::Collector(port) => command
                .args(["--friction", "on"])
                .env("BATON_EVENT_SINK", format!("http://127.0.0.1:{port}"))
                .env("BATON_API_KEY", "bench")
                .env("BATON_CONSENT_TOKEN", "bench")
                .env("BATON_VENDOR_ID", "bench"),
        };
        match judge {
            Judge::Rules => command.arg("--policy").arg(&self.policy),
            Judge::Enforcer(facts) => command
                .args(["--enforcer-url", &format!("https://localhost:{}", facts.port)])
                .env("THOTH_API_KEY", "bench")
                .env("THOTH_TLS_CA_BUNDLE", &facts.authority)
                .env("THOTH_TLS_PINNED_CERT_SHA256", &facts.pin),
        };
        command.arg("--").arg(&self.bench);
        command.args(["--role", "echo"]).args(server);
        Ok(command)
    }

    /// The server behind `baton-proxy`, if one was given, with its events in a file: its fastest
    /// sink.
    pub(crate) fn baton(&self, server: &[&str]) -> Option<Command> {
        let events = self.directory().join("baton.jsonl");
        let mut command = self.command(self.baton.as_ref()?);
        command
            .env("BATON_EVENT_SINK", format!("file://{}", events.display()))
            .arg("--")
            .arg(&self.bench)
            .args(["--role", "echo"])
            .args(server);
        Some(command)
    }

    /// Starts the enforcer.
    pub(crate) fn enforcer(&self, arguments: &[&str]) -> Result<Enforcer, Trouble> {
        let mut child = self
            .command(&self.bench)
            .args(["--role", "enforcer", "--directory"])
            .arg(self.directory())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let facts = line.trim().split_once(' ').and_then(|(port, pin)| {
            Some(EnforcerFacts {
                port: port.parse().ok()?,
                authority: self.directory().join("authority.pem"),
                pin: pin.to_owned(),
            })
        });
        let Some(facts) = facts else {
            let _ = child.kill();
            return Err(Trouble::Enforcer("it did not start".to_owned()));
        };
        Ok(Enforcer { facts, child, _input: input })
    }

    fn behind_relay(&self, role: &str, server: &[&str]) -> Command {
        let mut command = self.command(&self.bench);
        command.args(["--role", role]).arg(&self.bench);
        command.args(["--role", "echo"]).args(server);
        command
    }

    /// A command without any variable that tells a sidecar what to do.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory());
        for (name, _) in env::vars_os() {
            let governs = |prefix: &str| name.to_string_lossy().starts_with(prefix);
            if governs("THOTH_") || governs("BATON_") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
