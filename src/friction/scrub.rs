//! Takes secrets and personal data out of an event, wherever they stand in it.
//!
//! One pass over the text: JSON structure is walked without recursion or a value tree, each string is
//! unescaped, looked through by [`text`] and written back. Strings that hold JSON themselves are
//! walked like the rest. On the way, what strict readers refuse is put right: halves of surrogate
//! pairs and bytes that are not UTF-8 become U+FFFD, `NaN` and infinite numbers `null`, what is
//! nested too deep a short text.
//!
//! Two kinds of rules: a *field* is known by its name ([`field`]) and everything below it goes; a
//! *pattern* is known by what it looks like ([`text`], [`number`]). An operator may add of both
//! ([`custom`]). The names of members are looked through for patterns, too.
//!
//! # Invariants
//!
//! - What comes out is JSON that `serde_json` and pydantic accept, on one line.
//! - Time is linear in the text, but for an operator's own patterns; memory is the text, twice.
//! - It grows sixfold at most, and by a constant.

pub mod custom;

mod decode;
mod field;
mod number;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memchr2;

use self::custom::Custom;
use self::decode::decode;
use self::field::Field;
use super::event::quote;
use super::raw::Raw;
use crate::gate::json::{Lenient, Reader, respell};

/// The deepest nesting that is kept; an event's own two levels come on top, and readers stop at 128.
const DEEPEST: usize = 100;

/// How many levels of JSON within strings within JSON are walked. Below, patterns still count.
const LEVELS: u8 = 8;

/// How many fields of one event are replaced by the full placeholder; further ones by a short one,
/// so that an array of digits does not grow by its placeholders.
const SPELLED: u32 = 1000;

/// What stands where something was nested too deep.
const TOO_DEEP: &[u8] = b"\"[nested too deep]\"";

/// The rules to scrub by.
#[derive(Clone, Debug, Default)]
pub struct Scrubber {
    custom: Custom,
}

/// How much was taken out, by category. Fields count as `field:` and their name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts(BTreeMap<String, u64>);

/// What something was taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Category<'r> {
    /// A pattern's name.
    Pattern(&'r str),
    /// A field's name.
    Field(&'r str),
}

// === impl Scrubber ===

impl Scrubber {
    /// Scrubs by these rules besides the built-in ones.
    pub fn new(custom: Custom) -> Self {
        Self { custom }
    }

    /// The value's text without what the rules know, as JSON on one line.
    pub fn scrub(&self, value: Raw<'_>, counts: &mut Counts) -> String {
        let mut out = Vec::with_capacity(value.text().len() + 64);
        Pass { scrubber: self, counts, fields: 0, names: 0 }.walk(value.text(), &mut out, 0);
        let text = String::from_utf8(out)
            .unwrap_or_else(|_| unreachable!("only whole characters were written"));
        if text.contains(['\u{85}', '\u{2028}', '\u{2029}']) { respell(&text) } else { text }
    }
}

// === impl Counts ===

impl Counts {
    /// The categories that were found, with how often, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(category, count)| (category.as_str(), *count))
    }

    /// How often a category was found.
    pub fn of(&self, category: &str) -> u64 {
        self.0.get(category).copied().unwrap_or(0)
    }

    /// How much was taken out in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn add(&mut self, category: Category<'_>) {
        let name = match category {
            Category::Pattern(name) => Cow::Borrowed(name),
            Category::Field(name) => Cow::Owned(format!("field:{name}")),
        };
        if let Some(count) = self.0.get_mut(&*name) {
            *count += 1;
        } else {
            self.0.insert(name.into_owned(), 1);
        }
    }
}

// === impl Category ===

impl Category<'_> {
    /// Writes what stands in the place of what was taken out.
    fn spell(self, out: &mut String) {
        let (kind, name) = match self {
            Self::Pattern(name) => ("", name),
            Self::Field(name) => ("field-", name),
        };
        out.push_str("[REDACTED:");
        out.push_str(kind);
        out.push_str(name);
        out.push(']');
    }
}

/// One walk over one event.
struct Pass<'r, 'c> {
    scrubber: &'r Scrubber,
    counts: &'c mut Counts,
    /// How many fields were taken out.
    fields: u32,
    /// How many members' names were changed.
    names: u32,
}

/// An array or object that is open.
#[derive(Clone, Copy)]
struct Open<'r> {
    object: bool,
    /// The field that everything in it belongs to.
    field: Option<Field<'r>>,
}

// === impl Pass ===

impl<'r> Pass<'r, '_> {
    /// Writes the scrubbed form of a value that was read leniently. Says whether it took out
    /// anything.
    fn walk(&mut self, text: &[u8], out: &mut Vec<u8>, level: u8) -> bool {
        let before = self.counts.total();
        let mut open: Vec<Open<'r>> = Vec::new();
        // Whether a string that starts here is a member's name.
        let mut name = false;
        // The field that the value that starts here belongs to by its name.
        let mut field: Option<Field<'r>> = None;
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let inherited = open.last().and_then(|open| open.field);
            match byte {
                b'{' | b'[' if open.len() == DEEPEST => {
                    out.extend_from_slice(TOO_DEEP);
                    let rest = Reader::<Lenient>::new(&text[at..]).value(0);
                    at += rest.map_or(text.len() - at, |span| span.range.end);
                    continue;
                }
                b'{' | b'[' => {
                    open.push(Open { object: byte == b'{', field: field.take().or(inherited) });
                    name = byte == b'{';
                    out.push(byte);
                }
                b'}' | b']' => {
                    open.pop();
                    out.push(byte);
                }
                b',' => {
                    name = open.last().is_some_and(|open| open.object);
                    field = None;
                    out.push(byte);
                }
                b'"' => {
                    let end = string_end(text, at);
                    let inner = &text[at + 1..end - 1];
                    if name {
                        name = false;
                        field = self.name(inner, out);
                    } else {
                        self.string(inner, field.take().or(inherited), out, level);
                    }
                    at = end;
                    continue;
                }
                b':' | b' ' => out.push(byte),
                b'\t' | b'\n' | b'\r' => out.push(b' '),
                _ => {
                    let rest = &text[at..];
                    let end = rest.iter().position(|byte| b" \t\r\n,:]}".contains(byte));
                    let scalar = &rest[..end.unwrap_or(rest.len())];
                    self.scalar(scalar, field.take().or(inherited), out);
                    at += scalar.len();
                    continue;
                }
            }
            at += 1;
        }
        self.counts.total() != before
    }

    /// Writes a member's name; the field it stands for.
    fn name(&mut self, inner: &[u8], out: &mut Vec<u8>) -> Option<Field<'r>> {
        let (name, faithful) = decode(inner);
        if let Some(mut scrubbed) = self.patterns(&name) {
            // Two names must not become one.
            self.names += 1;
            if self.names > 1 {
                scrubbed.push(' ');
                scrubbed.push_str(&self.names.to_string());
            }
            quote(out, &scrubbed);
        } else {
            write(inner, &name, faithful, out);
        }
        self.scrubber.custom.field(&name).or_else(|| field::named(&name))
    }

    fn string(&mut self, inner: &[u8], field: Option<Field<'r>>, out: &mut Vec<u8>, level: u8) {
        if let Some(field) = field {
            return self.field(field, out);
        }
        let (text, faithful) = decode(inner);
        let scrubbed = self.json(&text, level).or_else(|| self.patterns(&text));
        match scrubbed {
            Some(scrubbed) => quote(out, &scrubbed),
            None => write(inner, &text, faithful, out),
        }
    }

    /// Scrubs a text that is itself an object or an array; `None` where it is not, or holds nothing
    /// to take out.
    fn json(&mut self, text: &str, level: u8) -> Option<String> {
        if level == LEVELS || !text.trim_ascii_start().starts_with(['{', '[']) {
            return None;
        }
        let value = Raw::read(text.as_bytes())?;
        let mut out = Vec::with_capacity(text.len());
        let changed = self.walk(value.text(), &mut out, level + 1);
        changed.then(|| {
            String::from_utf8(out)
                .unwrap_or_else(|_| unreachable!("only whole characters were written"))
        })
    }

    /// Scrubs a text; `None` where it holds nothing to take out.
    fn patterns(&mut self, text: &str) -> Option<String> {
        let scrubbed = text::scrub(text, |category| self.counts.add(category));
        let custom = self
            .scrubber
            .custom
            .scrub(scrubbed.as_deref().unwrap_or(text), |category| self.counts.add(category));
        custom.or(scrubbed)
    }

    fn scalar(&mut self, scalar: &[u8], field: Option<Field<'r>>, out: &mut Vec<u8>) {
        let is_number =
            matches!(scalar.first(), Some(b'-' | b'0'..=b'9')) && scalar != b"-Infinity";
        if !is_number {
            let known = [&b"true"[..], b"false", b"null"].contains(&scalar);
            out.extend_from_slice(if known { scalar } else { b"null" });
        } else if let Some(field) = field {
            self.field(field, out);
        } else if number::is_card(scalar) {
            let category = Category::Pattern(number::CARD);
            self.counts.add(category);
            put(category, out);
        } else if is_finite(scalar) {
            out.extend_from_slice(scalar);
        } else {
            out.extend_from_slice(b"null");
        }
    }

    fn field(&mut self, field: Field<'r>, out: &mut Vec<u8>) {
        let category = Category::Field(field.name);
        self.counts.add(category);
        self.fields = self.fields.saturating_add(1);
        if self.fields > SPELLED {
            out.extend_from_slice(b"\"*\"");
        } else {
            put(category, out);
        }
    }
}

/// Writes a string that nothing was taken out of: as it was spelled, where that is good JSON.
fn write(inner: &[u8], text: &str, faithful: bool, out: &mut Vec<u8>) {
    if faithful {
        out.push(b'"');
        out.extend_from_slice(inner);
        out.push(b'"');
    } else {
        quote(out, text);
    }
}

/// Writes a placeholder as a string.
fn put(category: Category<'_>, out: &mut Vec<u8>) {
    let mut spelled = String::with_capacity(40);
    category.spell(&mut spelled);
    quote(out, &spelled);
}

/// Where a string literal ends that starts here, behind its quote.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(run) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += run;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    unreachable!("the text was read before: its strings end")
}

/// Whether a number is finite in binary floating point.
fn is_finite(number: &[u8]) -> bool {
    /// Fewer digits than this stay finite.
    const SAFE: usize = 300;

    if number.len() < SAFE && memchr2(b'e', b'E', number).is_none() {
        return true;
    }
    let value = str::from_utf8(number).ok().and_then(|number| number.parse::<f64>().ok());
    value.is_some_and(f64::is_finite)
}
