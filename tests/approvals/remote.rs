//! `thoth approvals` and an enforcer.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::fake::{self, FakeEnforcer, Script};
use crate::tree::{home, text};

/// `thoth approvals` against this enforcer.
async fn approvals(root: &Path, fake: &FakeEnforcer, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thoth"))
        .arg("approvals")
        .args(words)
        .env_clear()
        .env("THOTH_HOME_DIR", home(root))
        .env("THOTH_ENFORCER_URL", fake.url())
        .env("THOTH_TENANT_ID", "acme")
        .env("THOTH_API_KEY", fake::KEY)
        .env("THOTH_TLS_CA_BUNDLE", fake.ca())
        .env("THOTH_TLS_PINNED_CERT_SHA256", fake.leaf_pin().to_string())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap()
}

fn pending(id: &str, tool: &str) -> Value {
    json!({
        "id": id, "agent_id": "files", "mcp_server": "npx", "tool_name": tool, "user_id": "ada@example.com",
        "tool_args": {"path": "/srv/a", "api_key": "sk-live-123456"}, "matched_rule_ids": ["careful"],
        "reason": "this needs a person", "status": "pending", "self_approval": false,
        "created_at": "2026-11-21T10:00:00Z", "expires_at": "2999-01-01T00:00:00Z",
    })
}

fn page(approvals: &[Value], total: usize) -> Script {
    Script::Answer(200, json!({ "data": approvals, "total": total }).to_string())
}

#[tokio::test]
async fn what_waits_at_the_enforcer_is_listed_page_by_page() {
    let root = tempfile::tempdir().unwrap();
    let first: Vec<_> = (0..100).map(|number| pending(&format!("a-{number}"), "delete")).collect();
    // Pages move: one is seen twice, and one is answered meanwhile.
    let mut gone = pending("b-2", "move");
    gone["status"] = "approved".into();
    let second = [pending("a-99", "delete"), pending("b-1", "move"), gone];
    let fake = FakeEnforcer::start().await.scripted([page(&first, 103), page(&second, 103)]);
    let output = approvals(root.path(), &fake, &["list", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = list["approvals"].as_array().unwrap();
    assert_eq!(list.len(), 101);
    assert_eq!(list[100]["id"], "b-1");
    assert_eq!(list[100]["keeper"], "enforcer");
    assert_eq!(
        (&list[100]["server"], &list[100]["rule_ids"]),
        (&json!("npx"), &json!(["careful"]))
    );
    assert_eq!(list[100]["self_approval"], false);
    assert!(!text(&output.stdout).contains("sk-live-123456"), "a key is not shown");

    let seen = fake.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (&*seen[0].method, seen[0].path.split('?').next().unwrap()),
        ("GET", "/acme/thoth/approvals")
    );
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {}", fake::KEY));
    assert_eq!(seen[0].headers["x-api-key"], fake::KEY);
}

#[tokio::test]
async fn an_answer_goes_to_the_whole_id_with_its_note() {
    for (words, decision) in [
        (&["approve", "a-1", "--yes", "--note", "fine"][..], "approve"),
        (&["deny", "a-1", "--note", "fine"], "deny"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let listed = page(&[pending("a-123/x", "delete"), pending("b-1", "move")], 2);
        let fake =
            FakeEnforcer::start().await.scripted([listed, Script::Answer(200, "{}".to_owned())]);
        let output = approvals(root.path(), &fake, words).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let seen = fake.seen();
        assert_eq!(seen[1].method, "POST");
        assert_eq!(seen[1].path, "/acme/thoth/approvals/a-123%2Fx/resolve");
        assert_eq!(seen[1].body, json!({ "decision": decision, "note": "fine" }));
    }
}

#[tokio::test]
async fn a_beginning_that_fits_several_is_refused_with_the_list() {
    let root = tempfile::tempdir().unwrap();
    let listed = page(&[pending("a-123", "delete"), pending("a-124", "move")], 2);
    let fake = FakeEnforcer::start().await.scripted([listed]);
    let output = approvals(root.path(), &fake, &["approve", "a-12", "--yes"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    for part in ["several ids begin like this", "a-123  delete on npx", "a-124  move on npx"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fake.seen().len(), 1, "nothing was answered");
}

#[tokio::test]
async fn each_trouble_has_its_exit_code_and_its_sentence() {
    let refused = |status, message: &str| {
        let body = json!({ "error": { "code": "x", "message": message } });
        Script::Answer(status, body.to_string())
    };
    let listed = || page(&[pending("a-1", "delete")], 1);
    let table = [
        (vec![refused(403, "this key may not")], 1, "403 Forbidden): this key may not"),
        (vec![refused(401, "who\u{1b}[2J")], 1, r"401 Unauthorized): who\u{1b}[2J"),
        (vec![listed(), refused(409, "it is denied")], 1, "409 Conflict): it is denied"),
        (vec![listed(), refused(404, "no such approval")], 1, "404 Not Found): no such approval"),
        (vec![listed(), refused(503, "later")], 69, "503 Service Unavailable): later"),
        (vec![Script::Answer(200, "<html>".to_owned())], 69, "something that is no answer"),
        (vec![Script::Answer(200, "{}".to_owned())], 69, "something that is no answer"),
        (vec![Script::HangUp], 69, "the enforcer cannot be reached"),
        (vec![Script::Answer(302, String::new())], 69, "302 Found"),
    ];
    for (scripts, code, part) in table {
        let root = tempfile::tempdir().unwrap();
        let fake = FakeEnforcer::start().await.scripted(scripts);
        let output = approvals(root.path(), &fake, &["approve", "a-1", "--yes"]).await;
        assert_eq!(output.status.code(), Some(code), "{part}: {output:?}");
        assert!(text(&output.stderr).contains(part), "{part}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{part}: {output:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_an_enforcer_that_is_not_the_pinned_one() {
    let root = tempfile::tempdir().unwrap();
    let (fake, other) = (FakeEnforcer::start().await, FakeEnforcer::start().await);
    let output = Command::new(env!("CARGO_BIN_EXE_thoth"))
        .args(["approvals", "list", "--enforcer-url", &fake.url(), "--tenant-id", "acme"])
        .env_clear()
        .env("THOTH_HOME_DIR", home(root.path()))
        .env("THOTH_TLS_CA_BUNDLE", fake.ca())
        .env("THOTH_TLS_PINNED_CERT_SHA256", other.leaf_pin().to_string())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(text(&output.stderr).contains("the enforcer is not trusted"), "{output:?}");
    assert_eq!(text(&output.stdout), "Nothing waits for an answer.\n");
    assert!(fake.seen().is_empty());
}

#[test]
fn an_enforcer_that_cannot_be_used_as_configured_is_said_to_be() {
    let root = tempfile::tempdir().unwrap();
    let list = |words: &[&str]| crate::tree::approvals(root.path(), &[&["list"], words].concat());
    for (words, code, part) in [
        (&["--enforcer-url", "https://localhost"][..], 78, "--tenant-id"),
        (&["--enforcer-url", "ftp://x", "--tenant-id", "t"], 78, "--enforcer-url"),
        (&["--enforcer-url", "http://example.com", "--tenant-id", "t"], 78, "--enforcer-url"),
        (&["--api-key-file", "a", "--api-key-command", "b"], 64, "cannot be used with"),
    ] {
        let output = list(words);
        assert_eq!(output.status.code(), Some(code), "{words:?} {output:?}");
        assert!(text(&output.stderr).contains(part), "{words:?} {output:?}");
    }
}
