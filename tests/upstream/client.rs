//! A client of `thoth run --url`: what it says, and all that it hears.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::server::{Server, WATCHDOG};

/// Allows everything but the tool `refused`; caps `/limit` of `capped`.
const POLICY: &str = r#"
[policy]
id = "test"
version = 1
default = "allow"

[[rule]]
id = "refuse"
tools = ["refused"]
effect = "block"
reason = "the test says so"

[[rule]]
id = "cap"
tools = ["capped"]
effect = "modify"
set = { "/region" = "\"eu\"" }
reason = "the test says so"
"#;

/// What a sidecar is started with.
pub(crate) struct Setup {
    pub(crate) home: TempDir,
    url: String,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    has_policy: bool,
}

/// A client and its sidecar.
pub(crate) struct Client {
    process: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<Heard>,
    reading: AbortOnDropHandle<()>,
    complaining: AbortOnDropHandle<()>,
    next: u64,
}

/// What the sidecar said, on both outputs.
#[derive(Default)]
struct Heard {
    lines: Mutex<Vec<Value>>,
    stderr: Mutex<String>,
    changed: watch::Sender<u64>,
}

/// What is left of a session.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) stderr: String,
}

/// Which revision the client speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Era {
    /// With a handshake, of this revision.
    Handshake(&'static str),
    /// 2026-07-28.
    Stateless,
}

/// The newest revision with a handshake.
pub(crate) const HANDSHAKE: Era = Era::Handshake("2025-11-25");

// === impl Setup ===

impl Setup {
    /// A sidecar before this server, under a policy that allows what is called here.
    pub(crate) fn new(server: &Server) -> Self {
        Self::at(&server.url())
    }

    pub(crate) fn at(url: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("policy.toml"), POLICY).unwrap();
        Self {
            home,
            url: url.to_owned(),
            flags: Vec::new(),
            variables: Vec::new(),
            has_policy: true,
        }
    }

    /// Without local rules: something else decides.
    pub(crate) fn without_policy(self) -> Self {
        Self { has_policy: false, ..self }
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The token is read from a file, which holds this one now.
    pub(crate) fn token(self, token: &str) -> Self {
        self.rotate(token);
        let path = self.token_file();
        self.flags(&["--upstream-token-file", path.to_str().unwrap()])
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.home.path().join("token")
    }

    /// Replaces the file with the token, whole.
    pub(crate) fn rotate(&self, token: &str) {
        replace(&self.token_file(), token);
    }

    #[expect(clippy::disallowed_methods, reason = "helpers are found by the test's own PATH")]
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
        command.args(["run", "--agent-id", "test", "--friction", "events", "--url", &self.url]);
        if self.has_policy {
            command.arg("--policy").arg(self.home.path().join("policy.toml"));
        }
        command
            .args(&self.flags)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("THOTH_HOME_DIR", self.home.path().join("home"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts it; nothing is said yet.
    pub(crate) fn start(&self) -> Client {
        let mut process = self.command().spawn().unwrap();
        let stdin = process.stdin.take();
        let heard = Arc::new(Heard::default());
        let (stdout, stderr) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
        let reading = tokio::spawn(listen(BufReader::new(stdout), Arc::clone(&heard)));
        let complaining = tokio::spawn(gather(stderr, Arc::clone(&heard)));
        Client {
            process,
            stdin,
            heard,
            reading: AbortOnDropHandle::new(reading),
            complaining: AbortOnDropHandle::new(complaining),
            next: 1,
        }
    }

    /// Starts it, and shakes hands in the newest revision that has that.
    pub(crate) async fn begin(&self) -> Client {
        self.begin_as(HANDSHAKE).await
    }

    /// Starts it, and begins as clients of this era do.
    pub(crate) async fn begin_as(&self, era: Era) -> Client {
        let mut client = self.start();
        if let Era::Handshake(version) = era {
            let answer = client.shakes_hands(version).await;
            assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        }
        client
    }
}

/// Replaces a file as rotators ought to: whole, or not at all.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, path).unwrap();
}

// === impl Client ===

impl Client {
    pub(crate) async fn says(&mut self, message: &Value) {
        self.writes(&format!("{message}\n")).await;
    }

    pub(crate) async fn writes(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a request, and gives its id.
    pub(crate) async fn asks(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.says(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        id
    }

    /// Sends a request, and waits for its answer.
    pub(crate) async fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.asks(method, params).await;
        self.answer(id).await
    }

    pub(crate) async fn shakes_hands(&mut self, version: &str) -> Value {
        let params = json!({"protocolVersion": version, "clientInfo": {"name": "test", "version": "1"},
            "capabilities": {"roots": {}, "sampling": {}, "elicitation": {}}});
        let answer = self.ask("initialize", &params).await;
        self.says(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        answer
    }

    /// Calls a tool with this argument, and gives the call's id.
    pub(crate) async fn calls(&mut self, tool: &str, n: u64) -> u64 {
        self.asks("tools/call", &json!({"name": tool, "arguments": {"n": n}})).await
    }

    /// Calls `echo` with this argument, and waits for the answer.
    pub(crate) async fn call(&mut self, n: u64) -> Value {
        let id = self.calls("echo", n).await;
        self.answer(id).await
    }

    /// The same, where nothing may go wrong.
    pub(crate) async fn succeeds(&mut self, n: u64) {
        let answer = self.call(n).await;
        assert_eq!(answer["result"]["isError"], false, "call {n}: {answer}\n{}", self.told());
    }

    /// The same for each of these, one after the other.
    pub(crate) async fn all_succeed(&mut self, calls: impl IntoIterator<Item = u64>) {
        for n in calls {
            self.succeeds(n).await;
        }
    }

    /// The same for each of these, all at once; and meanwhile this happens.
    pub(crate) async fn at_once(
        &mut self,
        calls: impl IntoIterator<Item = u64>,
        meanwhile: impl Future<Output = ()>,
    ) {
        let mut text = String::new();
        let mut ids = Vec::new();
        for n in calls {
            let id = self.next;
            self.next += 1;
            let params = json!({"name": "echo", "arguments": {"n": n}});
            let call =
                json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
            text += &call.to_string();
            text.push('\n');
            ids.push(id);
        }
        let saying = self.writes(&text);
        tokio::join!(saying, meanwhile);
        for id in ids {
            let answer = self.answer(id).await;
            assert_eq!(answer["result"]["isError"], false, "{answer}\n{}", self.told());
        }
    }

    /// Waits for the answer to a request.
    pub(crate) async fn answer(&self, id: u64) -> Value {
        self.hears(&format!("an answer to {id}"), |line| {
            line["id"] == id && line.get("method").is_none()
        })
        .await
    }

    /// Waits for a line that the server sent unasked.
    pub(crate) async fn hears_of(&self, method: &str) -> Value {
        self.hears(method, |line| line["method"] == method).await
    }

    /// Waits for a line.
    pub(crate) async fn hears(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut changes = self.heard.changed.subscribe();
        let hearing = async {
            loop {
                changes.borrow_and_update();
                if let Some(line) = self.heard.lines.lock().unwrap().iter().find(|it| is_it(it)) {
                    return line.clone();
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(WATCHDOG, hearing)
            .await
            .unwrap_or_else(|_| panic!("never heard: {what}\n{}", self.told()))
    }

    /// What was said on standard error, and the last lines.
    pub(crate) fn told(&self) -> String {
        let lines = self.heard.lines.lock().unwrap();
        let last: Vec<_> = lines.iter().rev().take(3).map(ToString::to_string).collect();
        format!("{}\n{}", self.heard.stderr.lock().unwrap(), last.join("\n"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Closes the input.
    pub(crate) fn closes(&mut self) {
        drop(self.stdin.take());
    }

    /// Closes the input and waits for the end.
    pub(crate) async fn ends(mut self) -> Ended {
        self.closes();
        let ending = async {
            let status = self.process.wait().await.unwrap();
            let _ = (&mut self.reading).await;
            let _ = (&mut self.complaining).await;
            status
        };
        let status = tokio::time::timeout(WATCHDOG, ending).await;
        let stderr = self.heard.stderr.lock().unwrap().clone();
        let Ok(status) = status else { panic!("it does not end\n{stderr}") };
        let lines = std::mem::take(&mut *self.heard.lines.lock().unwrap());
        Ended { code: status.code().unwrap_or(-1), lines, stderr }
    }
}

async fn listen(stdout: impl tokio::io::AsyncBufRead + Unpin, heard: Arc<Heard>) {
    let mut lines = stdout.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
        heard.lines.lock().unwrap().push(line);
        heard.changed.send_modify(|turn| *turn += 1);
    }
}

async fn gather(mut stderr: impl tokio::io::AsyncRead + Unpin, heard: Arc<Heard>) {
    let mut bytes = vec![0; 8 * 1024];
    while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
        *heard.stderr.lock().unwrap() += &String::from_utf8_lossy(&bytes[..count]);
        heard.changed.send_modify(|turn| *turn += 1);
    }
}

// === impl Ended ===

impl Ended {
    /// The errors among what the client heard, and tools' results that are errors.
    pub(crate) fn errors(&self) -> Vec<&Value> {
        let is_error =
            |line: &&Value| line.get("error").is_some() || line["result"]["isError"] == true;
        self.lines.iter().filter(is_error).collect()
    }
}

/// The `_meta` of a request of 2026-07-28.
pub(crate) fn stateless_meta() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}})
}
