//! What holds of every configuration, whatever is in it and however it is written.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::{Dice, Model};
use super::{CODEX, CONTINUE, GOOSE, OPENCODE, STANDARD, ZED, read, render, text};
use crate::clients::document::{
    Bridge, Document, Server, Shape, Syntax, Transport, Wrapping, bridged, wrapped,
};

/// What thoth is called: a path that every syntax has to escape.
const PROGRAM: &str = "C:\\Program Files\\\"thöth\"\\thoth.exe";

fn wrapping(server: &Server, env: &[(&str, &str)]) -> Wrapping {
    let mut flags =
        vec![format!("--agent-id={}", server.name), "--env".to_owned(), "dev".to_owned()];
    match &server.transport {
        Transport::Remote { url, .. } => flags.extend(["--url".to_owned(), url.clone()]),
        Transport::Stdio { command, args, .. } => {
            flags = bridged(command, args).map_or(flags, |bridged| bridged.flags);
        }
        Transport::Other { .. } => {}
    }
    Wrapping {
        program: PROGRAM.to_owned(),
        flags,
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        bridge: Bridge::default(),
    }
}

const NO_ENV: &[(&str, &str)] = &[];
const SOME_ENV: &[(&str, &str)] = &[("PATH", "/a:/b \"c\""), ("TOKEN", "ours"), ("é,", "x")];

/// A file, its shape, and what it says.
fn file(dice: &[u8]) -> (Shape, String, Model) {
    let mut dice = Dice(dice.iter());
    let shape = [STANDARD, CODEX, GOOSE, CONTINUE, OPENCODE, ZED][dice.roll(6)];
    let words = shape.words;
    let words = [words.command, words.args, words.env, words.remote[0]];
    let key = shape.servers[0][0];
    let servers = dice.servers(shape.syntax, words);
    let servers = match servers {
        // Continue has a list, with the names inside.
        Model::Map(members) if key == "mcpServers" && shape.syntax == Syntax::Yaml => {
            let entry = |(name, entry)| match entry {
                Model::Map(mut members) => {
                    members.insert(0, ("name".to_owned(), Model::Text(name)));
                    Model::Map(members)
                }
                other => other,
            };
            Model::List(members.into_iter().map(entry).collect())
        }
        servers => servers,
    };
    let mut model = dice.file(shape.syntax, key, servers);
    if let (Model::Map(members), true) = (&mut model, shape.servers.len() > 1 && dice.roll(3) == 1)
    {
        let project = |dice: &mut Dice<'_>, name: &str| {
            let servers = dice.servers(shape.syntax, words);
            (name.to_owned(), Model::Map(vec![("mcpServers".to_owned(), servers)]))
        };
        let projects = vec![project(&mut dice, "/srv/a b"), project(&mut dice, "C:\\é")];
        members.push(("projects".to_owned(), Model::Map(projects)));
    }
    let written = match shape.syntax {
        Syntax::Json => render::json(&model, &mut dice),
        Syntax::Toml => render::toml(&model, &mut dice),
        Syntax::Yaml => render::yaml(&model, &mut dice),
    };
    let mark = if dice.roll(6) == 1 { "\u{feff}" } else { "" };
    (shape, format!("{mark}{written}"), model)
}

/// What another reader makes of a text.
fn independent(text: &str, syntax: Syntax) -> Value {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match syntax {
        Syntax::Json => serde_json::from_str(&without_comments(text)).unwrap(),
        Syntax::Toml => toml::from_str(text).unwrap(),
        Syntax::Yaml => super::loader::load(text),
    }
}

/// JSON without its comments and trailing commas.
fn without_comments(text: &str) -> String {
    let (mut plain, mut rest, mut comma) = (String::new(), text, None);
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").unwrap() + 2
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            });
            let len = end.unwrap() + 2;
            plain.push_str(&rest[..len]);
            comma = None;
            len
        } else {
            if let ('}' | ']', Some(at)) = (first, comma) {
                plain.remove(at);
            }
            if first == ',' {
                comma = Some(plain.len());
            } else if !first.is_whitespace() {
                comma = None;
            }
            plain.push(first);
            first.len_utf8()
        };
        rest = &rest[len..];
    }
    plain
}

/// What a wrapped file must say, worked out on values.
fn expected(mut file: Value, shape: &Shape, env: &[(&str, &str)]) -> Value {
    let words = shape.words;
    let wrap = |name: &str, entry: &mut Value| {
        let Some(entry) = entry.as_object_mut() else { return };
        let Some(command) = entry.get(words.command).cloned() else { return };
        let old = entry.get(words.env).and_then(Value::as_object).cloned();
        let mut new = old.clone().unwrap_or_default();
        let mut undo = Vec::new();
        let args = entry.get(words.args).cloned();
        let null = |written: &Value| written.is_null();
        if args.as_ref().is_none_or(null) {
            undo.push(if args.is_some() { "args=*" } else { "args" }.to_owned());
        }
        let taken = |name: &str| new.keys().any(|old| old.eq_ignore_ascii_case(name));
        let added: Vec<_> = env.iter().filter(|(name, _)| !taken(name)).collect();
        if old.is_none() && !added.is_empty() {
            undo.push(if entry.contains_key(words.env) { "env=*" } else { "env" }.to_owned());
        }
        for (name, value) in added {
            new.insert((*name).to_owned(), json!(value));
            undo.push(format!("env.{name}"));
        }
        let mut line =
            vec![json!("run"), json!(format!("--agent-id={name}")), json!("--env"), json!("dev")];
        if !undo.is_empty() {
            line.extend([json!("--undo"), json!(undo.join(","))]);
        }
        line.extend([json!("--"), command]);
        line.extend(args.and_then(|args| args.as_array().cloned()).unwrap_or_default());
        entry.insert(words.command.to_owned(), json!(PROGRAM));
        entry.insert(words.args.to_owned(), Value::Array(line));
        if old.is_some() || !new.is_empty() {
            entry.insert(words.env.to_owned(), Value::Object(new));
        }
    };
    let all = |servers: &mut Value| match servers {
        Value::Object(map) => map.iter_mut().for_each(|(name, entry)| wrap(name, entry)),
        Value::Array(list) => {
            for entry in list {
                let name = entry["name"].as_str().unwrap_or_default().to_owned();
                wrap(&name, entry);
            }
        }
        _ => {}
    };
    let key = shape.servers[0][0];
    all(&mut file[key]);
    if shape.servers.len() > 1
        && let Some(projects) = file.get_mut("projects").and_then(Value::as_object_mut)
    {
        projects.values_mut().for_each(|project| all(&mut project["mcpServers"]));
    }
    file
}

/// Hides how a null was written, which a value does not say.
fn blur(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("args") || text.starts_with("env") => {
            for null in ["null", "Null", "~"] {
                *text = text.replace(&format!("={null}"), "=*");
            }
            *text = text.replace("=,", "=*,");
            if text.ends_with('=') {
                text.push('*');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blur),
        Value::Object(members) => members.values_mut().for_each(blur),
        _ => {}
    }
}

fn unusual(command: &str) -> bool {
    // Written without quotes, such a command cannot stand in a list in brackets.
    command.contains(['[', ']', '{', '}', ',']) || command.ends_with(':')
}

fn holds(dice: &[u8], env: &[(&str, &str)]) {
    let (shape, original, model) = file(dice);
    assert_eq!(independent(&original, shape.syntax), model.value(), "the test's own:\n{original}");
    let document = read(&original, &shape);
    let wrapped_text = document.wrap(|server| {
        (!matches!(server.transport, Transport::Other { .. })).then(|| wrapping(server, env))
    });
    let refused = |at: usize| wrapped_text.refused.iter().any(|(index, _)| *index == at);
    for (at, server) in document.servers().iter().enumerate() {
        if let Transport::Stdio { command, .. } = &server.transport {
            assert!(
                !refused(at) || (shape.syntax == Syntax::Yaml && unusual(command)),
                "{:?}:\n{original}",
                wrapped_text.refused
            );
        }
    }

    let after = read(text(&wrapped_text), &shape);
    let again = after.wrap(|server| {
        (!matches!(server.transport, Transport::Other { .. })).then(|| wrapping(server, env))
    });
    assert_eq!(text(&again), text(&wrapped_text), "wrapping twice:\n{original}");
    let back = after.unwrap(|_| true);
    assert_eq!(text(&back), original, "there and back:\n{}", text(&wrapped_text));

    for (at, (old, new)) in document.servers().iter().zip(after.servers()).enumerate() {
        if let (Transport::Remote { url, .. }, false) = (&old.transport, refused(at)) {
            let Transport::Stdio { command, args, .. } = &new.transport else {
                panic!("no command:\n{}", text(&wrapped_text))
            };
            assert_eq!(bridged(command, args).unwrap().url, *url);
            continue;
        }
        let Transport::Stdio { command, args, .. } = &old.transport else {
            assert_eq!(old.transport, new.transport);
            continue;
        };
        let Transport::Stdio { command: program, args: line, .. } = &new.transport else {
            panic!("no command any more:\n{}", text(&wrapped_text))
        };
        if !refused(at) {
            let inner = wrapped(program, line).unwrap();
            assert_eq!((inner.program, inner.command, inner.args), (PROGRAM, &**command, &**args));
            assert_eq!(inner.flags, wrapping(new, env).flags);
        }
    }
    let is_remote = |server: &Server| matches!(server.transport, Transport::Remote { .. });
    if wrapped_text.refused.is_empty() && !document.servers().iter().any(is_remote) {
        let mut seen = independent(text(&wrapped_text), shape.syntax);
        let mut meant = expected(model.value(), &shape, env);
        blur(&mut seen);
        blur(&mut meant);
        assert_eq!(seen, meant, "another reader:\n{}", text(&wrapped_text));
    }
}

fn some_env() -> &'static [(&'static str, &'static str)] {
    &SOME_ENV[..2]
}

proptest! {
    #[test]
    fn a_wrapped_file_means_the_same_and_can_be_unwrapped(
        dice in proptest::collection::vec(any::<u8>(), 0..1000),
        with_env in any::<bool>(),
    ) {
        holds(&dice, if with_env { some_env() } else { NO_ENV });
    }

    #[test]
    fn any_bytes_are_read_or_malformed(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        dice in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        for shape in [STANDARD, CODEX, CONTINUE] {
            let _ = Document::read(&bytes, &shape);
        }
        // A file that is damaged in one place.
        let (shape, text, _) = file(&dice);
        let mut damaged = text.into_bytes();
        let at = at.index(damaged.len().max(1));
        damaged.splice(at..(at + 1).min(damaged.len()), bytes.iter().take(2).copied());
        if let Ok(document) = Document::read(&damaged, &shape) {
            let edited = document.wrap(|server| Some(wrapping(server, some_env())));
            let after = Document::read(&edited.text, &shape).unwrap();
            prop_assert_eq!(after.servers().len(), document.servers().len());
            let back = after.unwrap(|_| true).text;
            let clean = document.unwrap(|_| true).text;
            prop_assert_eq!(back, clean);
        }
    }
}

#[test]
fn variables_that_cannot_be_remembered_are_refused() {
    let document = read(r#"{"mcpServers": {"a": {"command": "a"}}}"#, &STANDARD);
    let edited = document.wrap(|server| Some(wrapping(server, SOME_ENV)));
    assert_eq!(edited.refused.len(), 1);
    assert!(edited.changed.is_empty());
}
