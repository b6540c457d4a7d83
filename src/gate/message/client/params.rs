//! Reads the `params` of a message, as far as the gate needs them.

use std::ops::Range;
use std::sync::Arc;

use super::super::super::json::{self, Fault, Kind, Reader, Span, Strict};
use super::super::Place;
use super::{Why, looks_like};

/// The member that a message of the era without handshake carries (MCP 2026-07-28, basic/index).
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The members of a call's params that servers act on.
const PARAMS: &[&str] = &["name", "arguments", "_meta", "task", "inputResponses", "requestState"];

/// Where the parts of `params` stand.
#[expect(clippy::struct_excessive_bools, reason = "each says whether one member is there")]
#[derive(Debug, Default)]
pub(super) struct Params {
    /// All of them, where there are any; their members follow where they are an object.
    pub(super) span: Option<Span>,
    is_empty: bool,
    /// Whether a member's name only looks like one that servers act on.
    look_alike: bool,
    name: Option<Span>,
    pub(super) arguments: Option<Span>,
    pub(super) request_id: Option<Span>,
    pub(super) task: bool,
    pub(super) state: Option<Span>,
    pub(super) responses: Option<Span>,
    pub(super) has_cursor: bool,
    /// `_meta`, where it is an object; its members follow.
    pub(super) meta: Option<Range<usize>>,
    pub(super) modern: bool,
    pub(super) progress_token: Option<Span>,
}

// === impl Params ===

impl Params {
    pub(super) fn read(text: &str, reader: &mut Reader<'_, Strict>) -> Result<Self, Fault> {
        let mut params = Self { is_empty: true, ..Self::default() };
        if !starts_object(text, reader) {
            params.span = Some(reader.value(1)?);
            return Ok(params);
        }
        let range = reader.object(|reader, name| {
            params.is_empty = false;
            match name {
                "name" => params.name = Some(reader.value(2)?),
                "arguments" => params.arguments = Some(reader.value(2)?),
                "requestId" => params.request_id = Some(reader.value(2)?),
                "task" => {
                    params.task = true;
                    reader.value(2)?;
                }
                "cursor" => {
                    let cursor = reader.value(2)?;
                    params.has_cursor = text[cursor.range] != *"null";
                }
                "requestState" => params.state = Some(reader.value(2)?),
                "inputResponses" => params.responses = Some(reader.value(2)?),
                "_meta" => params.meta(text, reader)?,
                other => {
                    params.look_alike |= looks_like(other, PARAMS);
                    reader.value(2)?;
                }
            }
            Ok(())
        })?;
        params.span = Some(Span { kind: Kind::Object, range });
        Ok(params)
    }

    fn meta(&mut self, text: &str, reader: &mut Reader<'_, Strict>) -> Result<(), Fault> {
        if !starts_object(text, reader) {
            reader.value(2)?;
            return Ok(());
        }
        let range = reader.object(|reader, name| {
            let value = reader.value(3)?;
            match name {
                PROTOCOL_VERSION => self.modern = value.kind == Kind::Text,
                "progressToken" => self.progress_token = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        self.meta = Some(range);
        Ok(())
    }

    /// The object they are.
    fn object(&self) -> Option<&Range<usize>> {
        self.span.as_ref().filter(|span| span.kind == Kind::Object).map(|span| &span.range)
    }

    /// The name of the tool that is called.
    pub(super) fn tool(&self, bytes: &[u8]) -> Result<Arc<str>, Why> {
        if self.object().is_none() {
            return Err(Why::BadParams);
        }
        if self.look_alike {
            return Err(Why::LookAlike);
        }
        let name = match &self.name {
            Some(span) if span.kind == Kind::Text => json::unescape(&bytes[span.range.clone()]),
            _ => return Err(Why::BadParams),
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Why::BadToolName);
        }
        Ok(name.into())
    }

    /// Where the arguments of a call stand.
    pub(super) fn place(&self) -> Result<Place, Why> {
        let start = self.object().ok_or(Why::BadParams)?.start + 1;
        match &self.arguments {
            Some(span) if span.kind == Kind::Object => Ok(Place::At(span.range.clone())),
            Some(_) => Err(Why::BadArguments),
            None if self.is_empty => Ok(Place::AloneAt(start)),
            None => Ok(Place::BeforeOthersAt(start)),
        }
    }
}

/// Whether the next value is an object. Blanks were not read yet.
fn starts_object(text: &str, reader: &Reader<'_, Strict>) -> bool {
    text[reader.position()..].trim_start_matches([' ', '\t']).starts_with('{')
}
