//! What the server says about its tools, as far as rules may look at it.
//!
//! Annotations are claims of the server about itself. They are kept by tool name from every answer
//! to `tools/list` that passes by, whichever page it is; nothing is added or hidden here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// How many tools are remembered; of further ones, no annotations are known.
const MOST: usize = 4096;

/// The longest annotations that are remembered, in bytes. Real ones have fewer than 300.
const LONGEST: usize = 4096;

/// The annotations of the tools listed so far.
#[derive(Debug, Default)]
pub struct Tools {
    annotations: BTreeMap<Box<str>, Box<str>>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    name: String,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
}

// === impl Tools ===

impl Tools {
    /// Takes in the result of one `tools/list`. What cannot be read is passed over: a tool whose
    /// annotations are unknown is judged without them.
    pub fn listed(&mut self, result: &[u8]) {
        let Ok(page) = serde_json::from_slice::<Page<'_>>(result) else {
            return;
        };
        for tool in page.tools {
            let Ok(tool) = serde_json::from_str::<Tool<'_>>(tool.get()) else {
                continue;
            };
            let known = self.annotations.contains_key(tool.name.as_str());
            match tool.annotations {
                Some(text)
                    if text.get().len() <= LONGEST && (known || self.annotations.len() < MOST) =>
                {
                    self.annotations.insert(tool.name.into(), text.get().into());
                }
                // A tool that is listed anew without annotations has none any more.
                _ => {
                    self.annotations.remove(tool.name.as_str());
                }
            }
        }
    }

    /// The text of a tool's annotations.
    pub fn annotations(&self, tool: &str) -> Option<&str> {
        self.annotations.get(tool).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_known_once_a_tool_was_listed() {
        let mut tools = Tools::default();
        tools.listed(
            br#"{"tools":[{"name":"a","annotations":{"readOnlyHint":true}},{"name":"b"}]}"#,
        );
        tools.listed(
            br#"{"tools":[{"name":"c","annotations":{"destructiveHint":true}}],"nextCursor":"x"}"#,
        );
        assert_eq!(tools.annotations("a"), Some(r#"{"readOnlyHint":true}"#));
        assert_eq!(tools.annotations("b"), None);
        assert_eq!(tools.annotations("c"), Some(r#"{"destructiveHint":true}"#));

        tools.listed(br#"{"tools":[{"name":"a"}]}"#);
        assert_eq!(tools.annotations("a"), None);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let mut tools = Tools::default();
        for result in [&b""[..], b"null", b"{}", b"{\"tools\":7}", b"{\"tools\":[7,{\"name\":7}]}"]
        {
            tools.listed(result);
        }
        tools.listed(br#"{"tools":[{"annotations":{}},{"name":"a","annotations":{}}]}"#);
        assert_eq!(tools.annotations("a"), Some("{}"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut tools = Tools::default();
        for page in 0..100 {
            let entries: Vec<_> = (0..100)
                .map(|n| {
                    format!(r#"{{"name":"t{page}-{n}","annotations":{{"x":"{}"}}}}"#, "y".repeat(n))
                })
                .collect();
            tools.listed(format!(r#"{{"tools":[{}]}}"#, entries.join(",")).as_bytes());
        }
        assert_eq!(tools.annotations.len(), MOST);
        tools.listed(
            format!(
                r#"{{"tools":[{{"name":"t0-0","annotations":{{"x":"{}"}}}}]}}"#,
                "y".repeat(LONGEST)
            )
            .as_bytes(),
        );
        assert_eq!(tools.annotations("t0-0"), None);
    }
}
