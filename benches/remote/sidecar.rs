//! The same through `thoth run --url`, on the pipes of its process.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{PATIENCE, call, now};

/// Everything is allowed: what is measured is the way, not the rules.
const POLICY: &str = "[policy]\nid = \"bench\"\nversion = 1\ndefault = \"allow\"\n";

/// One sidecar.
pub(crate) struct Sidecar {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    line: String,
    next_id: u64,
    _home: TempDir,
}

impl Sidecar {
    /// Starts it, and begins a session.
    pub(crate) fn start(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let home = tempfile::tempdir()?;
        let policy = home.path().join("policy.toml");
        fs::write(&policy, POLICY)?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_thoth"))
            .env_clear()
            .env("HOME", home.path())
            .env("THOTH_HOME_DIR", home.path().join("thoth"))
            .env("THOTH_ENV", "dev")
            .args(["run", "--agent-id", "bench", "--friction", "off", "--policy"])
            .arg(&policy)
            .args(["--url", &format!("http://{address}/mcp")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for as pipes");
        };
        let output = BufReader::new(output);
        let mut sidecar = Self {
            child,
            input: Some(input),
            output,
            line: String::new(),
            next_id: 1,
            _home: home,
        };
        sidecar.say(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#)?;
        sidecar.hear()?;
        sidecar.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        Ok(sidecar)
    }

    /// From sending a call to the first line of what it is answered with.
    pub(crate) fn call(&mut self, tool: &str) -> Result<Duration, Box<dyn Error>> {
        let request = call(self.next_id, tool);
        self.next_id += 1;
        let start = now();
        self.say(&request)?;
        self.hear()?;
        let elapsed = start.elapsed();
        if tool == "stream" {
            self.hear()?; // the answer itself
        }
        Ok(elapsed)
    }

    /// Opens a stream that stays open.
    pub(crate) fn open(&mut self) -> Result<(), Box<dyn Error>> {
        let line = call(self.next_id, "hold");
        self.next_id += 1;
        self.say(&line)?;
        self.hear()
    }

    /// What is resident, in MB, where the system says so.
    pub(crate) fn memory(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes / 1024.0)
    }

    fn say(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        let input = self.input.as_mut().ok_or("its input is closed")?;
        input.write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }

    fn hear(&mut self) -> Result<(), Box<dyn Error>> {
        self.line.clear();
        if self.output.read_line(&mut self.line)? == 0 || self.line.contains("\"error\"") {
            return Err(format!("the sidecar said {:?}", self.line).into());
        }
        Ok(())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.input = None;
        let deadline = now() + PATIENCE / 10;
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
