//! One `thoth run` around the server of [`super::server`], in a home of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{self, Kind};
use super::stream::Stream;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_mins(1);

const ALLOW_ALL: &str = "[policy]\nid = \"all\"\nversion = 1\ndefault = \"allow\"\n";

/// What a sidecar is started with.
pub(crate) struct Setup {
    pub(crate) home: TempDir,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    kind: Kind,
}

/// A sidecar that runs.
pub(crate) struct Sidecar {
    pub(crate) process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    threads: Vec<JoinHandle<()>>,
    said: Receiver<Vec<u8>>,
}

/// How a sidecar ended.
pub(crate) struct Ended {
    /// Its exit code; `None` where a signal killed it.
    pub(crate) code: Option<i32>,
    /// What it wrote and nobody read.
    pub(crate) unread: Vec<Vec<u8>>,
    /// What it said on standard error.
    pub(crate) said: String,
}

// === impl Setup ===

impl Setup {
    /// Friction on, a policy that allows everything, and events into a file.
    pub(crate) fn new() -> Self {
        Self::of(Kind::Plain)
    }

    /// The same around another kind of server.
    pub(crate) fn of(kind: Kind) -> Self {
        let home = tempfile::tempdir().unwrap();
        let policy = home.path().join("policy.toml");
        fs::write(&policy, ALLOW_ALL).unwrap();
        let setup = Self { home, flags: Vec::new(), variables: Vec::new(), kind };
        let file = format!("file://{}", setup.events().display());
        setup
            .flags(&["--friction", "on", "--policy", policy.to_str().unwrap()])
            .variable("BATON_EVENT_SINK", &file)
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// These flags and no others.
    pub(crate) fn retold(mut self, flags: &[&str]) -> Self {
        self.flags.clear();
        self.flags(flags)
    }

    /// Sets a variable, or sets it anew.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a variable away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self
    }

    /// Events go to this collector, too, with everything that is needed for that.
    pub(crate) fn sending_to(self, url: &str) -> Self {
        let sinks = format!("file://{},{url}", self.events().display());
        self.variable("BATON_EVENT_SINK", &sinks)
            .variable("BATON_CONSENT_TOKEN", "they agreed")
            .variable("BATON_VENDOR_ID", "fake")
            .variable("BATON_API_KEY", "test_0123456789")
    }

    /// Where the events are.
    pub(crate) fn events(&self) -> PathBuf {
        self.home.path().join("events.jsonl")
    }

    /// What the server read.
    pub(crate) fn seen(&self) -> String {
        fs::read_to_string(self.home.path().join("seen")).unwrap_or_default()
    }

    /// The events so far, as they are.
    pub(crate) fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.events()).unwrap_or_default();
        // The last line may be on its way.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The events of a session that is over: one whole stream.
    pub(crate) fn stream(&self) -> Stream {
        Stream::read(&fs::read_to_string(self.events()).unwrap_or_default())
    }

    /// Waits until the events so far are like this.
    pub(crate) fn until(&self, holds: impl Fn(&[Value]) -> bool) {
        let mut left = LONG;
        while !holds(&self.told()) {
            let pause = Duration::from_millis(10);
            left = left.checked_sub(pause).unwrap_or_else(|| panic!("{:#?}", self.told()));
            std::thread::sleep(pause);
        }
    }

    /// The command line with its environment, for whoever starts it in another way.
    #[expect(clippy::disallowed_methods, reason = "`sh` is found by the test's own PATH")]
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
        command
            .args(["run", "--agent-id", "test"])
            .args(&self.flags)
            .arg("--")
            .args(server::command("server::serves"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("THOTH_HOME_DIR", self.home.path().join("home"))
            .env(server::KIND, format!("{:?}", self.kind))
            .env(server::SEEN, self.home.path().join("seen"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self) -> Sidecar {
        let mut process = self.command().spawn().unwrap();
        let stdin = process.stdin.take();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut stderr = process.stderr.take().unwrap();
        let ((lines_in, lines), (said_in, said)) = (channel(), channel());
        let reading = std::thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let _ = lines_in.send(std::mem::take(&mut line));
            }
        });
        let listening = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            let _ = said_in.send(text);
        });
        Sidecar { process, stdin, lines, threads: vec![reading, listening], said }
    }

    /// A whole session: says these lines, waits for as many answers, and ends it.
    pub(crate) fn plays(&self, lines: &[String], answers: usize) -> Vec<Value> {
        let mut sidecar = self.start();
        for line in lines {
            sidecar.says(line);
        }
        let answers = (0..answers).map(|_| sidecar.reads()).collect();
        let ended = sidecar.ends();
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        assert_eq!(ended.unread, Vec::<Vec<u8>>::new());
        answers
    }
}

// === impl Sidecar ===

impl Sidecar {
    pub(crate) fn says(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// The next line, as it is.
    pub(crate) fn reads_bytes(&mut self) -> Vec<u8> {
        self.lines.recv_timeout(LONG).unwrap_or_else(|_| panic!("it says nothing"))
    }

    /// The next line, without its end.
    pub(crate) fn reads_text(&mut self) -> String {
        let line = String::from_utf8(self.reads_bytes()).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    pub(crate) fn reads(&mut self) -> Value {
        let line = self.reads_text();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// Says a line and reads the next one.
    pub(crate) fn asks(&mut self, line: &str) -> Value {
        self.says(line);
        self.reads()
    }

    /// `initialize` and `tools/list`, as clients begin; the tools.
    pub(crate) fn opens(&mut self) -> Value {
        self.asks(&initialize(1));
        self.says(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.asks(&request(2, "tools/list", &json!({})))["result"]["tools"].take()
    }

    pub(crate) fn closes(&mut self) {
        drop(self.stdin.take());
    }

    pub(crate) fn signals(&self, signal: nix::sys::signal::Signal) {
        let id = nix::unistd::Pid::from_raw(self.process.id().try_into().unwrap());
        nix::sys::signal::kill(id, signal).unwrap();
    }

    /// Closes its input and waits for its end.
    pub(crate) fn ends(mut self) -> Ended {
        self.closes();
        let code = self.process.wait().unwrap().code();
        for thread in self.threads {
            thread.join().unwrap();
        }
        let said = self.said.recv().unwrap();
        let said = String::from_utf8_lossy(&said).into_owned();
        Ended { code, unread: self.lines.try_iter().collect(), said }
    }
}

/// A request, as clients spell it.
pub(crate) fn request(id: u32, method: &str, params: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// A call.
pub(crate) fn call(id: u32, tool: &str, arguments: &Value) -> String {
    request(id, "tools/call", &json!({ "name": tool, "arguments": arguments }))
}

/// The first request of a session.
pub(crate) fn initialize(id: u32) -> String {
    let client = json!({ "name": "Test Client", "version": "3" });
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    request(id, "initialize", &params)
}
