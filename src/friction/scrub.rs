//! Takes secrets and personal data out of an event, wherever they stand in it.
//!
//! One pass over the text: JSON structure is walked without recursion or a value tree, each string is
//! unescaped, looked through by `text` and written back. Strings that hold JSON themselves are
//! walked like the rest. On the way, what strict readers refuse is put right: halves of surrogate
//! pairs and bytes that are not UTF-8 become U+FFFD, `NaN` and infinite numbers `null`, what is
//! nested too deep a short text.
//!
//! Two kinds of rules: a *field* is known by its name (`field`) and everything below it goes; a
//! *pattern* is known by what it looks like (`text`, `number`). An operator may add of both
//! ([`custom`]). The names of members are looked through for patterns, too.
//!
//! # Invariants
//!
//! - What comes out is JSON that `serde_json` and pydantic accept, on one line.
//! - Time is linear in the text, but for an operator's own patterns; memory is a few times the text.
//! - It grows sixfold at most, and by [`GROWTH`].
//! - What was scrubbed stays as it is when it is scrubbed again, and is not counted again.
//! - As much is counted as there are placeholders; whole values beyond a thousand are `null`.

pub mod custom;

mod decode;
mod field;
mod number;
mod placeholder;
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

/// How many levels of JSON within strings within JSON are walked. Below, patterns still count. A
/// quote is as long as two to this power there.
const LEVELS: u8 = 5;

/// How many whole values of one event are replaced by a placeholder; further ones by `null`, so that
/// an array of digits does not grow by its placeholders.
const SPELLED: u32 = 1000;

/// By how much text can grow beyond six times itself, in bytes: a thousand placeholders, with the
/// quotes they have at the deepest level.
pub const GROWTH: usize = SPELLED as usize * ((2 << LEVELS) + 64);

/// What stands where something was nested too deep.
const TOO_DEEP: &str = "\"[nested too deep]\"";

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
        let mut pass =
            Pass { custom: &self.custom, found: Vec::new(), taken: 0, spelled: 0, names: 0 };
        pass.walk(value.text(), &mut out, 0);
        for (category, count) in pass.found {
            counts.add(category, count);
        }
        let text = written(out);
        // Each of them starts with one of these bytes; most texts have neither.
        let breaks = memchr2(0xC2, 0xE2, text.as_bytes()).is_some()
            && text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
        if breaks { respell(&text) } else { text }
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

    fn add(&mut self, category: Category<'_>, more: u64) {
        let name = match category {
            Category::Pattern(name) => Cow::Borrowed(name),
            Category::Field(name) => Cow::Owned(format!("field:{name}")),
        };
        if let Some(count) = self.0.get_mut(&*name) {
            *count += more;
        } else {
            self.0.insert(name.into_owned(), more);
        }
    }
}

/// One walk over one event.
struct Pass<'r> {
    custom: &'r Custom,
    /// What was found, and how often.
    found: Vec<(Category<'r>, u64)>,
    /// How much was found, and repaired: whether a text has changed.
    taken: u64,
    /// How many whole values were replaced.
    spelled: u32,
    /// How many members' names were changed.
    names: u32,
}

/// An array or object that is open.
#[derive(Clone, Copy)]
struct Open<'r> {
    object: bool,
    /// The field that everything in it belongs to.
    field: Option<Field<'r>>,
    /// The field that a member `name` of it names, as in `{"name": "DB_PASSWORD", "value": …}`.
    entry: Option<Field<'r>>,
}

/// What a member is to the object it is in, by its name.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    /// Its value may name a field.
    Name,
    /// It holds the value of that field.
    Value,
    Other,
}

// === impl Pass ===

impl<'r> Pass<'r> {
    /// Writes the scrubbed form of a value that was read leniently. Says whether it took out
    /// anything.
    fn walk(&mut self, text: &[u8], out: &mut Vec<u8>, level: u8) -> bool {
        let before = self.taken;
        let mut open: Vec<Open<'r>> = Vec::new();
        // Whether a string that starts here is a member's name.
        let mut name = false;
        // The field that the value that starts here belongs to by its name.
        let mut field: Option<Field<'r>> = None;
        let mut role = Role::Other;
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'{' | b'[' if open.len() == DEEPEST => {
                    self.spell(TOO_DEEP, out);
                    let rest = Reader::<Lenient>::new(&text[at..]).value(0);
                    at += rest.map_or(text.len() - at, |span| span.range.end);
                    continue;
                }
                b'{' | b'[' => {
                    let inherited = open.last().and_then(|open| open.field);
                    let field = field.take().or(inherited);
                    open.push(Open { object: byte == b'{', field, entry: None });
                    name = byte == b'{';
                    role = Role::Other;
                    out.push(byte);
                }
                b'}' | b']' => {
                    open.pop();
                    out.push(byte);
                }
                b',' => {
                    name = open.last().is_some_and(|open| open.object);
                    field = None;
                    role = Role::Other;
                    out.push(byte);
                }
                b'"' => {
                    let end = string_end(text, at);
                    let inner = &text[at + 1..end - 1];
                    let innermost = open.last_mut();
                    if name {
                        name = false;
                        let entry = innermost.and_then(|open| open.entry);
                        (field, role) = self.name(inner, out, level);
                        if role == Role::Value {
                            field = entry;
                        }
                    } else {
                        let inherited = innermost.as_ref().and_then(|open| open.field);
                        if let Some(open) = innermost.filter(|_| role == Role::Name) {
                            open.entry = self.named(&read(inner, level).0);
                        }
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
                    let inherited = open.last().and_then(|open| open.field);
                    self.scalar(scalar, field.take().or(inherited), out, level);
                    at += scalar.len();
                    continue;
                }
            }
            at += 1;
        }
        self.taken != before
    }

    /// Writes a member's name; the field it stands for, and what it is beside others.
    fn name(&mut self, inner: &[u8], out: &mut Vec<u8>, level: u8) -> (Option<Field<'r>>, Role) {
        let (name, faithful) = read(inner, level);
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
        let role = match &*name {
            "name" | "Name" | "key" | "Key" => Role::Name,
            "value" | "Value" => Role::Value,
            _ => Role::Other,
        };
        (self.named(&name), role)
    }

    fn named(&self, name: &str) -> Option<Field<'r>> {
        self.custom.field(name).or_else(|| field::named(name))
    }

    fn string(&mut self, inner: &[u8], field: Option<Field<'r>>, out: &mut Vec<u8>, level: u8) {
        if let Some(field) = field {
            if placeholder::is_one(inner) {
                return write(inner, "", true, out);
            }
            return self.field(field, out);
        }
        let (text, faithful) = read(inner, level);
        match self.text(&text, level) {
            Some(scrubbed) => quote(out, &scrubbed),
            None => write(inner, &text, faithful, out),
        }
    }

    /// Scrubs a text; `None` where it holds nothing to take out.
    fn text(&mut self, text: &str, level: u8) -> Option<String> {
        if is_document(text)
            && level < LEVELS
            && let Some(value) = Raw::read(text.as_bytes())
        {
            return self.document(value, level);
        }
        let scrubbed = self.patterns(text)?;
        // What was taken out may have been what made it no JSON.
        let again = Raw::read(scrubbed.as_bytes())
            .filter(|_| is_document(&scrubbed) && level < LEVELS)
            .and_then(|value| self.document(value, level));
        Some(again.unwrap_or(scrubbed))
    }

    /// Scrubs an object or an array that is the text of a string.
    fn document(&mut self, value: Raw<'_>, level: u8) -> Option<String> {
        let mut out = Vec::with_capacity(value.text().len());
        self.walk(value.text(), &mut out, level + 1).then(|| written(out))
    }

    /// Scrubs a text that is not looked into as JSON.
    fn patterns(&mut self, text: &str) -> Option<String> {
        /// How often what an operator's patterns left is looked through again: where they took a part
        /// of a word, the rest of it is another word.
        const ROUNDS: u8 = 8;

        let custom = self.custom;
        let mut scrubbed = text::scrub(text, custom, |category| self.count(category));
        for _ in 0..ROUNDS {
            let left = scrubbed.as_deref().unwrap_or(text);
            let Some(less) = custom.scrub(left, |category| self.count(category)) else { break };
            let again = text::scrub(&less, custom, |category| self.count(category));
            let done = again.is_none();
            scrubbed = again.or(Some(less));
            if done {
                break;
            }
        }
        scrubbed
    }

    fn scalar(&mut self, scalar: &[u8], field: Option<Field<'r>>, out: &mut Vec<u8>, level: u8) {
        let is_number =
            matches!(scalar.first(), Some(b'-' | b'0'..=b'9')) && scalar != b"-Infinity";
        if !is_number {
            let known = [&b"true"[..], b"false", b"null"].contains(&scalar);
            out.extend_from_slice(if known { scalar } else { b"null" });
        } else if let Some(field) = field {
            self.field(field, out);
        } else if let Some(category) = self.number(scalar, level) {
            self.count(category);
            self.put(category, out);
        } else if is_finite(scalar) {
            out.extend_from_slice(scalar);
        } else {
            out.extend_from_slice(b"null");
        }
    }

    /// What a number literal is taken for. In the text of a string, it is what it were in any text.
    fn number(&self, literal: &[u8], level: u8) -> Option<Category<'r>> {
        let digits = literal.strip_prefix(b"-").unwrap_or(literal);
        let in_text = || {
            let (end, category) = number::at(digits, 0).filter(|_| level > 0)?;
            (end == digits.len() && !digits.contains(&b'.')).then_some(category)
        };
        number::card(digits).or_else(in_text).or_else(|| self.custom.number(literal))
    }

    /// Writes what stands for a value of a field.
    fn field(&mut self, field: Field<'r>, out: &mut Vec<u8>) {
        let category = Category::Field(field.name);
        self.count(category);
        self.put(category, out);
    }

    /// Writes a placeholder as a string.
    fn put(&mut self, category: Category<'_>, out: &mut Vec<u8>) {
        let mut spelled = String::with_capacity(64);
        spelled.push('"');
        category.spell(&mut spelled);
        spelled.push('"');
        self.spell(&spelled, out);
    }

    /// Writes a string literal in the place of what may be shorter.
    fn spell(&mut self, literal: &str, out: &mut Vec<u8>) {
        self.taken += 1;
        self.spelled = self.spelled.saturating_add(1);
        let literal = if self.spelled > SPELLED { "null" } else { literal };
        out.extend_from_slice(literal.as_bytes());
    }

    fn count(&mut self, category: Category<'r>) {
        self.taken += 1;
        match self.found.iter_mut().find(|(found, _)| *found == category) {
            Some((_, count)) => *count += 1,
            None => self.found.push((category, 1)),
        }
    }
}

/// Whether a text looks like an object or an array.
fn is_document(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '['])
}

/// What stands between a string's quotes, and whether it is spelled as good JSON. In JSON within a
/// string, what is not is repaired before it is looked through: an escape would be escaped again at
/// each level.
fn read(inner: &[u8], level: u8) -> (Cow<'_, str>, bool) {
    let (text, faithful) = decode(inner);
    if faithful || level == 0 {
        return (text, faithful);
    }
    let repaired = text.chars().map(|letter| match letter {
        '\n' | '\r' | '\t' => ' ',
        control if control.is_ascii_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    });
    (repaired.collect(), false)
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

fn written(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap_or_else(|_| unreachable!("only whole characters were written"))
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
