//! One line of the client, read as far as the courier must: what it is, and what of it is said
//! again in headers.
//!
//! Pure. The gate has read the line strictly; nothing is judged here.

use std::ops::Range;

use bytes::Bytes;

use crate::gate::json::{self, Fault, Kind, Lenient, Reader, Span};
use crate::gate::message::RequestId;
use crate::mirror::{Named, VERSION_MEMBER};

/// One line, without its end.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// What is sent: the line as it came.
    pub(super) body: Bytes,
    /// What it is.
    pub(super) kind: LetterKind,
    /// Its method; empty in an answer.
    pub(super) method: Box<str>,
    /// The revision it says it belongs to: there is one from MCP 2026-07-28 on.
    pub(super) version: Option<Box<str>>,
    parts: Parts,
}

/// What a line is.
#[derive(Clone, Debug)]
pub(super) enum LetterKind {
    /// It wants an answer.
    Request(RequestId),
    /// It wants none.
    Notification,
    /// It answers a request of the server.
    Answer,
}

/// Where the members stand that are looked at.
#[derive(Clone, Debug, Default)]
struct Parts {
    name: Option<Span>,
    uri: Option<Span>,
    task_id: Option<Span>,
    request_id: Option<Span>,
    cursor: Option<Span>,
    arguments: Option<Range<usize>>,
    meta: Option<Range<usize>>,
}

// === impl Letter ===

impl Letter {
    /// Reads a line. `None` for what is no message; the gate lets none through.
    pub(super) fn read(body: Bytes) -> Option<Self> {
        let (mut id, mut method, mut version) = (None, None, None);
        let mut parts = Parts::default();
        let mut reader = Reader::<Lenient>::new(&body);
        reader
            .object(|reader, name| {
                match name {
                    "id" => id = Some(reader.value(1)?),
                    "method" => method = Some(reader.value(1)?),
                    "params" => version = parts.read(&body, reader)?,
                    _ => {
                        reader.value(1)?;
                    }
                }
                Ok(())
            })
            .ok()?;
        let id = id.and_then(|span| RequestId::read(span.kind, &body[span.range]));
        let method = method.and_then(|span| text(&body, &span));
        let kind = match (&method, id) {
            (Some(_), Some(id)) => LetterKind::Request(id),
            (Some(_), None) => LetterKind::Notification,
            (None, Some(_)) => LetterKind::Answer,
            (None, None) => return None,
        };
        Some(Self { kind, method: method.unwrap_or_default(), version, parts, body })
    }

    /// Whether it belongs to the era without handshake.
    pub(super) fn is_modern(&self) -> bool {
        self.version.is_some()
    }

    /// What `Mcp-Name` says.
    pub(super) fn name(&self) -> Option<Box<str>> {
        let span = match Named::of(&self.method)? {
            Named::Name => &self.parts.name,
            Named::Uri => &self.parts.uri,
            Named::TaskId => &self.parts.task_id,
        };
        span.as_ref().and_then(|span| text(&self.body, span))
    }

    /// The tool it calls.
    pub(super) fn tool(&self) -> Option<Box<str>> {
        if &*self.method == "tools/call" { self.name() } else { None }
    }

    /// The resource it is about.
    pub(super) fn uri(&self) -> Option<Box<str>> {
        self.parts.uri.as_ref().and_then(|span| text(&self.body, span))
    }

    /// The arguments of a call: the text of an object.
    pub(super) fn arguments(&self) -> Option<&[u8]> {
        self.parts.arguments.clone().map(|range| &self.body[range])
    }

    /// Whether it asks for a further page of a list.
    pub(super) fn has_cursor(&self) -> bool {
        self.parts.cursor.as_ref().is_some_and(|span| span.kind == Kind::Text)
    }

    /// Its `params._meta`: the text of an object.
    pub(super) fn meta(&self) -> Option<&[u8]> {
        self.parts.meta.clone().map(|range| &self.body[range])
    }

    /// The request that it cancels.
    pub(super) fn cancels(&self) -> Option<RequestId> {
        let is_cancel = matches!(self.kind, LetterKind::Notification)
            && &*self.method == "notifications/cancelled";
        let span = self.parts.request_id.as_ref().filter(|_| is_cancel)?;
        RequestId::read(span.kind, &self.body[span.range.clone()])
    }
}

// === impl Parts ===

impl Parts {
    /// Reads `params`, and says which revision they name.
    fn read(
        &mut self,
        body: &Bytes,
        reader: &mut Reader<'_, Lenient>,
    ) -> Result<Option<Box<str>>, Fault> {
        let mut version = None;
        if !starts_object(body, reader) {
            reader.value(1)?;
            return Ok(None);
        }
        reader.object(|reader, name| {
            let value = match name {
                "_meta" if starts_object(body, reader) => {
                    let range = reader.object(|reader, name| {
                        let value = reader.value(3)?;
                        if name == VERSION_MEMBER && value.kind == Kind::Text {
                            version = text(body, &value);
                        }
                        Ok(())
                    })?;
                    self.meta = Some(range);
                    return Ok(());
                }
                _ => reader.value(2)?,
            };
            match name {
                "name" => self.name = Some(value),
                "uri" => self.uri = Some(value),
                "taskId" => self.task_id = Some(value),
                "cursor" => self.cursor = Some(value),
                "requestId" => self.request_id = Some(value),
                "arguments" if value.kind == Kind::Object => self.arguments = Some(value.range),
                _ => {}
            }
            Ok(())
        })?;
        Ok(version)
    }
}

/// Whether the next value is an object. Blanks were not read yet.
fn starts_object(body: &[u8], reader: &Reader<'_, Lenient>) -> bool {
    body[reader.position()..].trim_ascii_start().first() == Some(&b'{')
}

fn text(body: &[u8], span: &Span) -> Option<Box<str>> {
    (span.kind == Kind::Text).then(|| json::unescape(&body[span.range.clone()]).into())
}
