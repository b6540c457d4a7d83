//! A wrapped entry, started as its client would start it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

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

/// An MCP server behind an address that wants a token: answers what a client says of it, and keeps
/// every request it was sent, with its token.
struct Far {
    url: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Far {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let memory = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let memory = Arc::clone(&memory);
                thread::spawn(move || while answer(stream.as_ref().unwrap(), &memory).is_some() {});
            }
        });
        Self { url, seen }
    }
}

/// Answers one request; `None` where there is none any more.
fn answer(stream: &TcpStream, memory: &Mutex<Vec<(String, Value)>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut token) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let line = line.trim_end();
        match line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)) {
            Some((name, value)) if name == "content-length" => length = value.parse().unwrap(),
            Some((name, value)) if name == "authorization" => value.clone_into(&mut token),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "far", "version": "1"},
        }),
        Some("tools/call") => json!({"content": [{"type": "text", "text": "done far away"}]}),
        _ => json!({}),
    };
    let (status, text) = match message.get("id") {
        _ if token != format!("Bearer {TOKEN}") => ("401 Unauthorized", String::new()),
        Some(id) => ("200 OK", json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()),
        None if body.is_empty() => ("405 Method Not Allowed", String::new()),
        None => ("202 Accepted", String::new()),
    };
    memory.lock().unwrap().push((token, message));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    let mut stream = stream;
    stream.write_all((head + &text).as_bytes()).ok()
}

const TOKEN: &str = "hunter2.of-the-far.server";

#[test]
fn a_wrapped_server_behind_an_address_is_started_as_it_is_written_and_comes_back_as_it_was() {
    let (room, far) = (Room::new(), Far::start());
    let entry = json!({"type": "http", "url": far.url,
        "headers": {"Authorization": format!("Bearer {TOKEN}")}});
    let original =
        serde_json::to_string_pretty(&json!({"mcpServers": {"Far Away": entry}})).unwrap();
    let path = room.file("mcp.json", &original);
    let rules = "[policy]\nid = \"far\"\nversion = 1\ndefault = \"allow\"\n[[rule]]\nid = \"no\"\n\
        tools = [\"delete\"]\neffect = \"block\"\nreason = \"the test says so\"\n";
    let rules = room.file("rules.toml", rules);
    let said = room.wrap(&["--migrate-secrets", "--policy", rules.to_str().unwrap(), "mcp.json"]);
    assert_eq!(said.code, 0, "{}", said.err);

    let written = text(&path);
    assert!(!written.contains("hunter2"), "{written}");
    let entry: Value = serde_json::from_str(&written).unwrap();
    let entry = &entry["mcpServers"]["Far Away"];
    assert_eq!(entry.get("url"), None, "{written}");
    let args: Vec<_> =
        entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let mut command = room.command(entry["command"].as_str().unwrap(), args);
    for (name, value) in entry["env"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap());
    }
    let mut client = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut input = client.stdin.take().unwrap();
    let mut ask = |message: Value| -> Value {
        writeln!(input, "{message}").unwrap();
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
    };
    let call = |id: u32, tool: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": tool, "arguments": {}}})
    };
    let greeting = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    });
    assert_eq!(ask(greeting)["result"]["serverInfo"]["name"], "far");
    let answer = ask(call(2, "look"));
    assert_eq!(answer["result"]["content"][0]["text"], "done far away", "{answer}");
    let answer = ask(call(3, "delete"));
    assert_eq!(answer["error"]["code"], -32001, "{answer}");
    drop(input);
    let ended = client.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("hunter2"));

    let seen = far.seen.lock().unwrap();
    assert!(seen.iter().all(|(token, _)| *token == format!("Bearer {TOKEN}")));
    let called: Vec<_> =
        seen.iter().filter_map(|(_, message)| message["params"]["name"].as_str()).collect();
    assert_eq!(called, ["look"], "what is blocked reaches no server");
    let journal =
        room.kept().iter().map(|file| text(file)).find(|text| text.contains("\"delete\""));
    let journal = journal.unwrap();
    assert!(journal.contains("\"Far Away\"") && !journal.contains("hunter2"), "{journal}");

    assert_eq!(room.unwrap(&["mcp.json"]).code, 0);
    assert_eq!(text(&path), original, "the same bytes");
    assert!(!room.kept().iter().any(|file| file.starts_with(room.path(".thoth/secrets"))));
}
