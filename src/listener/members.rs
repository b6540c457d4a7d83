//! The members of a JSON object, without building anything.

use crate::gate::json::{self, Kind, Reader, Reading};

/// A member's value: what it is, and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a [u8],
}

/// Goes through the members of the object that `text` begins with; through those before the first
/// fault, where there is one.
pub(super) fn each<'a, R: Reading>(text: &'a [u8], mut with: impl FnMut(&str, Value<'a>)) {
    let mut reader = Reader::<R>::new(text);
    // Whoever passes a message on has read it whole; here a fault only ends the search.
    let _ = reader.object(|reader, name| {
        let span = reader.value(1)?;
        with(name, Value { kind: span.kind, text: &text[span.range] });
        Ok(())
    });
}

// === impl Value ===

impl Value<'_> {
    /// The text of a string.
    pub(super) fn string(self) -> Option<String> {
        (self.kind == Kind::Text).then(|| json::unescape(self.text).into_owned())
    }

    /// What a token or an id is compared by: type and value.
    pub(super) fn key(self) -> Option<String> {
        match self.kind {
            Kind::Text => Some(format!("\"{}", json::unescape(self.text))),
            Kind::Number => Some(String::from_utf8_lossy(self.text).into_owned()),
            Kind::Array | Kind::Literal | Kind::Object => None,
        }
    }
}
