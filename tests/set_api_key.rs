//! `thoth set-api-key`, as a script runs it: without a terminal.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn set(home: &Path, words: &[&str], input: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_thoth"))
        .arg("set-api-key")
        .args(words)
        .env_clear()
        .env("THOTH_HOME_DIR", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // With a key among its arguments, it reads none.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn file(home: &Path) -> Value {
    serde_json::from_slice(&fs::read(home.join("proxy_api_key.json")).unwrap()).unwrap()
}

#[test]
fn a_key_comes_through_a_pipe_and_is_never_shown() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("thoth");
    let output = set(&home, &["--key-id", "laptop-7"], "thoth_live_hunter2\r\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).starts_with("The key sha256:"), "{output:?}");
    assert!(text(&output.stderr).is_empty(), "{output:?}");
    assert_eq!(file(&home), json!({"api_key": "thoth_live_hunter2", "key_id": "laptop-7"}));
    assert!(!format!("{output:?}").contains("hunter2"));

    for (words, input, code) in [
        (&[][..], "", 1),
        (&[], "two words", 1),
        (&["--api-key-value", "hunter2", "--api-key"], "", 64),
        (&["--api-key-value", "hunter2 hunter2"], "", 1),
    ] {
        let output = set(&home, words, input);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
        assert_eq!(file(&home)["api_key"], "thoth_live_hunter2");
    }
}

#[test]
fn a_key_among_the_arguments_is_taken_with_a_warning() {
    let home = tempfile::tempdir().unwrap();
    let output = set(home.path(), &["--api-key-value", "hunter2", "--key-id", "a"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("everybody on this machine can see it"), "{output:?}");
    assert!(!format!("{output:?}").contains("hunter2"));
    assert_eq!(file(home.path()), json!({"api_key": "hunter2", "key_id": "a"}));
}
