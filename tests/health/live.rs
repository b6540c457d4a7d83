//! A real sidecar, seen by `thoth health` and `thoth status` while it runs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::Value;

use crate::machine::Machine;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","arguments":{}}}"#;

/// Looks again until it is so: a sidecar says how it is doing every few seconds.
fn until(machine: &Machine, is_so: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1000 {
        let output = machine.thoth(&["status", "--json"]);
        let proof = serde_json::from_slice(&output.stdout).unwrap();
        if is_so(&proof) {
            return proof;
        }
    }
    panic!("it never came to be so");
}

#[test]
fn a_running_sidecar_is_told_of_with_what_it_decided() {
    let machine = Machine::new();
    let server = r#"sed -u 's/.*/{"jsonrpc":"2.0","id":1,"result":{}}/'"#;
    let mut process = machine
        .command(&["run", "--agent-id", "files", "--", "/bin/sh", "-c", server])
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = process.stdin.take().unwrap();
    writeln!(client, "{CALL}").unwrap();
    let mut answer = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();

    let proof = until(&machine, |proof| proof["sidecars"][0]["decisions"]["allow"] == 1);
    let sidecar = &proof["sidecars"][0];
    assert_eq!(sidecar["pid"], process.id());
    assert_eq!(sidecar["agent_id"], "files");
    assert_eq!(sidecar["server"], "sh");
    assert_eq!(sidecar["policies"][0]["id"], "baseline");
    let decision = &proof["last_session"]["decisions"][0];
    assert_eq!((&decision["tool"], &decision["decision"]), (&"read_file".into(), &"allow".into()));

    assert_eq!(machine.health(&[]).in_short(), "healthy 0 []");
    let told = String::from_utf8(machine.thoth(&["status"]).stdout).unwrap();
    for line in [
        "0 servers governed, 0 not\n",
        "\nSidecars\n  files (sh)  pid ",
        ": 1 allowed, last at ",
        "; baseline v1\n",
        "  allow    read_file",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }

    drop(client);
    process.wait().unwrap();
    let proof = until(&machine, |proof| proof["sidecars"].as_array().unwrap().is_empty());
    assert_eq!(proof["last_session"]["decisions"].as_array().unwrap().len(), 1);
}
