//! A small tree of processes, as on a user's machine:
//!
//! ```text
//! this test ─┬─ client (sh) ─┬─ sidecar (this test's program again, with a desk)
//!            │               └─ whatever the agent runs
//!            └─ whatever a person runs in a terminal
//! ```

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use thoth::desk::{Desk, Settings};
use thoth::gate::record::Ticket;
use thoth::gate::verdict::{Answer, Effect, Grounds, Question, SteppedUp};
use tokio::task::JoinSet;

/// An MCP client with one sidecar that holds calls.
pub(crate) struct Client {
    pub(crate) home: tempfile::TempDir,
    /// The tokens of the held calls, in their order.
    pub(crate) tokens: Vec<String>,
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Lines that were read while another one was waited for.
    lines: Vec<String>,
    sidecar: i32,
}

// === impl Client ===

impl Client {
    /// Starts both, and waits until the calls are held: each a tool and its arguments.
    pub(crate) fn holding(calls: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let order = serde_json::json!({ "home": home(root.path()), "calls": calls });
        let order_file = root.path().join("order.json");
        fs::write(&order_file, order.to_string()).unwrap();

        let mut process =
            Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut client = Self {
            home: root,
            tokens: Vec::new(),
            process,
            stdin,
            stdout,
            lines: Vec::new(),
            sidecar: 0,
        };
        let program = std::env::current_exe().unwrap();
        client.says(&format!(
            "'{}' --exact tree::a_sidecar_for_the_other_tests --ignored --nocapture < '{}' &",
            program.display(),
            order_file.display()
        ));
        client.sidecar = client.hears("pid ").parse().unwrap();
        client.tokens = calls.iter().map(|_| client.hears("held ")).collect();
        client
    }

    /// Lets the client run a line of shell.
    fn says(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// The rest of the next line that the client or its sidecar says and that begins so.
    pub(crate) fn hears(&mut self, beginning: &str) -> String {
        loop {
            if let Some(at) = self.lines.iter().position(|line| line.starts_with(beginning)) {
                return self.lines.remove(at)[beginning.len()..].to_owned();
            }
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "{:?}", self.lines);
            // libtest begins a line of its own, and does not end it.
            let line = line.trim_end();
            let line = line.rsplit_once("... ").map_or(line, |(_, line)| line);
            self.lines.push(line.to_owned());
        }
    }

    /// Runs `thoth approvals` as the agent would: below the client. Its exit code and all it printed.
    pub(crate) fn agent_runs(&mut self, words: &str) -> (String, String) {
        let (thoth, home) = (env!("CARGO_BIN_EXE_thoth"), home(self.home.path()));
        let said = self.home.path().join("said");
        let run = format!("THOTH_HOME_DIR='{}' '{thoth}' approvals {words}", home.display());
        // Two shells deep, as agents do it.
        self.says(&format!("(sh -c \"{run}; echo exit \\$?\") > '{}' 2>&1", said.display()));
        self.says("echo done");
        self.hears("done");
        let text = fs::read_to_string(said).unwrap();
        let (text, code) = text.trim_end().rsplit_once("exit ").unwrap();
        (code.to_owned(), text.to_owned())
    }

    /// Runs `thoth approvals` as a person would: from somewhere else.
    pub(crate) fn person_runs(&self, words: &[&str]) -> Output {
        approvals(self.home.path(), words)
    }

    /// The sidecar's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        home(self.home.path()).join("run/approvals/a-session.sock")
    }

    /// Ends the sidecar at once, as a power cut would.
    pub(crate) fn kill_sidecar(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.sidecar);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        self.says("wait; echo buried");
        self.hears("buried");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.sidecar);
        if self.sidecar > 0 {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn home(root: &Path) -> PathBuf {
    root.join("thoth")
}

/// `thoth approvals` with an environment of nothing but its home.
pub(crate) fn approvals(root: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thoth"))
        .arg("approvals")
        .args(words)
        .env_clear()
        .env("THOTH_HOME_DIR", home(root))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn stepped_up(tool: &str, arguments: &str) -> SteppedUp {
    SteppedUp {
        question: Question {
            ticket: Ticket(1),
            tool: Arc::from(tool),
            arguments: Bytes::copy_from_slice(arguments.as_bytes()),
            calls_so_far: Vec::new(),
            annotations: None,
            reply: None,
        },
        grounds: Grounds {
            rule_ids: vec!["careful".to_owned()],
            ..Grounds::coded("rule_matched", "this needs a person")
        },
    }
}

/// A desk of the session `a-session`.
pub(crate) fn desk(home: PathBuf) -> Desk {
    Desk::open(Settings {
        home,
        agent: "files".to_owned(),
        server: "npx".to_owned(),
        user: Some("ada@example.com".to_owned()),
        environment_is_dev: true,
        policy_revision: "1".to_owned(),
        step_up_wait: Duration::from_mins(2),
        session_id: "a-session".to_owned(),
        clock: Timestamp::now,
    })
}

/// Lets a desk hold some call.
pub(crate) async fn hold_one(desk: &Desk) {
    desk.hold(stepped_up("delete", "{}")).await;
}

/// Not a test: the second process of the others. Holds what its order says, says what is answered, and
/// ends when all of it is.
#[test]
#[ignore = "a second process for the other tests, which start it themselves"]
fn a_sidecar_for_the_other_tests() {
    let mut order = String::new();
    std::io::stdin().read_to_string(&mut order).unwrap();
    let Ok(order) = serde_json::from_str::<Value>(&order) else { return };
    let home = PathBuf::from(order["home"].as_str().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let say = |line: String| {
        // Past libtest, which would keep it where the flag is missing.
        let mut out = File::options().write(true).open("/dev/stdout").unwrap();
        out.write_all(format!("{line}\n").as_bytes()).unwrap();
    };
    runtime.block_on(async {
        let desk = desk(home);
        say(format!("\npid {}", std::process::id()));
        let mut waiting = JoinSet::new();
        for call in order["calls"].as_array().unwrap() {
            let (tool, arguments) = (call[0].as_str().unwrap(), call[1].as_str().unwrap());
            let Answer::Said(verdict) = desk.hold(stepped_up(tool, arguments)).await else {
                panic!("a desk is never silent");
            };
            let Effect::StepUp(Some(hold)) = verdict.effect else { panic!("{verdict:?}") };
            say(format!("held {}", hold.token));
            let (desk, tool) = (desk.clone(), tool.to_owned());
            waiting.spawn(async move { (tool, desk.wait(hold).await) });
        }
        while let Some(Ok((tool, answer))) = waiting.join_next().await {
            let Answer::Said(verdict) = answer else { panic!("a desk is never silent") };
            let grounds = verdict.grounds;
            say(format!(
                "answered {tool} {} {}",
                grounds.reason_code.unwrap_or_default(),
                grounds.reason.unwrap_or_default()
            ));
        }
        desk.end().await;
        say("over".to_owned());
    });
}
