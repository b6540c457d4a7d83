//! Which arguments of which tool are told in headers (`x-mcp-header`, MCP 2026-07-28), as far as the
//! answers to `tools/list` that passed by have said.
//!
//! A tool whose annotations break the protocol's rules for them is one that no client may offer: its
//! headers are not looked at, nor are those of a tool that was never listed.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, HeaderName};

use super::headers::{Mismatch, encoded};
use super::members::{self, Value};
use crate::gate::json::{self, Kind, Lenient, Strict};

/// How many tools are remembered.
const TOOLS: usize = 4096;

/// How deep annotations are looked for.
const DEPTH: usize = 32;

/// What is known of each tool.
#[derive(Debug, Default)]
pub(super) struct Parameters(BTreeMap<String, Vec<Parameter>>);

/// One argument that is told in a header.
#[derive(Clone, Debug, PartialEq)]
struct Parameter {
    /// The header's name, in lower case.
    header: String,
    /// The names of the members that lead to it.
    path: Vec<String>,
}

/// Annotations that break their rules.
#[derive(Debug)]
struct Unruly;

// === impl Parameters ===

impl Parameters {
    /// Learns from an answer to `tools/list`.
    pub(super) fn learn(&mut self, answer: &[u8]) {
        members::each::<Lenient>(answer, |name, result| {
            if name == "result" {
                members::each::<Lenient>(result.text, |name, tools| {
                    if name == "tools" {
                        members::elements::<Lenient>(tools.text, |tool| self.learn_tool(tool));
                    }
                });
            }
        });
    }

    fn learn_tool(&mut self, tool: Value<'_>) {
        let (mut name, mut found) = (None, Ok(Vec::new()));
        members::each::<Lenient>(tool.text, |member, value| match member {
            "name" => name = value.string(),
            "inputSchema" => found = annotations(value.text),
            _ => {}
        });
        let Some(name) = name else { return };
        match found {
            Ok(parameters) if !parameters.is_empty() => {
                if self.0.len() < TOOLS || self.0.contains_key(&name) {
                    self.0.insert(name, parameters);
                }
            }
            Ok(_) | Err(Unruly) => {
                self.0.remove(&name);
            }
        }
    }

    /// Holds the headers of a call against its arguments.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        tool: &str,
        arguments: &[u8],
    ) -> Result<(), Mismatch> {
        for Parameter { header, path } in self.0.get(tool).into_iter().flatten() {
            match find(arguments, path).filter(|value| value.text != b"null") {
                Some(value) => encoded(headers, header.clone().into(), |said| fits(said, value))?,
                None if headers.contains_key(header) => {
                    return Err(Mismatch::Differs(header.clone().into()));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// The annotations of a schema.
fn annotations(schema: &[u8]) -> Result<Vec<Parameter>, Unruly> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    let mut names: Vec<_> = found.iter().map(|parameter| &parameter.header).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) { Err(Unruly) } else { Ok(found) }
}

/// Goes through `properties` of `properties`: an annotation anywhere else counts for nothing.
fn collect(
    schema: &[u8],
    path: &mut Vec<String>,
    found: &mut Vec<Parameter>,
) -> Result<(), Unruly> {
    if path.len() > DEPTH {
        return Err(Unruly);
    }
    let (mut annotation, mut kind, mut inner) = (None, None, Ok(()));
    members::each::<Lenient>(schema, |name, value| match name {
        "x-mcp-header" => annotation = Some(value.string()),
        "type" => kind = value.string(),
        "properties" => members::each::<Lenient>(value.text, |name, value| {
            path.push(name.to_owned());
            if inner.is_ok() {
                inner = collect(value.text, path, found);
            }
            path.pop();
        }),
        _ => {}
    });
    inner?;
    let Some(name) = annotation else { return Ok(()) };
    let is_primitive = matches!(kind.as_deref(), Some("string" | "integer" | "boolean"));
    let header = name.and_then(|name| header(&name)).filter(|_| is_primitive && !path.is_empty());
    found.push(Parameter { header: header.ok_or(Unruly)?, path: path.clone() });
    Ok(())
}

/// The header of an annotation; `None` where its name cannot be part of one.
fn header(name: &str) -> Option<String> {
    let header = format!("mcp-param-{}", name.to_ascii_lowercase());
    (!name.is_empty() && HeaderName::try_from(&header).is_ok()).then_some(header)
}

fn find<'a>(arguments: &'a [u8], path: &[String]) -> Option<Value<'a>> {
    let mut here = Value { kind: Kind::Object, text: arguments };
    for step in path {
        let mut next = None;
        members::each::<Strict>(here.text, |name, value| {
            if name == step {
                next = Some(value);
            }
        });
        here = next?;
    }
    Some(here)
}

/// Whether a header says this value: text as it is, numbers by their value.
fn fits(said: &str, value: Value<'_>) -> bool {
    let text = || std::str::from_utf8(value.text).unwrap_or_default();
    match value.kind {
        Kind::Text => said == json::unescape(value.text),
        Kind::Number => {
            let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
            said == text() || number(said).is_some_and(|said| Some(said) == number(text()))
        }
        Kind::Literal => said == text(),
        Kind::Array | Kind::Object => false,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn parameters(properties: &str) -> Parameters {
        let mut parameters = Parameters::default();
        let tool = format!(
            r#"{{"name":"send","inputSchema":{{"type":"object","properties":{properties}}}}}"#
        );
        parameters.learn(format!(r#"{{"id":1,"result":{{"tools":[{{}},{tool}]}}}}"#).as_bytes());
        parameters
    }

    const GOOD: &str = r#"{"region":{"type":"string","x-mcp-header":"Region"},
        "deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"},
        "sure":{"type":"boolean","x-mcp-header":"Sure"}}},"other":{"type":"string"}}"#;

    fn checked(arguments: &str, headers: &[(&'static str, &str)]) -> Result<(), String> {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let checked = parameters(GOOD).check(&map, "send", arguments.as_bytes());
        checked.map_err(|mismatch| mismatch.to_string())
    }

    #[test]
    fn arguments_are_held_against_their_headers() {
        let region = ("mcp-param-region", "eu");
        for (arguments, headers, said) in [
            ("{}", &[][..], Ok(())),
            (r#"{"region":null,"other":"x"}"#, &[], Ok(())),
            (r#"{"region":"eu"}"#, &[region], Ok(())),
            (r#"{"region":"\u0065u"}"#, &[region], Ok(())),
            (r#"{"region":"eu"}"#, &[("mcp-param-region", "=?base64?ZXU=?=")], Ok(())),
            (r#"{"deep":{"count":42}}"#, &[("mcp-param-count", "42.0")], Ok(())),
            (r#"{"deep":{"sure":true}}"#, &[("mcp-param-sure", "true")], Ok(())),
            (r#"{"region":"eu"}"#, &[], Err("must be there")),
            (r#"{"region":"eu"}"#, &[region, region], Err("must be there, once")),
            (r#"{"region":"us"}"#, &[region], Err("does not say")),
            (
                r#"{"region":"eu"}"#,
                &[("mcp-param-region", "=?base64?ZXU?=")],
                Err("cannot be read"),
            ),
            (
                r#"{"region":"eu"}"#,
                &[("mcp-param-region", "=?base64?Z!U=?=")],
                Err("cannot be read"),
            ),
            ("{}", &[region], Err("does not say")),
            (r#"{"deep":{"count":42}}"#, &[("mcp-param-count", "43")], Err("does not say")),
            (r#"{"deep":{"sure":true}}"#, &[("mcp-param-sure", "True")], Err("does not say")),
            (r#"{"region":{"a":1}}"#, &[("mcp-param-region", "{\"a\":1}")], Err("does not say")),
        ] {
            match (checked(arguments, headers), said) {
                (Err(why), Err(part)) => assert!(why.contains(part), "{arguments}: {why}"),
                (got, said) => assert_eq!(got, said.map_err(str::to_owned), "{arguments}"),
            }
        }
    }

    #[test]
    fn a_tool_whose_annotations_break_the_rules_is_not_held_to_them() {
        for properties in [
            r#"{"a":{"type":"string","x-mcp-header":""}}"#,
            r#"{"a":{"type":"string","x-mcp-header":"a b"}}"#,
            r#"{"a":{"type":"string","x-mcp-header":7}}"#,
            r#"{"a":{"type":"number","x-mcp-header":"A"}}"#,
            r#"{"a":{"type":"object","x-mcp-header":"A"}}"#,
            r#"{"a":{"x-mcp-header":"A"}}"#,
            r#"{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#,
        ] {
            let mut known = parameters(GOOD);
            assert_eq!(known.0["send"].len(), 3);
            let tool = format!(r#"{{"name":"send","inputSchema":{{"properties":{properties}}}}}"#);
            known.learn(format!(r#"{{"result":{{"tools":[{tool}]}}}}"#).as_bytes());
            assert!(known.0.is_empty(), "{properties}");
        }
    }
}
