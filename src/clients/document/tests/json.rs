//! JSON, and JSON with comments.

use super::*;

#[test]
fn an_entry_is_wrapped_in_its_place() {
    let original = r#"{
  // mine
  "mcpServers": {
    "files": {
      "command": "npx", /* the runner */
      "args": [
        "-y",
        "@modelcontextprotocol/server-filesystem",
      ],
      "env": { "TOKEN": "x" },
    },
  },
  "theme": "dark"
}
"#;
    assert_eq!(
        there_and_back(original, &STANDARD, with_path),
        r#"{
  // mine
  "mcpServers": {
    "files": {
      "command": "/opt/thoth", /* the runner */
      "args": [
        "run", "--agent-id", "files", "--undo", "env.PATH", "--", "npx", "-y",
        "@modelcontextprotocol/server-filesystem",
      ],
      "env": { "TOKEN": "x", "PATH": "/usr/bin" },
    },
  },
  "theme": "dark"
}
"#
    );
}

#[test]
fn what_an_entry_did_not_have_is_added_and_taken_away_again() {
    let original = "{\n\t\"mcpServers\": {\n\t\t\"a\": {\n\t\t\t\"command\": \"a\"\n\t\t}\n\t}\n}";
    assert_eq!(
        there_and_back(original, &STANDARD, with_path),
        "{\n\t\"mcpServers\": {\n\t\t\"a\": {\n\t\t\t\"command\": \"/opt/thoth\",\n\t\t\t\"args\": \
         [\"run\", \"--agent-id\", \"a\", \"--undo\", \"args,env,env.PATH\", \"--\", \"a\"],\n\t\t\t\
         \"env\": {\"PATH\": \"/usr/bin\"}\n\t\t}\n\t}\n}"
    );
    let original = r#"{"mcpServers":{"a":{"command":"a","args":[],"env":{}}}}"#;
    assert_eq!(
        there_and_back(original, &STANDARD, with_path),
        r#"{"mcpServers":{"a":{"command":"/opt/thoth","args":["run", "--agent-id", "a", "--undo", "env.PATH", "--", "a"],"env":{"PATH": "/usr/bin"}}}}"#
    );
    let original = r#"{"mcpServers":{"a":{"args":null,"command":"a","env": null}}}"#;
    assert_eq!(
        there_and_back(original, &STANDARD, with_path),
        r#"{"mcpServers":{"a":{"args":["run", "--agent-id", "a", "--undo", "args=null,env=null,env.PATH", "--", "a"],"command":"/opt/thoth","env": {"PATH": "/usr/bin"}}}}"#
    );
}
