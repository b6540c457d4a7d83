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

#[cfg(unix)]
#[test]
fn what_a_server_behind_a_url_is_shown_is_reported_and_no_part_of_it() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    let machine = Machine::new();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let token = put("token", r#"{"token":"hunter2-a","expires_at":"2099-01-01T00:00:00Z"}"#);
    let headers = put("headers", "X-Key: hunter2-b");
    let flags = [
        "--agent-id",
        "remote",
        "--url",
        "https://127.0.0.1:1/mcp?key=hunter2-c",
        "--upstream-token-file",
        &token,
        "--upstream-header-file",
        &headers,
        "--upstream-header-env",
        "X-More=MORE",
    ];
    let mut process = machine
        .command(&[&["run"], &flags[..]].concat())
        .env("MORE", "hunter2-d")
        .env("THOTH_LOG_LEVEL", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let proof = until(&machine, |proof| proof["sidecars"][0]["agent_id"] == "remote");
    let credential = |name: &str| {
        let credentials = proof["credentials"].as_array().unwrap();
        credentials.iter().find(|credential| credential["name"] == name).unwrap().clone()
    };
    let shown = credential("upstream_token@127.0.0.1");
    assert_eq!((&shown["source"], &shown["state"]), (&"file".into(), &"ok".into()));
    assert_eq!(
        (&shown["generation"], &shown["expires_at"]),
        (&1.into(), &"2099-01-01T00:00:00Z".into())
    );
    assert!(shown["fingerprint"].as_str().unwrap().starts_with("sha256:"));
    assert!(shown["loaded_at"].is_string());
    assert_eq!(credential("upstream_headers@127.0.0.1")["source"], "file");
    let health = machine.health(&[]).report;
    let text = String::from_utf8(machine.thoth(&["status"]).stdout).unwrap();
    assert!(text.contains("\nCredentials\n  upstream_token@127.0.0.1  ok  sha256:"), "{text}");
    let doctor =
        machine.command(&[&["doctor"], &flags[..]].concat()).env("MORE", "hunter2-d").output();
    let doctor = String::from_utf8(doctor.unwrap().stdout).unwrap();
    assert!(doctor.contains("the server is shown upstream_token (sha256:"), "{doctor}");

    drop(process.stdin.take());
    process.kill().unwrap();
    let said = process.wait_with_output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    let told = format!("{proof} {health} {text} {doctor} {said}");
    assert!(!told.contains("hunter2"), "{told}");
}
