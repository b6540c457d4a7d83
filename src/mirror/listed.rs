//! One page of a server's tools, read as far as headers need it.

use std::ops::Range;

use serde_json::Value;

use super::parameters::{self, Invalid, Parameter};
use crate::gate::json::{Kind, Lenient, Reader};

/// One result of `tools/list`.
#[derive(Debug)]
pub struct Listed {
    tools: Vec<Tool>,
    /// Where the array of tools stands in the result.
    at: Range<usize>,
    next: Option<Box<str>>,
}

#[derive(Debug)]
struct Tool {
    name: Box<str>,
    at: Range<usize>,
    parameters: Result<Vec<Parameter>, Invalid>,
}

// === impl Listed ===

impl Listed {
    /// Reads a result. `None` where it lists no tools.
    pub fn read(result: &[u8]) -> Option<Self> {
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
    pub fn texts<'a>(&self, result: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.tools.iter().map(|tool| &result[tool.at.clone()])
    }

    /// The tools that break the rules, and how.
    pub fn invalid(&self) -> impl Iterator<Item = (&str, Invalid)> {
        self.parameters().filter_map(|(tool, parameters)| Some((tool, parameters.err()?)))
    }

    /// Each tool's name, and what its schema annotates.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, Result<&[Parameter], Invalid>)> {
        self.tools.iter().map(|tool| {
            let parameters = tool.parameters.as_ref().map(Vec::as_slice).map_err(|why| *why);
            (&*tool.name, parameters)
        })
    }

    /// The text of the cursor of the next page, with its quotes.
    pub fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Where the array stands in the result, and what stands there without the tools that break
    /// the rules; `None` where none does.
    pub fn without_invalid(&self, result: &[u8]) -> Option<(Range<usize>, Vec<u8>)> {
        if self.tools.iter().all(|tool| tool.parameters.is_ok()) {
            return None;
        }
        let mut array = vec![b'['];
        for tool in &self.tools {
            if tool.parameters.is_err() {
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
        Self { name, at, parameters: parameters::annotated(&tool["inputSchema"]) }
    }
}

/// Whether a value follows that begins so. Blanks were not read yet.
fn follows(text: &[u8], reader: &Reader<'_, Lenient>, first: u8) -> bool {
    text[reader.position()..].trim_ascii_start().first() == Some(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invalid_tools_are_left_out_and_no_other_byte_changes() {
        let result = br#"{ "tools" : [ {"name":"a" , "n":1.0}, {"name":"b","inputSchema":{"x-mcp-header":"X"}},{"name":"c"}],"nextCursor":"\u0041" }"#;
        let listed = Listed::read(result).unwrap();
        let (at, array) = listed.without_invalid(result).unwrap();
        assert_eq!(&result[at.end..], br#","nextCursor":"\u0041" }"#);
        assert_eq!(array, br#"[{"name":"a" , "n":1.0},{"name":"c"}]"#);
        assert_eq!(listed.next(), Some(r#""\u0041""#));
        assert_eq!(listed.invalid().collect::<Vec<_>>(), [("b", Invalid::Unreachable)]);
        assert!(Listed::read(&array).is_none() && Listed::read(b"{}").is_none());
        assert!(
            Listed::read(br#"{"tools":[{"name":"a"}]}"#).unwrap().without_invalid(b"").is_none()
        );
    }
}
