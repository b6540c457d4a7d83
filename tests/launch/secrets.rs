//! No secret in what is written, nor in anybody's command line.

use serde_json::{Value, json};

use crate::room::Room;

fn user(room: &Room, servers: &Value) {
    room.claude(&json!({}), servers);
}

#[test]
fn a_literal_secret_is_not_copied_and_stops_everything() {
    for entry in [
        json!({"command": "x", "env": {"API_TOKEN": "hunter2-canary"}}),
        json!({"command": "x", "env": {"API_KEY": "${API_KEY:-hunter2-canary}"}}),
        json!({"command": "x", "args": ["--token", "hunter2-canary"]}),
        json!({"command": "x", "args": ["--api-key=hunter2-canary"]}),
        json!({"command": "x", "args": ["ghp_hunter2canary0123456789"]}),
        json!({"type": "http", "url": "https://x.example", "headers": {"Authorization": "Bearer hunter2-canary"}}),
        json!({"type": "http", "url": "https://x.example", "headers": {"X-Api-Key": "hunter2-canary"}}),
        json!({"command": "npx", "args": ["mcp-remote", "https://x.example",
            "--header", "Authorization: Bearer hunter2-canary"]}),
        json!({"command": "npx", "args": ["mcp-remote", "--header", "X-Api-Key:hunter2-canary"]}),
        json!({"command": "x", "args": ["-h", "Bearer hunter2-canary"]}),
        json!({"type": "http", "url": "https://x.example/mcp?token=hunter2-canary"}),
        json!({"type": "http", "url": "https://u:hunter2-canary@x.example/mcp"}),
        json!({"type": "http", "url": "https://x.example/s/hunter2canary0123456789/mcp"}),
    ] {
        let room = Room::new();
        user(&room, &json!({"bad": entry, "good": {"command": "y"}}));
        let said = room.config("claude", &[]);
        assert_eq!((said.code, said.out.as_str()), (78, ""), "{entry}: {}", said.err);
        assert!(said.err.contains("bad") && said.err.contains("--migrate-secrets"), "{}", said.err);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
        let said = room.config("claude", &["--without", "bad"]);
        assert_eq!(said.names(), ["good"]);
        assert!(!(said.out + &said.err).contains("hunter2"));
    }
}

#[test]
fn what_is_no_secret_stops_nothing() {
    for entry in [
        json!({"command": "x", "args": ["-y", "@scope/server-2024-with-a-long-name-0123456789"]}),
        json!({"command": "x", "env": {"API_KEY": "${API_KEY}", "KEY_FILE": "/run/secrets/key"}}),
        json!({"command": "x", "env": {"GOOGLE_APPLICATION_CREDENTIALS": "/srv/key.json"}}),
        json!({"command": "x", "env": {"MAX_TOKENS": "4096", "AUTH": ""}}),
        json!({"command": "x", "args": ["--token-file", "/run/token"]}),
        json!({"type": "http", "url": "https://x2026.example/v1/organisations/20261121/mcp"}),
        json!({"command": "npx", "args": ["mcp-remote", "--header", "Authorization:${AUTH}"]}),
        json!({"command": "x", "args": ["the bearer of this", "C:\\keys", "a key: b", "https://key.example"]}),
    ] {
        let room = Room::new();
        user(&room, &json!({"a": entry}));
        assert_eq!(room.config("claude", &[]).names(), ["a"], "{entry}");
    }
}

#[test]
fn a_reference_comes_along_as_the_client_writes_it() {
    for (headers, args, env) in [
        (
            json!({"Authorization": "Bearer ${TOKEN}"}),
            json!([]),
            json!({"THOTH_UPSTREAM_TOKEN": "${TOKEN}"}),
        ),
        (
            json!({"Authorization": "Bearer ${A}", "X-Api-Key": "${KEY}", "X-Team": "core"}),
            json!([
                "--upstream-header-env",
                "X-Api-Key=THOTH_UPSTREAM_VALUE_X_API_KEY",
                "--upstream-header",
                "X-Team: core"
            ]),
            json!({"THOTH_UPSTREAM_TOKEN": "${A}", "THOTH_UPSTREAM_VALUE_X_API_KEY": "${KEY}"}),
        ),
        // What the transport says itself is not said for it.
        (json!({"Content-Type": "application/json", "Mcp-Method": "x"}), json!([]), json!({})),
        // It may be one: but nothing says so, and a launch must not stop at a version.
        (
            json!({"X-Version": "v20240101"}),
            json!(["--upstream-header", "X-Version: v20240101"]),
            json!({}),
        ),
    ] {
        let room = Room::new();
        user(
            &room,
            &json!({"far": {
                "type": "http", "url": "https://x.example/mcp", "headers": headers, "timeout": 5
            }}),
        );
        let said = room.config("claude", &[]).json();
        let entry = &said["mcpServers"]["far"];
        let mut expected = json!([
            "run",
            "--agent-id",
            "far",
            "--url",
            "https://x.example/mcp",
            "--transport",
            "http"
        ]);
        expected.as_array_mut().unwrap().extend(args.as_array().unwrap().iter().cloned());
        let mut told: Vec<_> = entry["args"].as_array().unwrap().clone();
        let mut expected: Vec<_> = expected.as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        told.sort_by_key(text);
        expected.sort_by_key(text);
        assert_eq!(told, expected);
        assert_eq!(entry.get("env").cloned().unwrap_or_else(|| json!({})), env);
        assert_eq!(entry["timeout"], 5);
        assert_eq!(entry["type"], "stdio");
        assert!(entry.get("headers").is_none() && entry.get("url").is_none());
    }
}

#[test]
fn a_helper_of_the_client_is_run_by_a_shell_as_the_client_would() {
    let room = Room::new();
    let helper = "printf '{}' | tee \"$HOME/x\"";
    user(&room, &json!({"far": {"url": "https://x.example/mcp", "headersHelper": helper}}));
    let said = room.config("claude", &[]).json();
    let args = said["mcpServers"]["far"]["args"].as_array().unwrap();
    let at = args.iter().position(|arg| arg == "--upstream-headers-command").unwrap();
    assert_eq!(args[at + 1], json!(["sh", "-c", helper]).to_string());
}

#[test]
fn what_thoth_cannot_follow_stops_the_launch() {
    for (entry, why) in [
        (json!({"url": "https://x.example/mcp", "proxy": "http://p.example"}), "`proxy`"),
        (json!({"url": "http://x.example/mcp"}), "https"),
        (json!({"type": "ws", "url": "https://x.example/mcp"}), "WebSocket"),
        (json!({"url": "https://x.example/mcp", "headers": {"Host": "y"}}), "`Host`"),
    ] {
        let room = Room::new();
        user(&room, &json!({"far": entry}));
        let said = room.config("claude", &[]);
        assert_eq!(said.code, 78, "{entry}: {}", said.err);
        assert!(said.err.contains(why), "{entry}: {}", said.err);
    }
}

#[test]
fn thoth_s_own_key_is_searched_for() {
    let room = Room::new();
    user(&room, &json!({"a": {"command": "x", "args": ["canary-of-thoth"]}}));
    let mut command = room.thoth(["mcp-config", "--client", "claude", "--out", "-"]);
    let output = command.env("THOTH_API_KEY", "canary-of-thoth").output().unwrap();
    let said = crate::room::said(&output);
    assert_eq!((said.code, said.out.as_str()), (78, ""), "{}", said.err);
}
