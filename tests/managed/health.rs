//! What `thoth health` says of a managed machine.

use std::fs;

use serde_json::Value;

use crate::{BLOCK, LOCKED, Machine};

/// What is said there, held against its schema: the report and the codes of its problems.
fn health(machine: &Machine, env: &[(&str, &str)]) -> (Value, String) {
    let output = machine.thoth(&["health", "--json"], env, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let schema = fs::read_to_string("docs/health.schema.json").unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    assert!(schema.is_valid(&report), "{report:#}");
    let problems = report["problems"].as_array().unwrap().iter();
    let codes: Vec<_> = problems.map(|problem| problem["code"].as_str().unwrap()).collect();
    let told = format!("{} {}", output.status.code().unwrap(), codes.join(" "));
    (report, told)
}

fn managed() -> Machine {
    let machine = Machine::new(LOCKED);
    machine.write("thoth/rules.toml", BLOCK);
    machine
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn a_managed_machine_is_healthy_and_says_what_is_locked() {
    let (report, told) = health(&managed(), &[]);
    assert_eq!(told, "0 ", "{report:#}");
    assert_eq!(report["managed"]["path"], "/etc/thoth/thoth-config.json");
    assert_eq!(report["managed"]["present"], true);
    let locked = report["managed"]["locked"].as_array().unwrap();
    assert!(locked.contains(&"environment".into()) && locked.contains(&"policy".into()));
    assert_eq!(report["policy"][0]["id"], "theirs");
    assert_eq!(report["policy"][0]["source"], "/etc/thoth/rules.toml");
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn who_tries_to_override_a_lock_is_seen() {
    let (report, told) = health(&managed(), &[("THOTH_ENV", "staging")]);
    assert_eq!(told, "1 locked_override", "{report:#}");
    assert_eq!(report["environment"], "dev");
    let text = report["problems"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("THOTH_ENV says something else"), "{text}");
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn a_managed_file_that_cannot_be_relied_on_is_an_error() {
    for (config, mode, expected) in [
        ("{", 0o644, "2 managed_invalid"),
        ("{\"enforcment_mode\": \"block\"}", 0o644, "2 managed_invalid"),
        ("{}", 0o666, "2 managed_unsafe"),
        ("{}", 0o644, "0 "),
    ] {
        let machine = Machine::new(config);
        machine.chmod("thoth/thoth-config.json", mode);
        let (report, told) = health(&machine, &[]);
        assert_eq!(told, expected, "{config} {mode:o} {report:#}");
    }
    let machine = managed();
    machine.chmod("thoth", 0o777);
    assert!(health(&machine, &[]).1.contains("managed_unsafe"));
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn an_entry_that_is_told_less_than_what_is_managed_is_tampered_with() {
    let thoth = env!("CARGO_BIN_EXE_thoth");
    for (flags, expected) in [
        (&[][..], "0 "),
        (&["--enforcement-mode", "block"], "0 "),
        (&["--enforcement-mode", "observe"], "2 server_tampered"),
    ] {
        let machine = Machine::new(r#"{"enforcement_mode": "progressive"}"#);
        let args = [&["run", "--agent-id", "files"], flags, &["--", "npx"]].concat();
        let entry = serde_json::json!({"mcpServers": {"files": {"command": thoth, "args": args}}});
        fs::create_dir(machine.path("home/.cursor")).unwrap();
        machine.write("home/.cursor/mcp.json", &entry.to_string());
        let (report, told) = health(&machine, &[]);
        assert_eq!(told, expected, "{flags:?} {report:#}");
    }
}
