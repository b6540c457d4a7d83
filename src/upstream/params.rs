//! Which arguments of which tool are said again in headers: `x-mcp-header` in the schemas of
//! `tools/list` (MCP 2026-07-28, transports/streamable-http §Custom Headers from Tool Parameters).
//!
//! Pure. A tool whose schema breaks the rules is not shown to the client, as the protocol demands
//! of clients; the others are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hyper::header::HeaderName;
use serde_json::{Map, Value};

use crate::gate::json::{Kind, Lenient, Reader};

/// The member of a parameter's schema that names its header.
const ANNOTATION: &str = "x-mcp-header";

/// How many tools with such parameters are known at most.
const TOOLS: usize = 4096;

/// What is known of the tools' parameters.
#[derive(Debug, Default)]
pub(super) struct Parameters(BTreeMap<Box<str>, Vec<Parameter>>);

/// One argument that is said in a header.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Parameter {
    /// The names of the members that lead to it.
    path: Vec<Box<str>>,
    header: HeaderName,
}

/// One result of `tools/list`.
#[derive(Debug)]
pub(super) struct Listed {
    tools: Vec<Tool>,
    /// Where the array of tools stands in the result.
    at: Range<usize>,
    /// The text of the cursor of the next page, with its quotes.
    pub(super) next: Option<Box<str>>,
}

#[derive(Debug)]
struct Tool {
    name: Box<str>,
    at: Range<usize>,
    parameters: Result<Vec<Parameter>, Invalid>,
}

/// What is wrong with an annotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum Invalid {
    #[error("x-mcp-header is no name of a header")]
    Name,
    #[error("two parameters have the same x-mcp-header")]
    Repeated,
    #[error("x-mcp-header stands at a parameter that is no text, integer or boolean")]
    Type,
    #[error("x-mcp-header stands where no chain of properties leads")]
    Unreachable,
}

// === impl Listed ===

impl Listed {
    /// Reads a result. `None` where it lists no tools.
    pub(super) fn read(result: &[u8]) -> Option<Self> {
        let (mut tools, mut at, mut next) = (Vec::new(), None, None);
        let mut reader = Reader::<Lenient>::new(result);
        reader
            .object(|reader, name| {
                match name {
                    "tools" if follows(result, reader, b'[') => {
                        at = Some(reader.array(|reader| {
                            let element = reader.value(3)?;
                            tools.push(Tool::read(result, element.range));
                            Ok(())
                        })?);
                    }
                    "nextCursor" => {
                        let value = reader.value(2)?;
                        let text = str::from_utf8(&result[value.range]).ok();
                        next = text.filter(|_| value.kind == Kind::Text).map(Into::into);
                    }
                    _ => {
                        reader.value(2)?;
                    }
                }
                Ok(())
            })
            .ok()?;
        Some(Self { tools, at: at?, next })
    }

    /// The text of each tool.
    pub(super) fn texts<'a>(&self, result: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.tools.iter().map(|tool| &result[tool.at.clone()])
    }

    /// Where the array stands in the result, and what stands there without the tools that break
    /// the rules; `None` where none does.
    pub(super) fn without_invalid(&self, result: &[u8]) -> Option<(Range<usize>, Vec<u8>)> {
        if self.tools.iter().all(|tool| tool.parameters.is_ok()) {
            return None;
        }
        let mut array = vec![b'['];
        for tool in &self.tools {
            if let Err(why) = &tool.parameters {
                tracing::warn!(tool = &*tool.name, %why, "a tool of the server is not shown");
                continue;
            }
            if array.len() > 1 {
                array.push(b',');
            }
            array.extend_from_slice(&result[tool.at.clone()]);
        }
        array.push(b']');
        Some((self.at.clone(), array))
    }
}

// === impl Tool ===

impl Tool {
    fn read(result: &[u8], at: Range<usize>) -> Self {
        let tool: Value = serde_json::from_slice(&result[at.clone()]).unwrap_or_default();
        let name = tool["name"].as_str().unwrap_or_default().into();
        let mut survey = Survey::default();
        let parameters = survey.schema(&tool["inputSchema"], Some(&mut Vec::new()));
        Self { name, at, parameters: parameters.map(|()| survey.found) }
    }
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

// === impl Parameters ===

impl Parameters {
    /// Learns from one page of a list.
    pub(super) fn learn(&mut self, listed: &Listed) {
        for tool in &listed.tools {
            match &tool.parameters {
                Ok(parameters) if !parameters.is_empty() && self.0.len() < TOOLS => {
                    self.0.insert(tool.name.clone(), parameters.clone());
                }
                Ok(_) | Err(_) => {
                    self.0.remove(&tool.name);
                }
            }
        }
    }

    /// The headers for a call of this tool with these arguments, and their values. What is `null`
    /// or not there has none.
    pub(super) fn values(&self, tool: &str, arguments: &[u8]) -> Vec<(HeaderName, String)> {
        let Some(parameters) = self.0.get(tool) else { return Vec::new() };
        let Ok(arguments) = serde_json::from_slice::<Value>(arguments) else { return Vec::new() };
        let value = |parameter: &Parameter| {
            let mut value = &arguments;
            for name in &parameter.path {
                value = value.get(&**name)?;
            }
            Some((parameter.header.clone(), text(value)?))
        };
        parameters.iter().filter_map(value).collect()
    }
}

/// A value as a header says it.
fn text(value: &Value) -> Option<String> {
    /// Up to here every integer is a binary floating point number of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;

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

/// Whether a value follows that begins so. Blanks were not read yet.
fn follows(text: &[u8], reader: &Reader<'_, Lenient>, first: u8) -> bool {
    text[reader.position()..].trim_ascii_start().first() == Some(&first)
}

/// The members of a message's `_meta` that say who asks and how, as the text of an object: for a
/// request of thoth's own beside it.
pub(super) fn introduction(meta: &[u8]) -> String {
    let mut members = Vec::new();
    let mut reader = Reader::<Lenient>::new(meta);
    let _ = reader.object(|reader, name| {
        let value = reader.value(2)?;
        let says_who = matches!(
            name.strip_prefix("io.modelcontextprotocol/"),
            Some("protocolVersion" | "clientInfo" | "clientCapabilities")
        );
        if says_who && let Ok(text) = str::from_utf8(&meta[value.range]) {
            members.push(format!("\"{name}\":{text}"));
        }
        Ok(())
    });
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(properties: &Value) -> Value {
        json!({"type": "object", "properties": properties})
    }

    fn survey(input: &Value) -> Result<Vec<String>, Invalid> {
        let tool = json!({"name": "t", "inputSchema": input}).to_string();
        let listed = format!("{{\"tools\":[{tool}]}}");
        let mut listed = Listed::read(listed.as_bytes()).unwrap();
        let parameters = listed.tools.remove(0).parameters?;
        Ok(parameters.iter().map(|one| format!("{}={}", one.path.join("."), one.header)).collect())
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
    fn only_invalid_tools_are_left_out_and_no_other_byte_changes() {
        let result = br#"{ "tools" : [ {"name":"a" , "n":1.0}, {"name":"b","inputSchema":{"x-mcp-header":"X"}},{"name":"c"}],"nextCursor":"\u0041" }"#;
        let listed = Listed::read(result).unwrap();
        let (at, array) = listed.without_invalid(result).unwrap();
        assert_eq!(&result[at.end..], br#","nextCursor":"\u0041" }"#);
        assert_eq!(array, br#"[{"name":"a" , "n":1.0},{"name":"c"}]"#);
        assert_eq!(listed.next.as_deref(), Some(r#""\u0041""#));
        assert!(Listed::read(&array).is_none() && Listed::read(b"{}").is_none());
        assert!(
            Listed::read(br#"{"tools":[{"name":"a"}]}"#).unwrap().without_invalid(b"").is_none()
        );
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
    fn an_introduction_has_no_token_for_progress() {
        let meta = br#"{"progressToken":7,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/clientCapabilities":{"a":{}}}"#;
        let expected = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"a":{}}}"#;
        assert_eq!(introduction(meta), expected);
    }
}
