//! A call that is made again with answers to what was asked back (MCP 2026-07-28,
//! basic/patterns/mrtr): `requestState` and `inputResponses`.
//!
//! Both are the client's to send, so they prove nothing by themselves.
//!
//! # Invariants
//!
//! - What is taken out of a call leaves every other byte as it was, but for one comma.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;

use super::super::json::{self, Reader, Strict};
use super::super::token::Digest;
use super::super::token::FAMILY;
use super::Call;
use super::client::{self, Message};

/// What cannot be taken out of a call without doubt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("what thoth had asked cannot be taken out of the call")]
pub struct NotTaken;

impl Call {
    /// Whether it may be a call that was made before.
    pub fn is_retry(&self) -> bool {
        self.state.is_some() || self.responses.is_some()
    }

    /// The text of `requestState`.
    pub fn request_state(&self) -> Option<Cow<'_, str>> {
        self.state.clone().map(|range| json::unescape(&self.line.as_bytes()[range]))
    }

    /// The answers that are given under names of thoth's family, this sidecar's or another's: their
    /// names, and the texts of their values.
    pub fn answers_of_the_family(&self) -> Vec<(String, Bytes)> {
        let mut found = Vec::new();
        self.each_response(|name, range| {
            if name.starts_with(FAMILY) {
                found.push((name.to_owned(), self.line.slice(range)));
            }
        });
        found
    }

    /// The same call without its `requestState`.
    ///
    /// # Errors
    ///
    /// [`NotTaken`], where there is none.
    pub fn without_state(&self) -> Result<Self, NotTaken> {
        self.without(self.state.as_ref().ok_or(NotTaken)?)
    }

    /// The same call without the answer under this name, and without `inputResponses` where nothing
    /// else is in there.
    ///
    /// # Errors
    ///
    /// [`NotTaken`], where there is none.
    pub fn without_answer(&self, name: &str) -> Result<Self, NotTaken> {
        let (mut all, mut found) = (0, None);
        self.each_response(|other, range| {
            all += 1;
            if other == name {
                found = Some(range);
            }
        });
        let found = found.ok_or(NotTaken)?;
        match &self.responses {
            Some(responses) if all == 1 => self.without(responses),
            Some(_) | None => self.without(&found),
        }
    }

    /// What it is known by among calls: its tool, and its arguments in one spelling.
    pub fn digest(&self) -> Digest {
        digest(self.tool(), &self.arguments())
    }

    fn each_response(&self, mut each: impl FnMut(&str, Range<usize>)) {
        let Some(responses) = self.responses.clone() else { return };
        let start = responses.start;
        let text = &self.line.as_bytes()[responses];
        // Read strictly before, so no fault is found.
        let _ = Reader::<Strict>::new(text).object(|reader, name| {
            let range = reader.value(3)?.range;
            each(name, start + range.start..start + range.end);
            Ok(())
        });
    }

    /// The same call without the member whose value stands here. It is read again, since everything
    /// behind it has moved.
    fn without(&self, value: &Range<usize>) -> Result<Self, NotTaken> {
        let member = member(self.line.as_bytes(), value).ok_or(NotTaken)?;
        match client::read(self.line.replaced(member, [b""; 3])) {
            Ok(Message::Call(call)) if call.tool == self.tool && call.id == self.id => Ok(*call),
            Ok(_) | Err(_) => Err(NotTaken),
        }
    }
}

/// What a call with this tool and these arguments is known by.
pub fn digest(tool: &str, arguments: &[u8]) -> Digest {
    // Arguments were read strictly before they get here; were they not, they are compared as spelled.
    let spelled = json::canonical(arguments).unwrap_or_else(|_| arguments.to_vec());
    Digest::of([tool.as_bytes(), &spelled])
}

/// Whether the text of a result asks back (`resultType: "input_required"`), and its `requestState`.
pub fn asked_back(result: &[u8]) -> Option<Option<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct AskedBack<'a> {
        #[serde(borrow)]
        result_type: Cow<'a, str>,
        request_state: Option<String>,
    }
    let is_object = result.first() == Some(&b'{');
    let AskedBack { result_type, request_state } =
        is_object.then(|| serde_json::from_slice(result).ok()).flatten()?;
    (result_type == "input_required").then_some(request_state)
}

/// Where the member stands whose value stands here, with one of the commas around it. Its name holds
/// no quote.
fn member(text: &[u8], value: &Range<usize>) -> Option<Range<usize>> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let colon = text[..value.start].iter().rposition(|byte| !is_blank(byte))?;
    let end_quote = text[..colon].iter().rposition(|byte| *byte == b'"')?;
    let start = text[..end_quote].iter().rposition(|byte| *byte == b'"')?;
    let next = value.end + text[value.end..].iter().position(|byte| !is_blank(byte))?;
    if text[next] == b',' {
        return Some(start..next + 1);
    }
    let last = text[..start].iter().rposition(|byte| !is_blank(byte))?;
    Some(if text[last] == b',' { last..value.end } else { start..value.end })
}

#[cfg(test)]
mod tests {
    use super::super::super::framing::Line;
    use super::super::Outbound;
    use super::*;

    fn call(params: &str) -> Call {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        match client::read(Line::of_message(&text)) {
            Ok(Message::Call(call)) => *call,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn params(call: Call) -> String {
        let Outbound(line) = Outbound(call.line.into_wire());
        let text = std::str::from_utf8(&line).unwrap();
        let rest = text.split_once(r#""params":"#).unwrap().1;
        rest.trim_end().strip_suffix('}').unwrap().to_owned()
    }

    #[test]
    fn what_is_taken_out_leaves_every_other_byte() {
        const OURS: &str = "thoth-ask-1-aa";
        for (before, after) in [
            (r#"{"name":"t","requestState":"s"}"#, r#"{"name":"t"}"#),
            (r#"{"requestState":"s","name":"t"}"#, r#"{"name":"t"}"#),
            (r#"{"name":"t" , "requestState" : "s" , "x":1.50}"#, r#"{"name":"t" ,  "x":1.50}"#),
            (r#"{"name":"t", "r\u0065questState":"s\"," }"#, r#"{"name":"t" }"#),
            (
                r#"{"name":"t","arguments":{"requestState":"s"},"requestState":"s"}"#,
                r#"{"name":"t","arguments":{"requestState":"s"}}"#,
            ),
            (r#"{"name":"t","inputResponses":{"thoth-ask-1-aa":{"a":1}}}"#, r#"{"name":"t"}"#),
            (
                r#"{"inputResponses":{"thoth-ask-1-aa":{"a":1},"b":{"c":1}},"name":"t"}"#,
                r#"{"inputResponses":{"b":{"c":1}},"name":"t"}"#,
            ),
            (
                r#"{"inputResponses":{ "b":{"c":"}"} , "\u0074hoth-ask-1-aa":null },"name":"t","requestState":"x"}"#,
                r#"{"inputResponses":{ "b":{"c":"}"}  },"name":"t"}"#,
            ),
            (r#"{"name":"t","inputResponses":{}}"#, r#"{"name":"t","inputResponses":{}}"#),
            (r#"{"name":"t","requestState":7}"#, r#"{"name":"t","requestState":7}"#),
        ] {
            let call = call(before);
            let call = call.without_state().unwrap_or(call);
            let call = call.without_answer(OURS).unwrap_or(call);
            assert_eq!(params(call), after, "{before}");
        }
    }

    #[test]
    fn answers_are_known_by_their_names() {
        let call = call(
            r#"{"name":"t","inputResponses":{"a":1,"thoth-ask-1-aa":{"x":2},"thoth-asks":3}}"#,
        );
        let found = call.answers_of_the_family();
        assert_eq!(found, [("thoth-ask-1-aa".to_owned(), Bytes::from_static(b"{\"x\":2}"))]);
        assert!(call.is_retry());
        assert_eq!(call.request_state(), None);
    }

    #[test]
    fn a_call_is_known_by_its_tool_and_by_what_its_arguments_mean() {
        let one = call(r#"{"name":"t","arguments":{"a":1,"b":2}}"#).digest();
        for (params, same) in [
            (r#"{"arguments":{ "b":2,"\u0061":1},"name":"t","_meta":{}}"#, true),
            (r#"{"name":"u","arguments":{"a":1,"b":2}}"#, false),
            (r#"{"name":"t","arguments":{"a":1,"b":2.0}}"#, false),
            (r#"{"name":"t"}"#, false),
        ] {
            assert_eq!(call(params).digest() == one, same, "{params}");
        }
        assert_eq!(
            call(r#"{"name":"t"}"#).digest(),
            call(r#"{"name":"t","arguments":{}}"#).digest()
        );
    }
}
