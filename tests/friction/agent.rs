//! A scripted agent for `thoth scan`: this test program again, which reads the configuration it is
//! given as a client does, starts the server in it, and says the lines of its script.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::server::{given, stays};

/// Where the agent finds its configuration; says that this process is one.
pub(crate) const CONFIG: &str = "FAKE_AGENT";

/// A file with what it does: a line to say, `?` to read an answer, `!` to stay for ever, `.` to end
/// at once.
pub(crate) const SCRIPT: &str = "FAKE_SCRIPT";

#[test]
#[ignore = "no test but an agent: the tests of `scan` start it as a process of its own, through its command line"]
fn acts() {
    let Some(path) = given(CONFIG) else { return };
    let config: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let servers = config["mcpServers"].as_object().unwrap();
    assert_eq!(servers.len(), 1, "this server and no other");
    let entry = servers.values().next().unwrap();
    let words = entry["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let variables = entry["env"].as_object().unwrap();
    let mut server = Command::new(entry["command"].as_str().unwrap())
        .args(words)
        .envs(variables.iter().map(|(name, value)| (name, value.as_str().unwrap())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = server.stdin.take().unwrap();
    let mut answers = BufReader::new(server.stdout.take().unwrap()).lines();
    for line in std::fs::read_to_string(given(SCRIPT).unwrap()).unwrap().lines() {
        match line {
            "?" => drop(answers.next().unwrap().unwrap()),
            "!" => stays(),
            "." => break,
            line => stdin.write_all(format!("{line}\n").as_bytes()).unwrap(),
        }
    }
    drop(stdin);
    server.wait().unwrap();
}
