//! What the files of `packaging/` promise each other.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::mac::scripts;

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn people(text: &str) -> Option<&str> {
    let start = text.find("# --- people:")?;
    let end = text.find("# --- people end")?;
    Some(&text[start..end])
}

#[test]
fn every_script_for_a_mac_holds_the_same_lines_about_people() {
    let ours = read("packaging/macos/people.sh");
    let ours = people(&ours).unwrap();
    for script in scripts() {
        let text = read(&format!("packaging/{script}"));
        match people(&text) {
            Some(theirs) => assert_eq!(theirs, ours, "{script}"),
            // It runs thoth for nobody.
            None => assert!(!text.contains("\"$thoth\" --"), "{script}"),
        }
    }
}

#[test]
fn a_compliance_rule_judges_what_the_discovery_script_always_prints() {
    let discovery = read("packaging/intune/compliance-discovery.ps1");
    let printed: BTreeSet<_> = discovery
        .lines()
        .filter_map(|line| line.trim().split_once(" = ").or_else(|| line.trim().split_once("= ")))
        .map(|(name, _)| name.trim())
        .filter(|name| name.starts_with("Thoth"))
        .collect();
    let contract = [
        "ThothApiKeyState",
        "ThothConfigDrifted",
        "ThothEnforcerPinOk",
        "ThothEnvironment",
        "ThothGovernedServers",
        "ThothInstalled",
        "ThothProblems",
        "ThothRegistered",
        "ThothStatus",
        "ThothUngovernedServers",
        "ThothVersion",
    ];
    assert_eq!(printed, contract.into_iter().collect());

    let rules: Value =
        serde_json::from_str(&read("packaging/intune/compliance-rules.json")).unwrap();
    for rule in rules["Rules"].as_array().unwrap() {
        let name = rule["SettingName"].as_str().unwrap();
        assert!(contract.contains(&name), "{name}");
        let operators =
            ["IsEquals", "NotEquals", "GreaterThan", "GreaterEquals", "LessThan", "LessEquals"];
        assert!(operators.contains(&rule["Operator"].as_str().unwrap()), "{name}");
        let operand = &rule["Operand"];
        assert!(
            match rule["DataType"].as_str().unwrap() {
                "Boolean" => operand.is_boolean(),
                "Int64" => operand.is_i64(),
                "String" | "Version" => operand.is_string(),
                other => panic!("{name}: {other}"),
            },
            "{name}"
        );
        assert!(rule["MoreInfoUrl"].as_str().unwrap().starts_with("https://"), "{name}");
        let texts = rule["RemediationStrings"].as_array().unwrap();
        assert!(texts.iter().any(|text| text["Language"] == "en_US"), "{name}");
        for text in texts {
            assert!(text["Title"].is_string() && text["Description"].is_string(), "{name}");
        }
    }
}

#[test]
fn no_script_of_ours_asks_for_a_key_in_an_argument() {
    for script in scripts() {
        let text = read(&format!("packaging/{script}"));
        assert!(!text.contains("--api-key"), "{script}");
    }
}
