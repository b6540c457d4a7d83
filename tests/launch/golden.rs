//! What each client is given, byte for byte: a server of the user's own, one at an address, and one
//! of the command line.

use std::fs;
use std::path::Path;

use crate::room::{Room, THOTH};

const JSON: &str = r#"{"mcpServers": {
    "notes": {"command": "npx", "args": ["-y", "notes"], "env": {"A": "${A}"}, "timeout": 5, "mine": 1.50e3},
    "far.1": {"url": "https://x.example/mcp", "headers": {"Authorization": "Bearer ${T}", "X-Team": "core"}}
}}"#;

/// Each client with the file that its user writes to, and what is in it.
const CLIENTS: [(&str, &str, &str); 10] = [
    ("claude", ".claude.json", JSON),
    (
        "codex",
        ".codex/config.toml",
        "[mcp_servers.notes]\ncommand = \"npx\"\nargs = [\"-y\", \"notes\"]\nenv = { A = \"b\" }\n\
         [mcp_servers.far]\nurl = \"https://x.example/mcp\"\nbearer_token_env_var = \"T\"\n",
    ),
    ("gemini", ".gemini/settings.json", JSON),
    ("copilot", ".copilot/mcp-config.json", JSON),
    ("kimi", ".kimi/mcp.json", JSON),
    ("qwen", ".qwen/settings.json", JSON),
    (
        "kilo",
        ".config/kilo/kilo.jsonc",
        r#"{"mcp": { // mine
            "notes": {"type": "local", "command": ["npx", "-y", "notes"], "environment": {"A": "{env:A}"}},
            "far": {"type": "remote", "url": "https://x.example/mcp", "headers": {"X-Key": "{env:K}"}}
        }}"#,
    ),
    ("cursor", ".cursor/mcp.json", JSON),
    (
        "vscode",
        ".config/Code/User/mcp.json",
        r#"{"servers": {
            "notes": {"type": "stdio", "command": "npx", "args": ["-y", "notes"], "envFile": "${workspaceFolder}/.env"},
            "far": {"type": "sse", "url": "https://x.example/sse", "headers": {"Authorization": "Bearer ${input:t}"}}
        }, "inputs": [{"id": "t", "type": "promptString", "password": true}]}"#,
    ),
    ("antigravity", ".gemini/config/mcp_config.json", JSON),
];

#[cfg(target_os = "linux")]
#[test]
fn each_client_is_given_what_was_written_down() {
    let program = fs::canonicalize(THOTH).unwrap();
    let program = program.to_str().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/launch/golden");
    let mut differ = Vec::new();
    for (client, path, text) in CLIENTS {
        let room = Room::new();
        room.file(path, text);
        let own = ["--user-id", "ann", "--server", "own", "--", "run-me", "it's"];
        let said = room.config(client, &own);
        assert_eq!(said.code, 0, "{client}: {}", said.err);
        let home = room.path("");
        let text = format!("{}---\n{}", said.out, said.err)
            .replace(program, "/usr/bin/thoth")
            .replace(home.to_str().unwrap(), "HOME/");
        let path = golden.join(client);
        if fs::read_to_string(&path).unwrap_or_default() != text {
            differ.push(format!("=== {}\n{text}", path.display()));
        }
    }
    assert!(differ.is_empty(), "not what was written down:\n{}", differ.join("\n"));
}
