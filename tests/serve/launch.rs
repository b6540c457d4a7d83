//! One `thoth serve`, in a home of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Request, Response};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/server.sh");

/// What it is started with.
pub(crate) struct Setup {
    pub(crate) home: TempDir,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    command: Vec<String>,
}

/// It runs.
pub(crate) struct Served {
    pub(crate) setup: Setup,
    pub(crate) process: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) told: Value,
}

impl Setup {
    /// With the server of `server.sh`, and a policy that allows everything but `forbidden`.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let policy = home.path().join("policy.toml");
        let rules = "[policy]\nid = \"test\"\nversion = 1\ndefault = \"allow\"\n\
            [[rule]]\nid = \"no\"\ntools = [\"forbidden\"]\neffect = \"block\"\nreason = \"the test says so\"\n\
            [[rule]]\nid = \"ask\"\ntools = [\"dangerous\"]\neffect = \"step_up\"\nreason = \"the test says so\"\n";
        fs::write(&policy, rules).unwrap();
        let path = home.path().to_str().unwrap().to_owned();
        let command = vec!["sh".to_owned(), SERVER.to_owned(), path];
        let flags = vec!["--policy".to_owned(), policy.to_str().unwrap().to_owned()];
        Self { home, flags, variables: Vec::new(), command }
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn server(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The server is behind this address, and no command.
    pub(crate) fn url(mut self, url: &str) -> Self {
        self.command.clear();
        self.flags(&["--url", url])
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the server's command is found by the test's own PATH"
    )]
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
        command
            .args(["serve", "--agent-id", "test"])
            .args(&self.flags)
            .args((!self.command.is_empty()).then_some("--"))
            .args(&self.command)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("THOTH_HOME_DIR", self.home.path().join("home"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it, and waits until it has said where it listens.
    pub(crate) fn start(self) -> Served {
        let mut process = self.command().spawn().unwrap();
        let stdin = process.stdin.take();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let output = process.wait_with_output().unwrap();
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        }
        let told = serde_json::from_str(&line).unwrap();
        Served { setup: self, process, stdin, told }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.home.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What all servers read.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.lines("seen")
    }

    /// The process ids of the servers that were started.
    pub(crate) fn starts(&self) -> Vec<String> {
        self.lines("starts")
    }

    /// The journals of this home.
    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.home.path().join("home/journal/test")) else {
            return Vec::new();
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect()
    }
}

impl Served {
    pub(crate) fn port(&self) -> u16 {
        u16::try_from(self.told["port"].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn secret(&self) -> &str {
        self.told["secret"].as_str().unwrap()
    }

    /// A message as clients with sessions send it, to whatever session.
    pub(crate) fn post(&self, message: &Value) -> Request {
        Request::new("POST", "/mcp")
            .and("host", &format!("127.0.0.1:{}", self.port()))
            .and("authorization", &format!("Bearer {}", self.secret()))
            .and("accept", "application/json, text/event-stream")
            .and("content-type", "application/json")
            .saying(message.to_string())
    }

    pub(crate) fn send(&self, request: &Request) -> Response {
        request.send(self.port())
    }

    /// Begins a session; its name.
    pub(crate) fn initialize(&self) -> String {
        let mut response = self.send(&self.post(&initialize()));
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["result"]["serverInfo"]["name"], "sh");
        response.header("mcp-session-id").unwrap().to_owned()
    }

    /// A message in a session.
    pub(crate) fn within(&self, session: &str, message: &Value) -> Request {
        self.post(message).and("mcp-session-id", session).and("mcp-protocol-version", "2025-11-25")
    }

    /// What the session has to say by itself.
    pub(crate) fn listening(&self, session: &str) -> Request {
        self.within(session, &Value::Null).to("GET", "/mcp").without("content-type").saying("")
    }

    /// A call in a session, answered.
    pub(crate) fn call(&self, session: &str, id: u32, tool: &str) -> Response {
        self.send(&self.within(session, &call(id, tool)))
    }

    /// Lets all calls that wait go on.
    pub(crate) fn open_gate(&self) {
        fs::write(self.setup.home.path().join("gate"), "go\n").unwrap();
    }

    /// Waits until the servers have read a line with this text.
    pub(crate) fn until_seen(&self, text: &str) {
        while !self.setup.seen().iter().any(|line| line.contains(text)) {
            std::thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end: how it was, and what was said on standard error.
    pub(crate) fn ends(mut self) -> (ExitStatus, String, Setup) {
        let mut said = String::new();
        let mut errors = self.process.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut errors, &mut said).unwrap();
        let status = self.process.wait().unwrap();
        let Served { setup, stdin, .. } = self;
        drop(stdin);
        (status, said, setup)
    }

    /// Closes its input, and waits for the end.
    pub(crate) fn closes(mut self) -> (ExitStatus, String, Setup) {
        self.stdin = None;
        self.ends()
    }
}

pub(crate) fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }})
}

pub(crate) fn call(id: u32, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": {}, "_meta": {"progressToken": id}}})
}

pub(crate) fn request(id: u32, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method})
}

/// What a tool said.
pub(crate) fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
