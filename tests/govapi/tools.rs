//! Lists of tools, as they are reported.

use serde_json::{Value, json};

use crate::fake::Script;
use crate::fake::govapi::{CHECK_IN, FakeGovApi, TOOLS};
use crate::reporting;
use crate::sidecar::Setup;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A sidecar around a server that answers its first request with these tools.
fn offering(fake: &FakeGovApi, tools: &Value) -> Setup {
    let setup = reporting(fake);
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}});
    let path = setup.home.path().join("answer");
    std::fs::write(&path, format!("{answer}\n")).unwrap();
    let path = path.to_str().unwrap().to_owned();
    setup.server(&["sh", "-c", "read line; cat \"$0\"; cat > /dev/null", &path])
}

/// `count` tools with values in their schemas.
fn tools(count: usize) -> Value {
    let tool = |n: usize| {
        json!({
            "name": format!("tool-{n:03}"),
            "description": "d",
            "inputSchema": {"type": "object", "properties": {
                "path": {"type": "string", "default": "/home/ada/hunter2"},
            }},
        })
    };
    (0..count).map(tool).collect()
}

fn lists(setup: &Setup) -> crate::sidecar::Sidecar {
    let mut sidecar = setup.start();
    sidecar.says(LIST);
    assert!(sidecar.reads()["result"]["tools"].is_array());
    sidecar
}

#[test]
fn tools_are_reported_in_parts_of_a_hundred_and_only_when_they_change() {
    let fake = FakeGovApi::start();
    let setup = offering(&fake, &tools(250));
    let sidecar = lists(&setup);
    let seen = fake.until(TOOLS, 3);
    let counts: Vec<_> =
        seen.iter().map(|seen| seen.body["tools"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [100, 100, 50]);
    assert_eq!(seen[0].path, "/acme/thoth/tool-inventory");
    assert_eq!(seen[0].body["agent_id"], "test");
    assert_eq!(seen[0].body["source"], "thoth");
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    assert_eq!(
        seen[0].body["tools"][7],
        json!({"name": "tool-007", "description": "d", "input_schema": schema})
    );
    assert!(seen.iter().all(|seen| !seen.text.contains("hunter2")));
    assert_eq!(sidecar.ends(), 0);

    let same = lists(&setup);
    let beats = fake.seen(CHECK_IN).len();
    fake.until(CHECK_IN, beats + 3);
    assert_eq!(fake.seen(TOOLS).len(), 3, "the same list is not reported again");
    assert_eq!(same.ends(), 0);

    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools(7)}});
    std::fs::write(setup.home.path().join("answer"), format!("{answer}\n")).unwrap();
    let changed = lists(&setup);
    let seen = fake.until(TOOLS, 4);
    assert_eq!(seen[3].body["tools"].as_array().unwrap().len(), 7);
    assert_eq!(changed.ends(), 0);
}

#[test]
fn a_report_that_fails_is_made_again() {
    let fake = FakeGovApi::start();
    let ok = Script::Answer(202, String::new());
    fake.treats(TOOLS, [Script::Answer(503, String::new()), ok]);
    let sidecar = lists(&offering(&fake, &tools(3)));
    let seen = fake.until(TOOLS, 2);
    assert_eq!(seen[0].text, seen[1].text);
    assert_eq!(sidecar.ends(), 0);
}

#[test]
fn tools_are_not_reported_where_that_is_off() {
    let fake = FakeGovApi::start();
    let setup = offering(&fake, &tools(3)).variable("THOTH_TOOL_INVENTORY", "off");
    let sidecar = lists(&setup);
    fake.until(CHECK_IN, 3);
    assert!(fake.seen(TOOLS).is_empty());
    assert_eq!(sidecar.ends(), 0);
}
