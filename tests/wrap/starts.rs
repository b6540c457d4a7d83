//! A wrapped entry, started as its client would start it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::room::{Room, THOTH, text};

#[test]
fn a_wrapped_server_answers_its_client_and_is_governed() {
    let room = Room::new();
    let witness = room.path("witness.jsonl");
    let server = json!({"command": THOTH, "args": ["demo-server", "--witness", witness]});
    let config = json!({"mcpServers": {"demo": server}});
    let path = room.file("mcp.json", config.to_string());
    let said = room.wrap(&["--policy", "baseline", "mcp.json"]);
    assert_eq!(said.code, 0, "{}", said.err);

    let entry: Value = serde_json::from_str(&text(&path)).unwrap();
    let entry = &entry["mcpServers"]["demo"];
    let args: Vec<_> =
        entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let mut client = room
        .command(entry["command"].as_str().unwrap(), args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut input = client.stdin.take().unwrap();
    let mut ask = |message: Value| -> Value {
        writeln!(input, "{message}").unwrap();
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
    };
    let answer = ask(json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }));
    assert_eq!(answer["id"], 1);
    assert!(answer["result"]["serverInfo"].is_object(), "{answer}");
    let answer = ask(json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "delete_document", "arguments": {"path": "public/handbook.md"}},
    }));
    assert_eq!(answer["error"]["code"], -32001, "{answer}");
    drop(input);
    client.wait().unwrap();
    assert!(!text(&witness).contains("delete_document"), "it got through");
    let journal =
        room.kept().iter().map(|file| text(file)).find(|text| text.contains("delete_document"));
    assert!(journal.unwrap().contains("\"demo\""), "the agent has the entry's name");
}
