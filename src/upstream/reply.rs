//! What the server sent, read as far as the courier must: which request it answers, and how.
//!
//! Pure, and lenient, as clients are: a line is passed on whatever it is, and the gate reads it
//! again. Here it is only told which exchange is over.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::sse::Event;
use crate::gate::json::{self, Fault, Kind, Lenient, Reader, Span};
use crate::gate::message::RequestId;

/// One message of the server's, on one line, without a line's end.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// The text.
    pub(super) line: Bytes,
    /// What it answers, where it is an answer.
    pub(super) answer: Option<Answer>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The id, where there is one that could be a request's. `null` is none.
    pub(super) id: Option<RequestId>,
    /// Where the id stands.
    id_at: Option<Range<usize>>,
    /// What it says.
    pub(super) body: AnswerBody,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub(super) enum AnswerBody {
    /// `error`, with its code where that is an integer.
    Error(Option<i64>),
    /// `result`, and where it stands.
    Result(Range<usize>),
}

/// The messages of a body: one, or an array of them (MCP 2025-03-26). Empty where it is neither.
pub(super) fn messages(body: &Bytes) -> Vec<Reply> {
    let mut found = Vec::new();
    match body.trim_ascii_start().first() {
        Some(b'{') => found.push(Reply::read(body)),
        Some(b'[') => {
            let mut reader = Reader::<Lenient>::new(body);
            let whole = reader.array(|reader| {
                let element = reader.value(1)?;
                if element.kind == Kind::Object {
                    found.push(Reply::read(&body.slice(element.range)));
                }
                Ok(())
            });
            if whole.is_err() {
                found.clear();
            }
        }
        _ => {}
    }
    found
}

/// The messages of an event; none in events of other names, such as pings.
pub(super) fn of_event(event: &Event) -> Vec<Reply> {
    if &*event.name == "message" { messages(&event.data) } else { Vec::new() }
}

/// A member of an object that is text.
pub(super) fn member(object: &[u8], wanted: &str) -> Option<String> {
    let mut found = None;
    let mut reader = Reader::<Lenient>::new(object);
    let _ = reader.object(|reader, name| {
        let value = reader.value(2)?;
        if name == wanted && value.kind == Kind::Text {
            found = Some(json::unescape(&object[value.range]).into_owned());
        }
        Ok(())
    });
    found
}

/// The text on one line: raw line ends in JSON can only be white space.
fn one_line(text: &Bytes) -> Bytes {
    let trimmed = text.slice_ref(text.trim_ascii());
    if memchr::memchr2(b'\r', b'\n', &trimmed).is_none() {
        return trimmed;
    }
    let mut line = BytesMut::from(trimmed);
    for byte in line.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')) {
        *byte = b' ';
    }
    line.freeze()
}

// === impl Reply ===

impl Reply {
    /// Takes one message.
    pub(super) fn read(text: &Bytes) -> Self {
        let line = one_line(text);
        let answer = Answer::read(&line).ok().flatten();
        Self { line, answer }
    }

    /// Whether it answers this request.
    pub(super) fn answers(&self, id: &RequestId) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.id.as_ref() == Some(id))
    }

    /// The code of its error.
    pub(super) fn error_code(&self) -> Option<i64> {
        match self.answer.as_ref()?.body {
            AnswerBody::Error(code) => code,
            AnswerBody::Result(_) => None,
        }
    }

    /// What its error says.
    pub(super) fn error_message(&self) -> Option<String> {
        let mut found = None;
        let mut reader = Reader::<Lenient>::new(&self.line);
        let _ = reader.object(|reader, name| {
            let value = reader.value(2)?;
            if name == "error" && value.kind == Kind::Object {
                found = member(&self.line[value.range], "message");
            }
            Ok(())
        });
        found
    }

    /// Whether it is an error, with or without a code.
    pub(super) fn is_error(&self) -> bool {
        matches!(&self.answer, Some(Answer { body: AnswerBody::Error(_), .. }))
    }

    /// Whether it is an error without an id, or with `null` for one: what was asked could not be
    /// read.
    pub(super) fn is_nobodys_error(&self) -> bool {
        self.is_error() && self.answer.as_ref().is_some_and(|answer| answer.id.is_none())
    }

    /// Its result: the text of any value.
    pub(super) fn result(&self) -> Option<&[u8]> {
        self.result_at().map(|range| &self.line[range])
    }

    /// Where its result stands.
    pub(super) fn result_at(&self) -> Option<Range<usize>> {
        match &self.answer.as_ref()?.body {
            AnswerBody::Result(range) => Some(range.clone()),
            AnswerBody::Error(_) => None,
        }
    }

    /// The same, as the answer to this request: an error that came with status 4xx may have no id,
    /// or `null`.
    pub(super) fn to(self, id: &RequestId) -> Self {
        let at = match &self.answer {
            Some(answer) if answer.id.as_ref() != Some(id) => answer.id_at.clone(),
            Some(_) | None => return self,
        };
        let literal = id.literal().as_bytes();
        if let Some(range) = at {
            return self.spliced(range, &[literal]);
        }
        let brace = memchr::memchr(b'{', &self.line).map_or(0, |at| at + 1);
        self.spliced(brace..brace, &[b"\"id\":", literal, b","])
    }

    /// The same with another text in one place.
    pub(super) fn spliced(&self, range: Range<usize>, texts: &[&[u8]]) -> Self {
        let mut line = BytesMut::with_capacity(self.line.len() + 64);
        line.extend_from_slice(&self.line[..range.start]);
        for text in texts {
            line.extend_from_slice(text);
        }
        line.extend_from_slice(&self.line[range.end..]);
        Self::read(&line.freeze())
    }
}

// === impl Answer ===

impl Answer {
    fn read(line: &[u8]) -> Result<Option<Self>, Fault> {
        let (mut id, mut has_method, mut body) = (None::<Span>, false, None);
        let mut reader = Reader::<Lenient>::new(line);
        reader.object(|reader, name| {
            match name {
                "id" => id = Some(reader.value(1)?),
                "result" => body = Some(AnswerBody::Result(reader.value(1)?.range)),
                "error" => {
                    let (code, is_null) = error(line, reader)?;
                    // `"error": null` beside a result is how JSON-RPC 1.0 says that it went well.
                    if !is_null {
                        body = Some(AnswerBody::Error(code));
                    }
                }
                other => {
                    has_method |= other == "method";
                    reader.value(1)?;
                }
            }
            Ok(())
        })?;
        reader.end()?;
        let Some(body) = body.filter(|_| !has_method) else { return Ok(None) };
        let id_at = id.as_ref().map(|span| span.range.clone());
        let id = id.and_then(|span| RequestId::read_leniently(span.kind, &line[span.range]));
        Ok(Some(Self { id, id_at, body }))
    }
}

/// An error's code, and whether it is `null` instead.
fn error(line: &[u8], reader: &mut Reader<'_, Lenient>) -> Result<(Option<i64>, bool), Fault> {
    if line[reader.position()..].trim_ascii_start().first() != Some(&b'{') {
        let value = reader.value(1)?;
        return Ok((None, &line[value.range] == b"null"));
    }
    let mut code = None;
    reader.object(|reader, name| {
        let value = reader.value(2)?;
        if name == "code" {
            code = str::from_utf8(&line[value.range]).ok().and_then(|text| text.parse().ok());
        }
        Ok(())
    })?;
    Ok((code, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &'static str) -> Reply {
        Reply::read(&Bytes::from_static(text.as_bytes()))
    }

    fn seven() -> RequestId {
        RequestId::read(Kind::Number, b"7").unwrap_or_else(|| unreachable!("7 is an id"))
    }

    #[test]
    fn which_lines_answer_a_request() {
        for (line, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, true),
            (r#"{"id":7.0,"result":null}"#, true),
            (r#"{"id":7,"error":{"code":1}}"#, true),
            (r#"{"id":7,"error":null,"result":{}}"#, true),
            (r#"{"id":"7","result":{}}"#, false),
            (r#"{"id":8,"result":{}}"#, false),
            (r#"{"id":7,"method":"roots/list"}"#, false),
            (r#"{"id":7,"method":"m","result":{}}"#, false),
            (r#"{"id":7}"#, false),
            (r#"{"id":7,"result":{}"#, false),
            (r#"{"id":7,"result":{}} {"a":1}"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(reply(line).answers(&seven()), expected, "{line}");
        }
    }

    #[test]
    fn an_error_for_nobody_becomes_the_answer() {
        for (line, expected) in [
            (r#"{"id":null,"error":{"code":1}}"#, r#"{"id":7,"error":{"code":1}}"#),
            (r#"{"error":{"code":1}}"#, r#"{"id":7,"error":{"code":1}}"#),
            (r#" { "error":{"code":1}}"#, r#"{"id":7, "error":{"code":1}}"#),
            (r#"{"id":7,"error":{"code":1}}"#, r#"{"id":7,"error":{"code":1}}"#),
        ] {
            let put_right = reply(line).to(&seven());
            assert_eq!(put_right.line, expected);
            assert!(put_right.answers(&seven()));
            assert_eq!(put_right.error_code(), Some(1));
        }
    }

    #[test]
    fn an_array_is_its_objects() {
        for (body, expected) in [
            (r#"[{"a":1}, {"b":2},3]"#, vec![r#"{"a":1}"#, r#"{"b":2}"#]),
            ("\n{\"a\":1}\n", vec![r#"{"a":1}"#]),
            (r#"[{"a":1}"#, vec![]),
            ("text", vec![]),
            ("", vec![]),
        ] {
            let found = messages(&Bytes::from_static(body.as_bytes()));
            let lines: Vec<_> = found.iter().map(|reply| &reply.line[..]).collect();
            assert_eq!(
                lines,
                expected.iter().map(|line| line.as_bytes()).collect::<Vec<_>>(),
                "{body}"
            );
        }
    }
}
