//! One `thoth run` around a server of the test's, in a home of its own.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Answers every request with an empty result, and writes down what it reads.
const ECHO: &str = r#"tee -a "$0" | sed -u -n 's/.*"id":\([0-9][0-9]*\).*/{"jsonrpc":"2.0","id":\1,"result":{}}/p'"#;

/// What a sidecar is started with.
pub(crate) struct Setup {
    pub(crate) home: TempDir,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    command: Vec<String>,
}

/// A sidecar that runs.
pub(crate) struct Sidecar {
    pub(crate) process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Setup {
    /// With the server described above and no policy.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let seen = home.path().join("seen");
        let command = ["sh", "-c", ECHO, seen.to_str().unwrap()].map(str::to_owned).to_vec();
        Self { home, flags: Vec::new(), variables: Vec::new(), command }
    }

    /// With a policy of one rule a line: `effect tool`; the last is the default's effect alone.
    pub(crate) fn deciding(rules: &[(&str, &str)], default: &str) -> Self {
        let setup = Self::new();
        let mut policy = format!("[policy]\nid = \"test\"\nversion = 1\ndefault = \"{default}\"\n");
        for (effect, tool) in rules {
            write!(
                policy,
                "[[rule]]\nid = \"{effect}-{tool}\"\ntools = [\"{tool}\"]\neffect = \"{effect}\"\n"
            )
            .unwrap();
            policy += "reason = \"the test says so\"\n";
            if *effect == "modify" {
                policy += "set = { \"/limit\" = \"100\" }\n";
            }
        }
        let path = setup.home.path().join("policy.toml");
        fs::write(&path, policy).unwrap();
        setup.flag("--policy").flag(path.to_str().unwrap())
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    pub(crate) fn flags(self, flags: &[&str]) -> Self {
        flags.iter().fold(self, |setup, flag| setup.flag(flag))
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn server(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the server's command is found by the test's own PATH"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
        command
            .arg("run")
            .args(["--agent-id", "test"])
            .args(&self.flags)
            .arg("--")
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

    pub(crate) fn start(&self) -> Sidecar {
        let mut process = self.command().spawn().unwrap();
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Sidecar { process, stdin, stdout }
    }

    /// Pipes `input` in, closes it, and waits for the end.
    pub(crate) fn pipe(&self, input: &[u8]) -> Output {
        let mut process = self.command().spawn().unwrap();
        let mut stdin = process.stdin.take().unwrap();
        let input = input.to_vec();
        // A refusal to start closes the pipe before it is read.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = process.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        output
    }

    /// What the server read.
    pub(crate) fn seen(&self) -> String {
        fs::read_to_string(self.home.path().join("seen")).unwrap_or_default()
    }

    /// The journals of this home.
    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join("home/journal/test");
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect()
    }
}

impl Sidecar {
    pub(crate) fn says(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    pub(crate) fn reads(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    pub(crate) fn closes(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits for the end; the exit code.
    pub(crate) fn ends(mut self) -> i32 {
        self.closes();
        self.process.wait().unwrap().code().unwrap()
    }
}

/// A call, as clients spell it.
pub(crate) fn call(id: u32, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}

/// The answers in an output, by id.
pub(crate) fn answers(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let mut answers: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    answers
}

/// What was said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
