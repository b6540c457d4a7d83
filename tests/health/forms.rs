//! The forms in which a report is told.

use std::fs;

use serde_json::Value;
use thoth::endpoint::state::{Directives, State};

use crate::machine::{Machine, SECRET};

fn quarantined() -> Machine {
    let directives = Directives {
        quarantined: true,
        quarantine_reason: Some("<b>stolen</b>".to_owned()),
        ..Directives::default()
    };
    let state = State { registration_ok: Some(true), directives, ..State::default() };
    Machine::new().remembering(&state)
}

fn text(machine: &Machine, words: &[&str]) -> (i32, String) {
    let output = machine.thoth(words);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn jamf_gets_one_line_and_exit_status_0() {
    let healthy = text(&Machine::new(), &["health", "--jamf"]);
    assert_eq!(healthy, (0, "<result>healthy</result>\n".to_owned()));
    let unhealthy = text(&quarantined(), &["health", "--jamf"]);
    assert_eq!(unhealthy, (0, "<result>unhealthy: quarantined</result>\n".to_owned()));
    let homeless = text(&Machine::new().without("HOME"), &["health", "--jamf"]);
    assert_eq!(homeless, (0, "<result>unhealthy: configuration_invalid</result>\n".to_owned()));
}

#[test]
fn intune_gets_one_line_with_the_keys_that_are_documented() {
    let (code, line) = text(&quarantined(), &["health", "--intune"]);
    assert_eq!(code, 0);
    assert_eq!(line.matches('\n').count(), 1);
    let told: Value = serde_json::from_str(&line).unwrap();
    let told = told.as_object().unwrap();
    assert_eq!(told["ThothStatus"], "unhealthy");
    assert_eq!(told["ThothProblems"], "quarantined");

    let page = fs::read_to_string("docs/health.md").unwrap();
    let mut documented: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `Thoth"))
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().unwrap().trim_end_matches('`');
            (format!("Thoth{name}"), cells.next().unwrap())
        })
        .collect();
    documented.sort();
    let mut found: Vec<_> =
        told.iter().map(|(key, value)| (key.clone(), kind(key, value))).collect();
    found.sort();
    assert_eq!(found, documented);
}

/// The data type that Intune takes a value for.
fn kind(key: &str, value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Int64",
        Value::String(text) if key.ends_with("Version") => {
            // .NET's `Version`: numbers and dots only.
            assert!(text.split('.').all(|part| part.parse::<u32>().is_ok()), "{text}");
            "Version"
        }
        Value::String(_) => "String",
        Value::Null | Value::Array(_) | Value::Object(_) => panic!("{key} is not flat"),
    }
}

#[test]
fn people_read_what_is_wrong_and_what_to_do() {
    let (code, told) = text(&quarantined(), &["health"]);
    assert_eq!(code, 2);
    for line in [
        " is unhealthy\n\nProblems\n  no quarantined",
        "every call is blocked: <b>stolen</b>\n       fix: ask whoever runs the GovAPI\n",
        "\nMachine\n  environment    dev\n",
        "\n  GovAPI         none, registered\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let (code, told) = text(&Machine::new(), &["health"]);
    assert_eq!(code, 0);
    assert!(!told.contains("Problems"), "{told}");
}

#[test]
fn only_one_form_is_told() {
    for words in [&["--json", "--jamf"], &["--jamf", "--intune"], &["--intune", "--json"]] {
        let output = Machine::new().thoth(&[&["health"], &words[..]].concat());
        assert_eq!(output.status.code(), Some(64), "{words:?}");
    }
}

#[test]
fn looking_changes_nothing_and_makes_nothing() {
    let machine = Machine::new();
    let furnished = quarantined().file("key", SECRET).running(|_| ());
    for machine in [machine, furnished] {
        let before = machine.contents();
        for words in [&["health"][..], &["health", "--json"], &["health", "--jamf"], &["status"]] {
            machine.thoth(words);
        }
        assert_eq!(machine.contents(), before);
    }
}

#[test]
fn no_form_tells_a_secret() {
    let machine = quarantined()
        .file("key.json", &format!(r#"{{"api_key": "{SECRET}", "key_id": "k-1"}}"#))
        .variable("THOTH_API_KEY_FILE", &quarantined().path("key.json").to_string_lossy())
        .variable("THOTH_GOVAPI_BEARER_TOKEN", SECRET)
        .variable("THOTH_AUTH_CONTEXT_JSON", &format!(r#"{{"token": "{SECRET}"}}"#))
        .variable("THOTH_ENFORCER_URL", &format!("https://u:{SECRET}@enforce.example/?k={SECRET}"))
        .variable("THOTH_GOVAPI_URL", &format!("https://grid.example/?k={SECRET}"));
    for words in [
        &["health"][..],
        &["health", "--json"],
        &["health", "--jamf"],
        &["health", "--intune"],
        &["status"],
        &["status", "--json"],
    ] {
        let output = machine.thoth(words);
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!told.contains(SECRET), "{words:?} {told}");
    }
}
