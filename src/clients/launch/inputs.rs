//! What an entry has its client ask the person for: `${input:NAME}`, which is defined beside the
//! servers. Pure.
//!
//! An entry without the definition means nothing. So that comes along: of the entries that are
//! taken, and of no others.
//!
//! # Invariants
//!
//! - A definition is copied as it is, and never made up: where there is none, or two files have
//!   different ones of one name, the server is no server that could be started.

use super::govern::Flaw;
use super::{Governed, Value};

/// How the name of an input is written.
const BEFORE: &str = "${input:";

/// One input of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its definition, where the entry's file has one.
    pub definition: Option<Value>,
}

/// The inputs that an entry refers to, each once, with the definitions of `defined`: a list, as it
/// stands in the file.
pub(super) fn of(entry: &Value, defined: &Value) -> Vec<Input> {
    let mut names = Vec::new();
    look(entry, &mut names);
    let definition = |name: &str| {
        let is_it = |each: &&Value| each.get("id").and_then(Value::text) == Some(name);
        defined.items().iter().find(is_it).cloned()
    };
    names.into_iter().map(|name| Input { definition: definition(&name), name }).collect()
}

/// Whether an entry refers to any.
pub(super) fn has_any(entry: &Value) -> bool {
    let mut names = Vec::new();
    look(entry, &mut names);
    !names.is_empty()
}

fn look(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Text(text) => {
            for rest in text.split(BEFORE).skip(1) {
                let Some((name, _)) = rest.split_once('}') else { continue };
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| look(item, names)),
        Value::Map(members) => members.iter().for_each(|(_, member)| look(member, names)),
        Value::Null | Value::Flag(_) | Value::Raw(_) => {}
    }
}

/// Checks that an entry's inputs are defined, without a secret in them.
///
/// # Errors
///
/// [`Flaw`].
pub(super) fn check(inputs: &[Input]) -> Result<(), Flaw> {
    for Input { name, definition } in inputs {
        let Some(definition) = definition else {
            return Err(Flaw::Odd(format!(
                "it asks for the input {name}, which its file does not define"
            )));
        };
        if secret(definition).is_some() {
            return Err(Flaw::Literal(format!("the input {name} that it asks for")));
        }
    }
    Ok(())
}

/// What a definition puts in where the person types nothing, where that is a password.
pub(super) fn secret(definition: &Value) -> Option<&str> {
    let is_password = definition.get("password") == Some(&Value::Flag(true));
    let default = definition.get("default").and_then(Value::text)?;
    (is_password && !default.is_empty()).then_some(default)
}

/// The definitions of all inputs of these servers, in the order in which they are first asked for.
///
/// # Errors
///
/// The name of one that is defined in two ways.
pub fn all(servers: &[Governed]) -> Result<Vec<Value>, String> {
    let mut all: Vec<(&str, &Value)> = Vec::new();
    for Input { name, definition } in servers.iter().flat_map(|server| &server.inputs) {
        let Some(definition) = definition else { continue };
        match all.iter().find(|(known, _)| known == name) {
            Some((_, known)) if *known == definition => {}
            Some(_) => return Err(name.clone()),
            None => all.push((name, definition)),
        }
    }
    Ok(all.into_iter().map(|(_, definition)| definition.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        Value::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_entry_names_its_inputs_wherever_they_stand() {
        let entry = read(
            r#"{"command": "x", "args": ["${input:a}/${input:b-1}", "$input:c", "${input:d"],
                "env": {"A": "${input:a}", "B": "${env:B}"}, "headers": {"X": "k ${input:e}"}}"#,
        );
        let defined = read(r#"[{"id": "b-1", "type": "promptString"}, {"id": "z"}, {"id": "a"}]"#);
        let inputs = of(&entry, &defined);
        let names: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["a", "b-1", "e"]);
        let defined: Vec<_> = inputs.iter().map(|input| input.definition.is_some()).collect();
        assert_eq!(defined, [true, true, false]);
        assert!(has_any(&entry) && !has_any(&read(r#"{"command": "x", "args": ["${a}"]}"#)));
    }

    #[test]
    fn one_that_is_not_defined_or_holds_a_password_stops_the_server() {
        for (definition, flaw) in [
            (None, Some("it asks for the input t, which its file does not define")),
            (Some(r#"{"id": "t"}"#), None),
            (Some(r#"{"id": "t", "password": true}"#), None),
            (Some(r#"{"id": "t", "password": true, "default": ""}"#), None),
            (Some(r#"{"id": "t", "password": false, "default": "eu"}"#), None),
            (
                Some(r#"{"id": "t", "password": true, "default": "hunter2"}"#),
                Some("the input t that it asks for holds a secret"),
            ),
        ] {
            let definition = definition.map(read);
            let told = check(&[Input { name: "t".to_owned(), definition }]);
            match (told, flaw) {
                (Ok(()), None) => {}
                (Err(told), Some(flaw)) => assert!(told.to_string().starts_with(flaw), "{told}"),
                (told, flaw) => panic!("{told:?} and not {flaw:?}"),
            }
        }
    }
}
