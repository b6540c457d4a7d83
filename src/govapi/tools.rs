//! The tools of a server as the GovAPI is told of them: from the text of `tools/list` results to
//! the parts of a report. Pure.
//!
//! A schema is stripped of the members that hold values (`default`, `examples`, `example`, `const`,
//! `enum`), as the public SDKs do; names of properties stay, whatever they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// How many tools one part of a report holds.
pub const AT_ONCE: usize = 100;
/// The longest description, in bytes; a longer one is cut.
const LONGEST_DESCRIPTION: usize = 4096;
/// The longest schema, in bytes; a longer one is left out.
const LONGEST_SCHEMA: usize = 64 * 1024;
/// The longest name, in bytes; a tool with a longer one is left out.
const LONGEST_NAME: usize = 512;
/// How many tools are reported of one server.
const MOST: usize = 4096;
/// How many bytes one part may grow to before the next begins.
const PART: usize = 1024 * 1024;

/// The members of a schema that hold values.
const VALUES: [&str; 5] = ["default", "examples", "example", "const", "enum"];
/// The members of a schema whose own members are names, each of a schema.
const NAMES: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// One tool.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Tool {
    name: String,
    description: String,
    input_schema: Value,
}

/// The pages of one list, until its last has come.
#[derive(Debug, Default)]
pub struct Pages {
    tools: BTreeMap<String, Tool>,
}

/// A whole list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tools(Vec<Tool>);

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(default, rename = "nextCursor")]
    next: Value,
}

// === impl Pages ===

impl Pages {
    /// Takes in one result of `tools/list`. The whole list, where this was its last page. What
    /// cannot be read is passed over.
    pub fn add(&mut self, result: &[u8]) -> Option<Tools> {
        let page = serde_json::from_slice::<Page>(result).ok()?;
        for tool in page.tools.iter().filter_map(Tool::read) {
            if self.tools.len() < MOST || self.tools.contains_key(&tool.name) {
                self.tools.insert(tool.name.clone(), tool);
            }
        }
        if page.next.is_null() { Some(self.take()) } else { None }
    }

    /// Whether pages have come and the last one has not.
    pub fn is_begun(&self) -> bool {
        !self.tools.is_empty()
    }

    /// The list as far as it has come.
    pub fn take(&mut self) -> Tools {
        Tools(std::mem::take(&mut self.tools).into_values().collect())
    }
}

// === impl Tools ===

impl Tools {
    /// The parts of a report: at most [`AT_ONCE`] tools each, and about a mebibyte.
    pub fn parts(&self) -> impl Iterator<Item = &[Tool]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let mut bytes = 0;
            let most = rest.iter().take(AT_ONCE).take_while(|tool| {
                let is_first = bytes == 0;
                bytes += tool.size();
                is_first || bytes <= PART
            });
            let (part, left) = rest.split_at(most.count());
            rest = left;
            (!part.is_empty()).then_some(part)
        })
    }

    /// Tells one list reported to one place from another: hexadecimal. `place` is what else makes
    /// a report a new one: where it goes, and for whom.
    pub fn digest(&self, place: &[&str]) -> String {
        let text = serde_json::to_vec(&(place, &self.0)).unwrap_or_default();
        hex::encode(Sha256::digest(text))
    }
}

// === impl Tool ===

impl Tool {
    fn read(value: &Value) -> Option<Self> {
        let name = value.get("name")?.as_str()?;
        if name.is_empty() || name.len() > LONGEST_NAME {
            return None;
        }
        let description = value.get("description").and_then(Value::as_str).unwrap_or_default();
        let mut input_schema = value.get("inputSchema").cloned().unwrap_or(Value::Null);
        strip(&mut input_schema);
        if input_schema.to_string().len() > LONGEST_SCHEMA {
            input_schema = Value::Null;
        }
        Some(Self {
            name: name.to_owned(),
            description: cut(description, LONGEST_DESCRIPTION).to_owned(),
            input_schema,
        })
    }

    fn size(&self) -> usize {
        self.name.len() + self.description.len() + self.input_schema.to_string().len()
    }
}

/// The start of a text, of at most so many bytes.
fn cut(text: &str, longest: usize) -> &str {
    let ends = (0..=longest.min(text.len())).rev();
    ends.into_iter().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// Removes whatever holds a value from a schema and the schemas in it.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, _| !VALUES.contains(&name.as_str()));
            for (name, member) in members {
                match member.as_object_mut().filter(|_| NAMES.contains(&name.as_str())) {
                    Some(named) => named.values_mut().for_each(strip),
                    None => strip(member),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(result: &Value) -> Option<Tools> {
        Pages::default().add(result.to_string().as_bytes())
    }

    #[test]
    fn a_schema_goes_out_without_values() {
        let tools = listed(&json!({"tools": [{
            "name": "query",
            "title": "Query",
            "description": "é".repeat(3000),
            "inputSchema": {
                "type": "object",
                "properties": {
                    "default": {"type": "string", "default": "secret", "enum": ["a", "b"]},
                    "many": {"items": [{"const": 7}, {"anyOf": [{"examples": ["x"]}]}]},
                },
                "required": ["default"],
                "$defs": {"const": {"example": 1, "type": "null"}},
                "enum": [],
            },
            "outputSchema": {"default": 7},
        }]}))
        .unwrap();
        let sent = serde_json::to_value(&tools.0).unwrap();
        assert_eq!(
            sent[0]["input_schema"],
            json!({
                "type": "object",
                "properties": {
                    "default": {"type": "string"},
                    "many": {"items": [{}, {"anyOf": [{}]}]},
                },
                "required": ["default"],
                "$defs": {"const": {"type": "null"}},
            })
        );
        assert_eq!(sent[0]["description"].as_str().unwrap().len(), 4096);
        let members: Vec<_> = sent[0].as_object().unwrap().keys().collect();
        assert_eq!(members, ["description", "input_schema", "name"]);
    }

    #[test]
    fn a_list_goes_out_in_parts_of_a_hundred() {
        let tool = |n: usize| json!({"name": format!("t{n:03}"), "inputSchema": {}});
        let tools = listed(&json!({"tools": (0..250).map(tool).collect::<Vec<_>>()})).unwrap();
        assert_eq!(tools.parts().map(<[Tool]>::len).collect::<Vec<_>>(), [100, 100, 50]);
        let large = |n: usize| json!({"name": format!("t{n}"), "inputSchema": {"title": "x".repeat(60_000)}});
        let tools = listed(&json!({"tools": (0..40).map(large).collect::<Vec<_>>()})).unwrap();
        assert_eq!(tools.parts().map(<[Tool]>::len).collect::<Vec<_>>(), [17, 17, 6]);
        assert_eq!(listed(&json!({"tools": []})).unwrap().parts().count(), 0);
    }

    #[test]
    fn pages_are_one_list() {
        let mut pages = Pages::default();
        let mut add = |result: Value| pages.add(result.to_string().as_bytes());
        assert_eq!(add(json!({"tools": [{"name": "a"}], "nextCursor": "x"})), None);
        let whole = add(json!({"tools": [{"name": "b"}, {"name": "a"}]})).unwrap();
        assert_eq!(whole.0.len(), 2);
        let next = add(json!({"tools": [{"name": "c"}], "nextCursor": null})).unwrap();
        assert_eq!(next.0.len(), 1, "a list begins anew");
        assert!(!pages.is_begun());
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        for result in ["", "null", "[1,2", "{\"tools\":7}", "\"tools\""] {
            assert_eq!(Pages::default().add(result.as_bytes()), None, "{result}");
        }
        let odd = json!({"tools": [7, {}, {"name": 7}, {"name": ""}, {"name": "x".repeat(513)},
            {"name": "a", "description": 7, "inputSchema": "x".repeat(70_000)}]});
        let tools = listed(&odd).unwrap();
        assert_eq!(tools.0.len(), 1);
        assert_eq!(tools.0[0].input_schema, Value::Null);
    }

    #[test]
    fn a_change_shows_in_the_digest() {
        let list = |name: &str| listed(&json!({"tools": [{"name": name}]})).unwrap();
        assert_eq!(list("a").digest(&["x"]), list("a").digest(&["x"]));
        assert_ne!(list("a").digest(&["x"]), list("b").digest(&["x"]));
        assert_ne!(list("a").digest(&["x"]), list("a").digest(&["y"]));
    }
}
