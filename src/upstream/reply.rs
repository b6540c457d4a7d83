//! What the server sent, read as far as the courier must: which request it answers, and how.
//!
//! Pure, and lenient, as clients are: a line is passed on whatever it is, and the gate reads it
//! again. Here it is only told which exchange is over.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

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

    /// Whether it is an error, with or without a code.
    pub(super) fn is_error(&self) -> bool {
        matches!(&self.answer, Some(Answer { body: AnswerBody::Error(_), .. }))
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
        match at {
            Some(range) => self.spliced(range, &[literal]),
            None => {
                let brace = memchr::memchr(b'{', &self.line).map_or(0, |at| at + 1);
                self.spliced(brace..brace, &[b"\"id\":", literal, b","])
            }
        }
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
