//! `thoth approvals` and the sidecars' own holds.

use serde_json::{Value, json};

use crate::tree::{Client, approvals, text};

#[test]
fn what_the_client_started_may_not_answer_and_another_process_of_the_same_user_may() {
    let mut client = Client::holding(&[("delete", r#"{"path":"/srv/a"}"#)]);
    let id = client.tokens[0].clone();

    for words in [format!("approve {id} --yes"), format!("deny {id}"), "list".to_owned()] {
        let (code, said) = client.agent_runs(&words);
        assert_eq!(code, "1", "{words}: {said}");
        assert!(said.contains("was started by the MCP client"), "{words}: {said}");
        assert!(!said.contains("/srv/a"), "{words}: {said}");
    }
    let output = client.person_runs(&["approve", &id[..4], "--yes", "--note", "go ahead"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).starts_with("delete is approved, for one call ("), "{output:?}");
    let answered = client.hears("answered ");
    assert!(answered.starts_with("delete approved approved by "), "{answered}");
    assert!(answered.contains(" (terminal) at ") && answered.ends_with(": go ahead"), "{answered}");

    client.hears("over");
    assert!(!client.socket().exists(), "nothing is left of the sidecar");
    let output = client.person_runs(&["approve", &id, "--yes"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("nothing waits by the id"), "{output:?}");
}

#[test]
fn a_call_is_denied_with_a_note_and_its_caller_is_told() {
    let mut client = Client::holding(&[("delete", "{}")]);
    let id = client.tokens[0].clone();
    let output = client.person_runs(&["deny", &id, "--note", "not on a Friday", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let record = id.rsplit_once('-').unwrap().0;
    let expected = json!({
        "schema": 1, "id": record, "keeper": "sidecar", "session_id": "a-session", "decision": "deny",
    });
    assert_eq!(said, expected);
    let answered = client.hears("answered delete ");
    assert!(answered.starts_with("approval_denied denied by "), "{answered}");
    assert!(answered.ends_with("not on a Friday"), "{answered}");
}

#[test]
fn the_list_shows_what_waits_without_secrets_and_without_what_a_terminal_would_act_on() {
    let arguments = r#"{"password":"hunter2","path":"/srv/\u001b[2J","n":1.50}"#;
    let client = Client::holding(&[("delete\u{202e}", arguments)]);
    let output = client.person_runs(&["list"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let list = text(&output.stdout);
    for part in [
        &client.tokens[0][..8],
        r"delete\u{202e} on npx, for files (ada@example.com)",
        "this needs a person (rule careful)",
        "thoth approvals approve ",
        "14 min",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(!list.contains("hunter2") && !list.contains('\u{1b}'), "{list}");

    let output = client.person_runs(&["list", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = &list["approvals"][0];
    assert_eq!(list["approvals"].as_array().unwrap().len(), 1);
    assert_eq!(one["keeper"], "sidecar");
    assert_eq!(one["tool_name"], "delete\u{202e}");
    assert_eq!(one["rule_ids"], json!(["careful"]));
    assert_eq!(one["self_approval"], Value::Null);
    assert!(text(&output.stdout).contains("1.50"), "numbers are shown as they are");
    assert!(!text(&output.stdout).contains("hunter2"), "{output:?}");
}

#[test]
fn nothing_is_approved_unseen_and_nothing_is_guessed() {
    let mut client = Client::holding(&[("delete", "{}"), ("move", "{}")]);
    let id = client.tokens[0].clone();
    for (words, code, part) in [
        (&["approve", &id][..], 1, "there is no terminal to ask on"),
        (&["approve", "", "--yes"], 1, "nothing waits by the id"),
        (&["approve", "zz", "--yes"], 1, "nothing waits by the id zz"),
        (&["deny", &format!("{id}x")], 1, "nothing waits by the id"),
        (&["approve"], 64, "required"),
        (&["approve", &id, "--yes", "--note", &"x".repeat(2000)], 64, "longer than"),
    ] {
        let output = client.person_runs(words);
        assert_eq!(output.status.code(), Some(code), "{words:?} {output:?}");
        assert!(text(&output.stderr).contains(part), "{words:?} {output:?}");
    }
    // Both still wait.
    let output = client.person_runs(&["list", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["approvals"].as_array().unwrap().len(), 2);
    assert_eq!(list["approvals"][0]["tool_name"], "delete", "the oldest first");
    for token in client.tokens.clone() {
        let output = client.person_runs(&["deny", &token]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    client.hears("over");
}

#[test]
fn one_yes_lets_one_of_two_calls_that_wait_through() {
    let mut client = Client::holding(&[
        ("delete", r#"{"a":1,"b":"x"}"#),
        ("delete", r#"{ "b":"\u0078", "a":1 }"#),
        ("delete", r#"{"a":1.0,"b":"x"}"#),
    ]);
    let output = client.person_runs(&["list", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["approvals"].as_array().unwrap().len(), 2, "two of the three are one call");
    let first = client.tokens[1].clone();
    let output = client.person_runs(&["approve", &first, "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let word = |answered: String| answered.split(' ').next().unwrap().to_owned();
    let mut told = [0, 1].map(|_| word(client.hears("answered delete ")));
    told.sort();
    assert_eq!(told, ["approval_used", "approved"]);
}

#[test]
fn where_nothing_waits_the_list_says_so() {
    let root = tempfile::tempdir().unwrap();
    let output = approvals(root.path(), &["list"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "Nothing waits for an answer.\n");
    assert!(output.stderr.is_empty(), "{output:?}");
    let output = approvals(root.path(), &["list", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        list,
        json!({ "schema": 1, "approvals": [], "sidecars_silent": [], "enforcer_trouble": null })
    );
    assert!(!root.path().join("thoth").exists(), "looking makes nothing");
}
