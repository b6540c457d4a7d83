//! How clients write their files.

use crate::clients::document::{Shape, Syntax, Words};

const USUAL: Words = Words {
    command: "command",
    args: "args",
    env: "env",
    remote: &["url", "httpUrl", "serverUrl", "serverURL"],
    is_one: false,
};

const fn json(servers: &'static [&'static [&'static str]]) -> Shape {
    Shape { syntax: Syntax::Json, servers, words: USUAL }
}

/// What most clients write.
pub(in crate::clients) const MCP_SERVERS: Shape = json(&[&["mcpServers"]]);

/// Claude Code: of the user, and of each project.
pub(in crate::clients) const CLAUDE_CODE: Shape =
    json(&[&["mcpServers"], &["projects", "*", "mcpServers"]]);

/// VS Code and those that took it over.
pub(in crate::clients) const SERVERS: Shape = json(&[&["servers"]]);

/// VS Code's settings, before it had a file for servers.
pub(super) const VSCODE_SETTINGS: Shape = json(&[&["mcp", "servers"]]);

/// Zed.
pub(super) const CONTEXT_SERVERS: Shape = json(&[&["context_servers"]]);

/// Crush.
pub(super) const MCP: Shape = json(&[&["mcp"]]);

/// `OpenCode` and Kilo: `command` is a list of the command and its arguments.
pub(in crate::clients) const OPENCODE: Shape = Shape {
    syntax: Syntax::Json,
    servers: &[&["mcp"]],
    words: Words { env: "environment", is_one: true, ..USUAL },
};

/// Codex.
pub(in crate::clients) const CODEX: Shape =
    Shape { syntax: Syntax::Toml, servers: &[&["mcp_servers"]], words: USUAL };

/// Goose.
pub(super) const GOOSE: Shape = Shape {
    syntax: Syntax::Yaml,
    servers: &[&["extensions"]],
    words: Words {
        command: "cmd",
        args: "args",
        env: "envs",
        remote: &["uri", "url"],
        is_one: false,
    },
};

/// Continue: a list, with the name inside.
pub(super) const CONTINUE: Shape =
    Shape { syntax: Syntax::Yaml, servers: &[&["mcpServers"]], words: USUAL };

/// The manifest of one extension of Claude Desktop.
pub(super) const MANIFEST: Shape =
    json(&[&["server"], &["server", "mcp_config", "platform_overrides"]]);

/// Claude Desktop's list of its extensions, with a copy of each manifest.
pub(super) const INSTALLATIONS: Shape = json(&[
    &["extensions", "*", "manifest", "server"],
    &["extensions", "*", "manifest", "server", "mcp_config", "platform_overrides"],
]);
