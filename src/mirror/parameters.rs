//! Which arguments of which tool are said again in headers: `x-mcp-header` in the schemas of
//! `tools/list` (MCP 2026-07-28, transports/streamable-http §Custom Headers from Tool Parameters).
//!
//! A tool whose annotations break their rules is none that a client may offer: nothing is said of
//! its arguments.

use std::collections::{BTreeMap, BTreeSet};

use hyper::header::HeaderName;
use serde_json::{Map, Value};

use super::Listed;

/// The member of a parameter's schema that names its header.
const ANNOTATION: &str = "x-mcp-header";

/// Up to here every integer is a binary floating point number of its own; none that is said in a
/// header may be larger.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How many tools with such parameters are known at most.
const TOOLS: usize = 4096;

/// What is known of the tools' parameters.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<Box<str>, Vec<Parameter>>);

/// One argument that is said in a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Parameter {
    /// The names of the members that lead to it.
    path: Vec<Box<str>>,
    header: HeaderName,
}

/// What is wrong with an annotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// Its value cannot be part of a header's name.
    #[error("x-mcp-header is no name of a header")]
    Name,
    /// Two have the same value, or values that differ in case only.
    #[error("two parameters have the same x-mcp-header")]
    Repeated,
    /// What it annotates is no primitive value.
    #[error("x-mcp-header stands at a parameter that is no text, integer or boolean")]
    Type,
    /// What it annotates has no path of its own.
    #[error("x-mcp-header stands where no chain of properties leads")]
    Unreachable,
}

// === impl Parameters ===

impl Parameters {
    /// Learns from one page of a list. What it says of a tool goes before what was known of it.
    pub fn learn(&mut self, listed: &Listed) {
        for (tool, parameters) in listed.parameters() {
            match parameters {
                Ok(parameters)
                    if !parameters.is_empty()
                        && (self.0.len() < TOOLS || self.0.contains_key(tool)) =>
                {
                    self.0.insert(tool.into(), parameters.to_vec());
                }
                Ok(_) | Err(_) => {
                    self.0.remove(tool);
                }
            }
        }
    }

    /// The headers that belong to a call of this tool with these arguments, the text of an object,
    /// and what each has to say: `None` where it must not be there, since the argument is `null` or
    /// is not there.
    pub fn of_call(&self, tool: &str, arguments: &[u8]) -> Vec<(HeaderName, Option<Value>)> {
        let Some(parameters) = self.0.get(tool) else { return Vec::new() };
        let arguments: Value = serde_json::from_slice(arguments).unwrap_or_default();
        let found = |Parameter { path, header }: &Parameter| {
            let value = path.iter().try_fold(&arguments, |value, name| value.get(&**name));
            (header.clone(), value.filter(|value| !value.is_null()).cloned())
        };
        parameters.iter().map(found).collect()
    }

    /// The headers of a call of this tool with these arguments, and their values.
    pub fn values(&self, tool: &str, arguments: &[u8]) -> Vec<(HeaderName, String)> {
        let values = self.of_call(tool, arguments).into_iter();
        values.filter_map(|(header, value)| Some((header, text(&value?)?))).collect()
    }
}

/// Whether a header's text says this value: as it would be written, or as the same number.
pub fn fits(said: &str, value: &Value) -> bool {
    let number = || said.parse::<f64>().ok().filter(|number| number.abs() < EXACT);
    text(value).is_some_and(|text| text == said)
        || value.is_number() && number().is_some_and(|number| value.as_f64() == Some(number))
}

/// The parameters that a tool's schema annotates.
pub(super) fn annotated(schema: &Value) -> Result<Vec<Parameter>, Invalid> {
    let mut survey = Survey::default();
    survey.schema(schema, Some(&mut Vec::new()))?;
    Ok(survey.found)
}

/// Looks through one schema.
#[derive(Default)]
struct Survey {
    found: Vec<Parameter>,
    headers: BTreeSet<String>,
}

// === impl Survey ===

impl Survey {
    /// Looks through a schema that this path of properties leads to; `None` where none does.
    fn schema(&mut self, schema: &Value, path: Option<&mut Vec<Box<str>>>) -> Result<(), Invalid> {
        match schema {
            Value::Object(members) => self.members(members, path),
            Value::Array(schemas) => {
                schemas.iter().try_for_each(|schema| self.schema(schema, None))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn members(
        &mut self,
        members: &Map<String, Value>,
        mut path: Option<&mut Vec<Box<str>>>,
    ) -> Result<(), Invalid> {
        if let Some(name) = members.get(ANNOTATION) {
            let path = path.as_deref().filter(|path| !path.is_empty());
            self.annotated(name, members.get("type"), path)?;
        }
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                // Values, not schemas.
                (ANNOTATION | "const" | "default" | "enum" | "examples", _) => {}
                ("properties", Value::Object(properties)) => {
                    for (name, schema) in properties {
                        match path.as_deref_mut() {
                            Some(path) => {
                                path.push(name.as_str().into());
                                self.schema(schema, Some(path))?;
                                path.pop();
                            }
                            None => self.schema(schema, None)?,
                        }
                    }
                }
                // Schemas by names of their own.
                (
                    "$defs" | "definitions" | "dependentSchemas" | "patternProperties",
                    Value::Object(schemas),
                ) => {
                    for schema in schemas.values() {
                        self.schema(schema, None)?;
                    }
                }
                (_, value) => self.schema(value, None)?,
            }
        }
        Ok(())
    }

    fn annotated(
        &mut self,
        name: &Value,
        kind: Option<&Value>,
        path: Option<&Vec<Box<str>>>,
    ) -> Result<(), Invalid> {
        let name = name.as_str().filter(|name| !name.is_empty()).ok_or(Invalid::Name)?;
        let header =
            HeaderName::try_from(format!("mcp-param-{name}")).map_err(|_| Invalid::Name)?;
        let path = path.ok_or(Invalid::Unreachable)?;
        let is_primitive =
            |kind: &Value| matches!(kind.as_str(), Some("string" | "integer" | "boolean"));
        let is_fit = match kind {
            // One of them, or nothing.
            Some(Value::Array(kinds)) => {
                let mut others = kinds.iter().filter(|kind| *kind != "null");
                others.next().is_some_and(is_primitive) && others.next().is_none()
            }
            Some(kind) => is_primitive(kind),
            None => false,
        };
        if !is_fit {
            return Err(Invalid::Type);
        }
        if !self.headers.insert(name.to_ascii_lowercase()) {
            return Err(Invalid::Repeated);
        }
        self.found.push(Parameter { path: path.clone(), header });
        Ok(())
    }
}

/// A value as a header says it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < EXACT => {
                format!("{value:.0}")
            }
            _ => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(properties: &Value) -> Value {
        json!({"type": "object", "properties": properties})
    }

    fn survey(input: &Value) -> Result<Vec<String>, Invalid> {
        let found = annotated(input)?;
        Ok(found.iter().map(|one| format!("{}={}", one.path.join("."), one.header)).collect())
    }

    #[test]
    fn which_annotations_count() {
        let text = |name: &str| json!({"type": "string", "x-mcp-header": name});
        let table = [
            (schema(&json!({"a": text("Region")})), Ok(vec!["a=mcp-param-region"])),
            (schema(&json!({"a": schema(&json!({"b": text("B")}))})), Ok(vec!["a.b=mcp-param-b"])),
            (
                schema(&json!({"a": {"type": "integer", "x-mcp-header": "N"}})),
                Ok(vec!["a=mcp-param-n"]),
            ),
            (
                schema(&json!({"a": {"type": "boolean", "x-mcp-header": "N"}})),
                Ok(vec!["a=mcp-param-n"]),
            ),
            (
                schema(&json!({"a": {"type": ["null", "string"], "x-mcp-header": "N"}})),
                Ok(vec!["a=mcp-param-n"]),
            ),
            (schema(&json!({"x-mcp-header": {"type": "string"}})), Ok(vec![])),
            (schema(&json!({"a": {"type": "string", "default": {"x-mcp-header": 1}}})), Ok(vec![])),
            (json!({"$defs": {"x-mcp-header": {"type": "string"}}}), Ok(vec![])),
            (json!(true), Ok(vec![])),
            (schema(&json!({"a": text("")})), Err(Invalid::Name)),
            (schema(&json!({"a": text("a b")})), Err(Invalid::Name)),
            (schema(&json!({"a": text("a\r\nb")})), Err(Invalid::Name)),
            (schema(&json!({"a": text("a:b")})), Err(Invalid::Name)),
            (schema(&json!({"a": {"type": "string", "x-mcp-header": 7}})), Err(Invalid::Name)),
            (schema(&json!({"a": text("X"), "b": text("x")})), Err(Invalid::Repeated)),
            (schema(&json!({"a": {"type": "number", "x-mcp-header": "N"}})), Err(Invalid::Type)),
            (schema(&json!({"a": {"type": "object", "x-mcp-header": "N"}})), Err(Invalid::Type)),
            (
                schema(&json!({"a": {"type": ["integer", "string"], "x-mcp-header": "N"}})),
                Err(Invalid::Type),
            ),
            (schema(&json!({"a": {"x-mcp-header": "N"}})), Err(Invalid::Type)),
            (
                schema(&json!({"a": {"type": "array", "items": text("N")}})),
                Err(Invalid::Unreachable),
            ),
            (json!({"anyOf": [schema(&json!({"a": text("N")}))]}), Err(Invalid::Unreachable)),
            (json!({"if": schema(&json!({"a": text("N")}))}), Err(Invalid::Unreachable)),
            (json!({"$defs": {"a": text("N")}}), Err(Invalid::Unreachable)),
            (json!({"type": "string", "x-mcp-header": "N"}), Err(Invalid::Unreachable)),
        ];
        for (input, expected) in table {
            let expected =
                expected.map(|found: Vec<&str>| found.iter().map(ToString::to_string).collect());
            assert_eq!(survey(&input), expected, "{input}");
        }
    }

    #[test]
    fn values_are_said_as_text_and_what_is_null_or_missing_is_not() {
        let annotated = |kind: &str, name: &str| json!({"type": kind, "x-mcp-header": name});
        let properties = json!({
            "text": annotated("string", "T"), "number": annotated("integer", "N"), "flag": annotated("boolean", "F"),
            "nothing": annotated("string", "Z"), "missing": annotated("string", "M"), "list": annotated("string", "L"),
            "deep": schema(&json!({"er": annotated("string", "D")})), "whole": annotated("integer", "W"),
        });
        let list =
            json!({"tools": [{"name": "t", "inputSchema": schema(&properties)}]}).to_string();
        let mut parameters = Parameters::default();
        parameters.learn(&Listed::read(list.as_bytes()).unwrap());
        let arguments = br#"{"text":"\u00e9","number":-7,"flag":false,"nothing":null,"list":["a"],"deep":{"er":"x"},"whole":42.0}"#;
        let mut found: Vec<_> = parameters
            .values("t", arguments)
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        found.sort();
        let expected = [
            "mcp-param-d: x",
            "mcp-param-f: false",
            "mcp-param-n: -7",
            "mcp-param-t: é",
            "mcp-param-w: 42",
        ];
        assert_eq!(found, expected);
        assert!(parameters.values("other", arguments).is_empty());

        let changed =
            json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}).to_string();
        parameters.learn(&Listed::read(changed.as_bytes()).unwrap());
        assert!(parameters.values("t", arguments).is_empty(), "a newer list counts");
    }

    #[test]
    fn what_is_known_can_change_where_there_is_no_room_for_more() {
        let tool = |name: usize, header: &str| {
            let properties = json!({"a": {"type": "string", "x-mcp-header": header}});
            json!({"name": name.to_string(), "inputSchema": schema(&properties)})
        };
        let listed = |tools: Vec<Value>| {
            Listed::read(json!({"tools": tools}).to_string().as_bytes()).unwrap()
        };
        let mut parameters = Parameters::default();
        parameters.learn(&listed((0..=TOOLS).map(|name| tool(name, "Old")).collect()));
        parameters.learn(&listed(vec![tool(7, "New"), tool(TOOLS, "New")]));
        let values = |name: usize| parameters.values(&name.to_string(), br#"{"a":"x"}"#);
        assert_eq!(values(7)[0].0, "mcp-param-new");
        assert!(values(TOOLS).is_empty() && parameters.0.len() == TOOLS);
    }

    #[test]
    fn a_header_says_a_text_as_it_is_and_a_number_by_its_value() {
        for (said, value, fitting) in [
            ("eu", json!("eu"), true),
            ("EU", json!("eu"), false),
            ("", json!(""), true),
            ("42", json!(42), true),
            ("42.0", json!(42), true),
            ("4.2e1", json!(42), true),
            ("42", json!(42.0), true),
            ("43", json!(42), false),
            ("9007199254740993", json!(9_007_199_254_740_993_u64), true),
            ("9007199254740992", json!(9_007_199_254_740_993_u64), false),
            ("42", json!("42.0"), false),
            ("inf", json!(1e308), false),
            ("x", json!(1), false),
            ("true", json!(true), true),
            ("True", json!(true), false),
            ("null", json!(null), false),
            ("{}", json!({}), false),
            ("[]", json!([]), false),
        ] {
            assert_eq!(fits(said, &value), fitting, "{said} {value}");
        }
    }
}
