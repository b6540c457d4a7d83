//! A document as it may be shown: with every value hidden that may be a secret.
//!
//! What stands in environments and headers is hidden whatever it is; elsewhere, what a name or the
//! look of a value gives away. It is better to hide a version number than to show a token; who
//! must see a value looks into the file.

use super::tree::{Member, Node, Value};
use super::{Document, text};
use crate::clients::document::edit::Edits;
use crate::clients::token;

/// What is shown instead.
const HIDDEN: &str = "\"***\"";

/// Members of which every value is hidden.
const MAPS: [&str; 6] = ["env", "envs", "environment", "headers", "http_headers", "requestoptions"];

/// Further parts of names whose values are hidden.
const NAMES: [&str; 1] = ["auth"];

/// The shortest run of letters and digits, mixed, that looks like a token.
const RUN: usize = 20;

impl Document {
    /// The text with every value hidden that may be a secret.
    pub fn veiled(&self) -> String {
        let mut edits = Edits::default();
        if let Ok(Some(root)) = super::root(&self.text, self.shape.syntax) {
            hide(&root, "", false, &mut edits);
        }
        let mark = if self.has_mark { text::MARK } else { "" };
        let lines = edits.apply(&self.text);
        let lines: String = lines.split_inclusive('\n').map(comment).collect();
        format!("{mark}{lines}")
    }
}

/// A line, without what it says where it is a comment that seems to hold a secret: what was put
/// out of use for a while.
fn comment(line: &str) -> String {
    let text = line.trim_start();
    let mark = ["//", "#", "/*", "*"].iter().find(|mark| text.starts_with(**mark));
    match mark {
        Some(mark) if looks_secret(text) || is_secret_name(text) => {
            let end = &line[line.trim_end_matches(['\r', '\n']).len()..];
            format!("{}{mark} ***{end}", &line[..line.len() - text.len()])
        }
        _ => line.to_owned(),
    }
}

fn hide(node: &Node, name: &str, all: bool, edits: &mut Edits) {
    match &node.value {
        Value::Text(text) => {
            let is_command = matches!(name, "command" | "cmd" | "path");
            let hidden = all || is_secret_name(name) || !is_command && looks_secret(text);
            if hidden && !is_placeholder(text) && !text.is_empty() {
                edits.replace(node.span.clone(), HIDDEN);
            }
        }
        Value::Else if all || is_secret_name(name) => edits.replace(node.span.clone(), HIDDEN),
        Value::List(list) => {
            let mut before = "";
            for item in &list.items {
                // The value of a flag: `--token`, `…`.
                let all = all || is_secret_flag(before);
                hide(item, "", all, edits);
                before = item.text().unwrap_or_default();
            }
        }
        Value::Map(map) => {
            for Member { name, value, .. } in &map.members {
                let all = all || MAPS.contains(&name.to_ascii_lowercase().as_str());
                hide(value, name, all, edits);
            }
        }
        Value::Flag(_) | Value::Nothing | Value::Else => {}
    }
}

/// A flag whose value is the next argument.
fn is_secret_flag(text: &str) -> bool {
    text.starts_with('-') && !text.contains('=') && is_secret_name(text)
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    token::is_secret_name(&name, &NAMES) || name.ends_with("key")
}

/// Whether it only says where the client is to take it from.
fn is_placeholder(text: &str) -> bool {
    text.starts_with("${") && text.ends_with('}') && !text[2..].contains("${")
}

/// Whether a text holds a credential: by a word before it, in an address, or by its look.
fn looks_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let announced = ["bearer ", "basic ", "authorization:", "key:", "token:"];
    if announced.iter().any(|word| lower.contains(word)) {
        return true;
    }
    if text.split(['?', '&', ' ', '-', ';']).any(is_assignment) {
        return true;
    }
    let in_address = |rest: &str| rest.split('/').next().is_some_and(|host| host.contains('@'));
    if text.split_once("://").is_some_and(|(_, rest)| in_address(rest)) {
        return true;
    }
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).any(|run| {
        let known = token::may_be(run);
        let mixed =
            run.bytes().any(|b| b.is_ascii_digit()) && run.bytes().any(|b| b.is_ascii_alphabetic());
        known || run.len() >= RUN && mixed
    })
}

/// `token=…`
fn is_assignment(part: &str) -> bool {
    part.split_once('=').is_some_and(|(name, value)| is_secret_name(name) && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::document::{Shape, Syntax, Words};

    const SHAPE: Shape = Shape {
        syntax: Syntax::Json,
        servers: &[&["mcpServers"]],
        words: Words {
            command: "command",
            args: "args",
            env: "env",
            remote: &["url"],
            is_one: false,
        },
    };

    #[test]
    fn what_may_be_a_secret_is_hidden_and_the_rest_is_shown() {
        let text = r#"{"mcpServers": {"a": {
            // "API_TOKEN": "i",
            // mine
            "command": "/opt/v20/0123456789abcdef0123/npx",
            "args": ["-y", "pkg@1.2.3", "--token", "a", "--api-key=b", "/srv/x", "Authorization: c"],
            "env": {"A": "d", "B": "${B}", "N": 5}, "timeout": 60,
            "headers": {"X": {"y": "e"}}, "apiKey": "f", "url": "https://u:g@host/x",
            "more": ["https://host/mcp?token=h", "ghp_0123456789", "https://host/s/0a1b2c3d4e5f60718293/mcp"]
        }}}"#;
        let shown = Document::read(text.as_bytes(), &SHAPE).unwrap().veiled();
        let expected = r#"{"mcpServers": {"a": {
            // ***
            // mine
            "command": "/opt/v20/0123456789abcdef0123/npx",
            "args": ["-y", "pkg@1.2.3", "--token", "***", "***", "/srv/x", "***"],
            "env": {"A": "***", "B": "${B}", "N": "***"}, "timeout": 60,
            "headers": {"X": {"y": "***"}}, "apiKey": "***", "url": "***",
            "more": ["***", "***", "***"]
        }}}"#;
        assert_eq!(shown, expected);
    }
}
