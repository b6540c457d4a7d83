//! Whatever a configuration file holds: it is malformed, or what wrapping does to it can be undone.

use serde_json::Value;
use thoth::clients::document::{
    Bridge, Document, Server, Shape, Syntax, Transport, Words, Wrapping, wrapped,
};

const WORDS: Words = Words {
    command: "command",
    args: "args",
    env: "env",
    remote: &["url", "httpUrl"],
    is_one: false,
};

/// The first byte chooses among them.
const SHAPES: [Shape; 5] = [
    Shape {
        syntax: Syntax::Json,
        servers: &[&["mcpServers"], &["projects", "*", "mcpServers"]],
        words: WORDS,
    },
    Shape { syntax: Syntax::Toml, servers: &[&["mcp_servers"]], words: WORDS },
    Shape {
        syntax: Syntax::Yaml,
        servers: &[&["extensions"]],
        words: Words { command: "cmd", args: "args", env: "envs", remote: &["uri"], is_one: false },
    },
    Shape { syntax: Syntax::Yaml, servers: &[&["mcpServers"]], words: WORDS },
    Shape {
        syntax: Syntax::Json,
        servers: &[&["mcp"]],
        words: Words { env: "environment", is_one: true, ..WORDS },
    },
];

pub(crate) fn check(bytes: &[u8]) {
    let [which, bytes @ ..] = bytes else { return };
    let shape = &SHAPES[usize::from(*which) % SHAPES.len()];
    let Ok(document) = Document::read(bytes, shape) else { return };
    for server in document.servers() {
        assert!(server.span.end <= bytes.len() && server.span.start <= server.span.end);
    }

    let wrapped_text = document.wrap(|server| Some(wrapping(server)));
    let after = Document::read(&wrapped_text.text, shape).expect("what is written is read");
    assert_eq!(after.servers().len(), document.servers().len());
    for (at, (new, old)) in after.servers().iter().zip(document.servers()).enumerate() {
        assert_eq!((&new.name, &new.within), (&old.name, &old.within));
        if wrapped_text.refused.iter().any(|(refused, _)| *refused == at) {
            assert_eq!(new.transport, old.transport);
        } else {
            let Transport::Stdio { command, args, .. } = &new.transport else {
                unreachable!("a wrapped entry has a command")
            };
            let inner = wrapped(command, args).expect("a wrapped entry is known as such");
            assert_eq!((inner.program, inner.flags), ("/opt/thoth", &flags(old)[..]));
            assert!(wrapped(inner.command, inner.args).is_none(), "nothing is wrapped twice");
        }
    }
    assert_eq!(
        after.wrap(|server| Some(wrapping(server))).text,
        wrapped_text.text,
        "wrapping twice is wrapping once"
    );

    let plain = document.unwrap(|_| true);
    assert_eq!(after.unwrap(|_| true).text, plain.text, "wrapping can be undone");
    assert_eq!(document.wrap(|_| None).text, bytes, "what is not chosen is not changed");
    assert!(!plain.changed.is_empty() || plain.text == bytes, "what is not wrapped stays");
    if serde_json::from_slice::<Value>(bytes).is_ok() && shape.syntax == Syntax::Json {
        serde_json::from_slice::<Value>(&wrapped_text.text).expect("JSON stays JSON");
        serde_json::from_slice::<Value>(&plain.text).expect("JSON stays JSON");
    }
}

fn wrapping(server: &Server) -> Wrapping {
    Wrapping {
        program: "/opt/thoth".to_owned(),
        flags: flags(server),
        env: vec![("PATH".to_owned(), "/bin".to_owned()), ("é x".to_owned(), "\\".to_owned())],
        bridge: Bridge::default(),
    }
}

fn flags(server: &Server) -> Vec<String> {
    vec![format!("--agent-id={}", server.name)]
}
