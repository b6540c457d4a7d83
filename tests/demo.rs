//! The README's first command, as a user runs it: real processes, real pipes.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const THOTH: &str = env!("CARGO_BIN_EXE_thoth");

/// Runs `thoth demo` with a temporary directory of its own.
fn demo(temporary: &Path, server: &[&str]) -> (Output, String) {
    let mut command = Command::new(THOTH);
    command.arg("demo").env("TMPDIR", temporary).env("TMP", temporary);
    // Settings of the user that would change every answer, if they got through.
    command.env("THOTH_ENV", "prod").env("THOTH_ENFORCER_URL", "https://enforcer.invalid");
    if !server.is_empty() {
        command.arg("--").args(server);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    (output, said)
}

/// The decisions in the table, in order.
fn decisions(said: &str) -> Vec<&str> {
    let rows = said.lines().skip_while(|line| !line.starts_with("---")).skip(1);
    rows.take_while(|line| !line.is_empty())
        .filter_map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).nth(2))
        .collect()
}

#[test]
fn the_demonstration_goes_as_decided() {
    let temporary = tempfile::tempdir().unwrap();

    let (output, said) = demo(temporary.path(), &[]);

    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        decisions(&said),
        ["allow", "allow", "block", "allow", "modify", "step_up", "block", "block"],
        "{said}"
    );
    for expected in ["-32001", "-32002", "cap-page-size", "the server was sent 4", "verified"] {
        assert!(said.contains(expected), "no {expected} in {said}");
    }
    let journal = said.lines().find_map(|line| line.strip_prefix("journal: ")).unwrap();
    let journal = journal.split(" (").next().unwrap();
    assert!(fs::metadata(journal).unwrap().len() > 0, "the journal is kept");
}

#[test]
fn any_server_is_judged_by_the_baseline() {
    let temporary = tempfile::tempdir().unwrap();
    let seen = temporary.path().join("seen.jsonl");
    let server = [THOTH, "demo-server", "--witness", seen.to_str().unwrap()];

    let (output, said) = demo(temporary.path(), &server);

    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(decisions(&said).len(), 6, "{said}");
    let sent = fs::read_to_string(seen).unwrap();
    assert!(sent.contains("\"read_document\""), "a read was not forwarded: {said}");
    for refused in ["delete_document", "run_shell", "write_document"] {
        assert!(!sent.contains(refused), "{refused} reached the server: {said}");
    }
}

#[test]
fn a_server_that_ends_at_once_is_a_failure_and_no_wait() {
    let temporary = tempfile::tempdir().unwrap();

    let (output, _) = demo(temporary.path(), &[THOTH, "--version"]);

    let why = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(why.contains("initialize"), "{why}");
}
