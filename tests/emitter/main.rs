//! The Rust interface as a program uses it: the example's events, and what the environment says.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use thoth::friction::Client;
use thoth::friction::client::ABANDONED;

#[path = "../../examples/friction.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run`")]
mod example;

const SOON: Duration = Duration::from_mins(1);

/// Where the program below tells to.
const PLACE: &str = "events.jsonl";

fn events(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_example_tells_what_it_does() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(PLACE);
    let place = format!("file://{}", file.display());
    let client = Client::builder().home(home.path()).sink(place).build().unwrap();
    example::session(&client).await;
    client.close(SOON).await;

    let events = events(&file);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let payload = &event["payload"];
            let word = |name| payload[name].as_str().unwrap_or("-");
            (event["event_type"].as_str().unwrap(), word("tool_name"), word("error_type"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("tool_call_start", "get_invoice", "-"),
            ("tool_call_end", "get_invoice", "-"),
            ("tool_call_start", "change_address", "-"),
            ("tool_call_error", "change_address", "sent_already"),
            ("annotation", "change_address", "-"),
            ("tool_call_start", "cancel_invoice", "-"),
            ("tool_call_error", "cancel_invoice", ABANDONED),
        ]
    );
    assert_eq!(events[0]["payload"]["params"]["mail_to"], "[REDACTED:email]");
    assert_eq!(events[0]["payload"]["intent_source"], "library_arg");
    assert_eq!(events[1]["payload"]["result"], json!({"number": 7, "state": "paid"}));
    assert!(events[1]["payload"]["duration_ms"].as_u64().unwrap() >= 20);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
}

/// A program that tells by its environment alone.
#[test]
#[ignore = "no test but a program: `run` starts it as a process of its own, for each test of the environment"]
fn program() {
    match Client::from_env() {
        Ok(client) => {
            client.trace("echo", json!({"badge": "B-17"})).begin().succeeded(client.is_on());
            client.close_blocking(SOON);
        }
        Err(error) => panic!("no client: {error}"),
    }
}

/// Runs [`program`]. Whether it could make its client, and what it said.
fn run(home: &Path, variables: &[(&str, &str)]) -> (bool, String) {
    let kept = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        !name.starts_with("BATON_") && !name.starts_with("THOTH_")
    });
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "program", "--ignored", "--nocapture"])
        .env_clear()
        .envs(kept)
        .env("THOTH_HOME_DIR", home)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_program_tells_where_its_environment_says() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join("friction").join(PLACE);
    assert!(run(home.path(), &[]).0);
    assert_eq!(events(&own).len(), 2);

    let file = home.path().join(PLACE);
    let place = format!("file://{}", file.display());
    let variables = [
        ("BATON_EVENT_SINK", &*place),
        ("BATON_TENANT_ID", "acme"),
        ("BATON_VENDOR_ID", "files"),
        ("BATON_WIRE", "w2"),
    ];
    assert!(run(home.path(), &variables).0);
    let events = events(&file);
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[0]["tenant_id"], &events[0]["vendor_id"]),
        (&json!("acme"), &json!("files"))
    );
    assert!(events[0].get("call_id").is_none());
}

#[test]
fn a_program_is_silent_where_its_environment_says_so() {
    for off in [("BATON_DISABLED", "1"), ("THOTH_FRICTION", "off")] {
        let home = tempfile::tempdir().unwrap();
        // What is switched off is not judged.
        let (is_fine, said) = run(home.path(), &[off, ("BATON_EVENT_SINK", "nowhere:")]);
        assert!(is_fine, "{said}");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_program_is_told_what_is_missing_and_no_value() {
    let home = tempfile::tempdir().unwrap();
    let variables =
        [("BATON_EVENT_SINK", "HTTPS://collector.example"), ("BATON_CONSENT_TOKEN", "token-17")];
    let (is_fine, said) = run(home.path(), &variables);
    assert!(!is_fine);
    assert!(said.contains("BATON_VENDOR_ID") && said.contains("BATON_API_KEY"), "{said}");
    assert!(!said.contains("collector.example") && !said.contains("token-17"), "{said}");
}

#[test]
fn events_of_a_program_go_to_standard_error() {
    let home = tempfile::tempdir().unwrap();
    let (is_fine, said) = run(home.path(), &[("BATON_EVENT_SINK", "stderr:")]);
    assert!(is_fine && said.contains(r#""event_type":"tool_call_end""#), "{said}");
}
