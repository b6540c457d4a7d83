//! Values of a document as they are meant, for files that are written anew.
//!
//! Order, unknown members and the spelling of numbers are kept; comments are not. A value does not
//! print: it may hold secrets.

use std::fmt;

use super::quote::{key, quote};
use super::tree::{self, Node};
use super::{Document, Malformed, Syntax, text};

/// A value.
#[derive(Clone, Eq, PartialEq)]
pub enum Value {
    /// Null, or nothing at all.
    Null,
    /// True or false.
    Flag(bool),
    /// A number or a date, as it was written.
    Raw(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A map, in the order of the text. No name occurs twice.
    Map(Vec<(String, Self)>),
}

/// Reads JSON, comments let be, as a value; nothing in it is an empty map.
fn read(text: &[u8]) -> Result<Value, Malformed> {
    let (_, text) = text::read(text)?;
    let Some(root) = super::root(text, Syntax::Json)? else { return Ok(Value::Map(Vec::new())) };
    copy(&root, text).map_err(|what| Malformed::at(text, 0, what))
}

impl Document {
    /// One server's entry, whole.
    ///
    /// # Errors
    ///
    /// Why it cannot be copied, in words: two members of one name, of which readers take
    /// different ones.
    pub fn value(&self, server: usize) -> Result<Value, String> {
        self.found.get(server).map_or(Ok(Value::Null), |found| copy(&found.node, &self.text))
    }
}

fn copy(node: &Node, text: &str) -> Result<Value, String> {
    Ok(match &node.value {
        tree::Value::Text(text) => Value::Text(text.clone()),
        tree::Value::Flag(flag) => Value::Flag(*flag),
        tree::Value::Nothing => Value::Null,
        tree::Value::Else => Value::Raw(text[node.span.clone()].to_owned()),
        tree::Value::List(list) => {
            Value::List(list.items.iter().map(|item| copy(item, text)).collect::<Result<_, _>>()?)
        }
        tree::Value::Map(map) => {
            if let Some(twice) = map.members.iter().find(|member| map.repeats(&member.name)) {
                let name = &twice.name;
                return Err(format!("two members are called `{name}`, and readers differ"));
            }
            let member = |member: &tree::Member| {
                Ok::<_, String>((member.name.clone(), copy(&member.value, text)?))
            };
            Value::Map(map.members.iter().map(member).collect::<Result<_, _>>()?)
        }
    })
}

// === impl Value ===

impl Value {
    /// Reads JSON, comments let be; nothing in it is an empty map.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the place.
    pub fn read(text: &[u8]) -> Result<Self, Malformed> {
        read(text)
    }

    /// A list of strings.
    pub fn texts(texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// The string, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Flag(_) | Self::Raw(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The members, if it is a map; none otherwise.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Map(members) => members,
            Self::Null | Self::Flag(_) | Self::Raw(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The items, if it is a list; none otherwise.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Null | Self::Flag(_) | Self::Raw(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    /// The member of this name, if it is a map that has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// As JSON over several lines, with a line end behind it.
    pub fn json(&self) -> String {
        let mut text = String::new();
        self.write_json(&mut text, 0);
        text.push('\n');
        text
    }

    /// As JSON or TOML on one line.
    pub fn line(&self, syntax: Syntax) -> String {
        let toml = syntax == Syntax::Toml;
        let all = |items: Vec<String>| items.join(if toml { ", " } else { "," });
        match self {
            // TOML has no null; what is not there says the same.
            Self::Null => "null".to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Raw(raw) => raw.clone(),
            Self::Text(text) => quote(text),
            Self::List(items) => {
                let items = items.iter().filter(|item| !(toml && **item == Self::Null));
                format!("[{}]", all(items.map(|item| item.line(syntax)).collect()))
            }
            Self::Map(members) => {
                let members = members.iter().filter(|(_, value)| !(toml && *value == Self::Null));
                let is = if toml { " = " } else { ":" };
                let member =
                    |(name, value): &(String, Self)| key(name, syntax) + is + &value.line(syntax);
                format!("{{{}}}", all(members.map(member).collect()))
            }
        }
    }

    fn write_json(&self, text: &mut String, depth: usize) {
        match self {
            Self::Map(members) if !members.is_empty() => {
                text.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    text.push_str(if at == 0 { "\n" } else { ",\n" });
                    text.push_str(&"  ".repeat(depth + 1));
                    text.push_str(&quote(name));
                    text.push_str(": ");
                    value.write_json(text, depth + 1);
                }
                text.push('\n');
                text.push_str(&"  ".repeat(depth));
                text.push('}');
            }
            Self::Map(_)
            | Self::Null
            | Self::Flag(_)
            | Self::Raw(_)
            | Self::Text(_)
            | Self::List(_) => text.push_str(&self.line(Syntax::Json)),
        }
    }
}

/// The value may be secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::document::{Shape, Words};

    const fn shape(syntax: Syntax, servers: &'static [&'static [&'static str]]) -> Shape {
        let words =
            Words { command: "command", args: "args", env: "env", remote: &["url"], is_one: false };
        Shape { syntax, servers, words }
    }

    #[test]
    fn an_entry_is_copied_with_its_order_and_its_numbers() {
        let json =
            r#"{"mcpServers": {"a": {"z": 1.50e3, /* */ "b": ["x", {}, null], "é\n": true}}}"#;
        let shape = shape(Syntax::Json, &[&["mcpServers"]]);
        let value = Document::read(json.as_bytes(), &shape).unwrap().value(0).unwrap();
        assert_eq!(value.line(Syntax::Json), r#"{"z":1.50e3,"b":["x",{},null],"é\n":true}"#);
        assert_eq!(
            value.json(),
            "{\n  \"z\": 1.50e3,\n  \"b\": [\"x\",{},null],\n  \"é\\n\": true\n}\n"
        );
    }

    #[test]
    fn toml_stays_toml() {
        let text = "[mcp_servers.a]\ncommand = 'x'\nn = 1_000\nd = 2020-01-01\n\
                    env = { \"A B\" = \"c\" }\n";
        let shape = shape(Syntax::Toml, &[&["mcp_servers"]]);
        let value = Document::read(text.as_bytes(), &shape).unwrap().value(0).unwrap();
        let line = value.line(Syntax::Toml);
        assert_eq!(line, r#"{command = "x", n = 1_000, d = 2020-01-01, env = {"A B" = "c"}}"#);
        format!("a = {line}").parse::<toml_edit::DocumentMut>().unwrap();
    }

    #[test]
    fn two_members_of_one_name_are_not_copied() {
        let text = r#"{"mcpServers": {"a": {"command": "x", "env": {"A": "1", "A": "2"}}}}"#;
        let shape = shape(Syntax::Json, &[&["mcpServers"]]);
        let why = Document::read(text.as_bytes(), &shape).unwrap().value(0).unwrap_err();
        assert!(why.contains("`A`"), "{why}");
    }

    #[test]
    fn a_value_does_not_print() {
        assert!(!format!("{:?}", Value::texts(["hunter2"])).contains("hunter2"));
    }
}
