//! Every shape that clients have, before and after.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test says which variants it means")]
#![expect(clippy::format_push_string, reason = "a test is read more often than it runs")]

use super::*;

mod json;
mod loader;
mod malformed;
mod model;
mod older;
mod properties;
mod remote;
mod render;
mod shapes;
mod toml;
mod yaml;

/// The shape that most clients have.
pub(super) const STANDARD: Shape = Shape {
    syntax: Syntax::Json,
    servers: &[&["mcpServers"], &["projects", "*", "mcpServers"]],
    words: Words {
        command: "command",
        args: "args",
        env: "env",
        remote: &["url", "httpUrl", "serverUrl", "serverURL"],
        is_one: false,
    },
};

/// Codex.
pub(super) const CODEX: Shape = Shape {
    syntax: Syntax::Toml,
    servers: &[&["mcp_servers"]],
    words: Words { remote: &["url"], ..STANDARD.words },
};

/// Goose.
pub(super) const GOOSE: Shape = Shape {
    syntax: Syntax::Yaml,
    servers: &[&["extensions"]],
    words: Words { command: "cmd", args: "args", env: "envs", remote: &["uri"], is_one: false },
};

/// Continue.
pub(super) const CONTINUE: Shape = Shape {
    syntax: Syntax::Yaml,
    servers: &[&["mcpServers"]],
    words: Words { remote: &["url"], ..STANDARD.words },
};

/// `OpenCode`.
pub(super) const OPENCODE: Shape = Shape {
    syntax: Syntax::Json,
    servers: &[&["mcp"]],
    words: Words { env: "environment", remote: &["url"], is_one: true, ..STANDARD.words },
};

/// Zed.
pub(super) const ZED: Shape = Shape { servers: &[&["context_servers"]], ..STANDARD };

/// `run --agent-id NAME`, without variables.
#[expect(clippy::unnecessary_wraps, reason = "it is a choice that takes every entry")]
pub(super) fn plainly(server: &Server) -> Option<Wrapping> {
    Some(Wrapping {
        program: "/opt/thoth".to_owned(),
        flags: vec!["--agent-id".to_owned(), server.name.clone()],
        env: Vec::new(),
        bridge: Bridge::default(),
    })
}

/// The same, with `PATH`.
pub(super) fn with_path(server: &Server) -> Option<Wrapping> {
    let env = vec![("PATH".to_owned(), "/usr/bin".to_owned())];
    plainly(server).map(|wrapping| Wrapping { env, ..wrapping })
}

pub(super) fn read(text: &str, shape: &Shape) -> Document {
    Document::read(text.as_bytes(), shape).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

pub(super) fn text(edited: &Edited) -> &str {
    std::str::from_utf8(&edited.text).unwrap()
}

/// What comes of wrapping every entry. Again gives the same, and unwrapping the original.
pub(super) fn there_and_back(
    original: &str,
    shape: &Shape,
    choose: fn(&Server) -> Option<Wrapping>,
) -> String {
    let document = read(original, shape);
    let wrapped = document.wrap(choose);
    assert_eq!(wrapped.refused, [], "{original}");
    let again = read(text(&wrapped), shape);
    let twice = again.wrap(choose);
    assert_eq!(text(&twice), text(&wrapped), "wrapping twice is wrapping once");
    assert_eq!((&twice.changed[..], &twice.refused[..]), (&[][..], &[][..]));
    let back = again.unwrap(|_| true);
    assert_eq!(text(&back), original, "unwrapping gives the original:\n{}", text(&wrapped));
    assert_eq!(back.changed, wrapped.changed);
    text(&wrapped).to_owned()
}
