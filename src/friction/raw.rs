//! The text of one JSON value, as a client or a server sent it.
//!
//! It may hold what strict readers refuse (`NaN`, bytes that are not UTF-8, halves of surrogate
//! pairs): servers in the field send that. What is sure is that it is one value and cannot break out
//! of the place it is put in; the scrubber turns it into JSON that every reader accepts.

use crate::gate::json::{Fault, Kind, Lenient, Reader};

/// The text of one JSON value, read leniently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Raw<'a> {
    text: &'a [u8],
    kind: Kind,
}

/// The text of one JSON object, read leniently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RawObject<'a>(Raw<'a>);

// === impl Raw ===

impl<'a> Raw<'a> {
    /// Takes one value with nothing around it but blanks; `None` for anything else.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::<Lenient>::new(text);
        let span = reader.value(0).ok()?;
        reader.end().ok()?;
        Some(Self { text: &text[span.range], kind: span.kind })
    }

    /// The text, without blanks around it.
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// The elements of an array in their order; none of anything else.
    pub fn elements(self) -> impl Iterator<Item = Raw<'a>> {
        let text = self.text;
        let mut elements = Vec::new();
        if self.kind == Kind::Array {
            let read = Reader::<Lenient>::new(text).array(|reader| {
                let span = reader.value(1)?;
                elements.push(Self { text: &text[span.range], kind: span.kind });
                Ok(())
            });
            debug_assert!(read.is_ok(), "it was read before");
        }
        elements.into_iter()
    }

    /// The same, if it is an object.
    pub fn object(self) -> Option<RawObject<'a>> {
        (self.kind == Kind::Object).then_some(RawObject(self))
    }
}

// === impl RawObject ===

impl<'a> RawObject<'a> {
    /// The object without members.
    pub const EMPTY: Self = Self(Raw { text: b"{}", kind: Kind::Object });

    /// Takes one object with nothing around it but blanks; `None` for anything else.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        Raw::read(text)?.object()
    }

    /// The same, as any value.
    pub fn raw(self) -> Raw<'a> {
        self.0
    }

    /// The text, from brace to brace.
    pub fn text(self) -> &'a [u8] {
        self.0.text
    }

    /// Whether it has no members.
    pub fn is_empty(self) -> bool {
        self.text()[1..].trim_ascii_start().first() == Some(&b'}')
    }

    /// The last member of this name: what most readers take where a name is repeated.
    pub fn member(self, name: &str) -> Option<Raw<'a>> {
        let mut found = None;
        self.each(|member, value| {
            if member == name {
                found = Some(value);
            }
        });
        found
    }

    /// Passes over the members in their order.
    pub fn each(self, mut visit: impl FnMut(&str, Raw<'a>)) {
        let text = self.text();
        let read: Result<_, Fault> = Reader::<Lenient>::new(text).object(|reader, name| {
            let span = reader.value(1)?;
            visit(name, Raw { text: &text[span.range], kind: span.kind });
            Ok(())
        });
        debug_assert!(read.is_ok(), "it was read before");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_whole_value_is_taken() {
        let table: [(&[u8], bool); 12] = [
            (b"{}", true),
            (b" [1, {\"a\":NaN}] ", true),
            (b"\"\xff\"", true),
            (b"\"\\ud800\"", true),
            (b"null", true),
            (b"", false),
            (b"{", false),
            (b"{}}", false),
            (b"{},\"x\":{}", false),
            (b"1,2", false),
            (b"\"a\"b\"", false),
            (b"{\"a\"}", false),
        ];
        for (text, taken) in table {
            assert_eq!(Raw::read(text).is_some(), taken, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn the_last_of_repeated_members_counts() {
        let object = RawObject::read(br#"{"a":1,"b":2,"\u0061":[3]}"#).unwrap();
        assert_eq!(object.member("a").map(Raw::text), Some(&b"[3]"[..]));
        assert_eq!(object.member("c"), None);
        assert!(!object.is_empty());
        assert!(RawObject::read(b" { } ").unwrap().is_empty());
    }
}
