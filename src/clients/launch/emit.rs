//! Writes governed servers down as one client wants them.

use super::{Beside, Delivery, Form, Governed, Recipe};
use crate::clients::document::{Syntax, Value};

/// What a client is given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Emission {
    /// The text of a file.
    File(String),
    /// Words for the command line.
    Words(Vec<String>),
}

/// Writes servers down. `off` are names of servers that the client finds by itself and must not
/// start; `base` is what the file has besides.
pub fn emit(recipe: &Recipe, servers: &[Governed], off: &[String], base: &Value) -> Emission {
    let mut entries: Vec<_> =
        servers.iter().map(|server| (server.name.clone(), entry(recipe, server))).collect();
    let is_new = |name: &&String| !servers.iter().any(|server| server.name == **name);
    match recipe.delivery {
        Delivery::Words { flags } => {
            let disabled = || Value::Map(vec![("enabled".to_owned(), Value::Flag(false))]);
            entries.extend(off.iter().filter(is_new).map(|name| (name.clone(), disabled())));
            Emission::Words(words(recipe, flags[0], &entries))
        }
        Delivery::Flag { .. } | Delivery::Path(_) | Delivery::Text(_) | Delivery::Place(_) => {
            let root = (recipe.dialect.root.to_owned(), Value::Map(entries));
            let others = base.members().iter().filter(|(name, _)| name != recipe.dialect.root);
            Emission::File(Value::Map(others.cloned().chain([root]).collect()).json())
        }
    }
}

/// One word `ROOT.NAME=…` for each server; one for all where a name has a character that the client
/// would take for the end of it.
fn words(recipe: &Recipe, flag: &str, entries: &[(String, Value)]) -> Vec<String> {
    let (root, syntax) = (recipe.dialect.root, recipe.dialect.syntax);
    let is_bare = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if entries.iter().all(|(name, _)| is_bare(name)) {
        let word = |(name, value): &(String, Value)| {
            [flag.to_owned(), format!("{root}.{name}={}", value.line(syntax))]
        };
        return entries.iter().flat_map(word).collect();
    }
    let all = Value::Map(entries.to_vec());
    vec![flag.to_owned(), format!("{root}={}", all.line(syntax))]
}

fn entry(recipe: &Recipe, server: &Governed) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut members: Vec<(String, Value)> = Vec::new();
    let mut put = |name: &str, value: Value| members.push((name.to_owned(), value));
    match recipe.dialect.command {
        Form::List => {
            put("type", text("local"));
            put("command", Value::texts([&server.command].into_iter().chain(&server.args)));
        }
        Form::Plain | Form::Typed(_) => {
            if let Form::Typed(kind) = recipe.dialect.command {
                put("type", text(kind));
            }
            put("command", text(&server.command));
            put("args", Value::texts(&server.args));
        }
    }
    // Where it is merged with what the client has, that is not said again.
    let is_merged = recipe.beside == Beside::Merged && server.is_found;
    if !is_merged {
        let env = if recipe.dialect.command == Form::List { "environment" } else { "env" };
        if !server.env.is_empty() {
            put(env, Value::Map(server.env.clone()));
        }
        if recipe.dialect.syntax == Syntax::Toml && !server.pass.is_empty() {
            put("env_vars", Value::texts(&server.pass));
        }
        members.extend(server.rest.iter().cloned());
    }
    for (name, raw) in recipe.dialect.usual {
        let has = server.rest.iter().any(|(other, _)| other == name);
        if !has {
            members.push(((*name).to_owned(), Value::Raw((*raw).to_owned())));
        }
    }
    Value::Map(members)
}
