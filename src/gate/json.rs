//! Reads JSON text without building anything: checks it, and finds where its parts are.
//!
//! [`Reader`] walks over bytes once. In [`Strict`] it accepts only text that every JSON reader
//! must read alike, and says why it does not accept the rest; in [`Lenient`] it finds its way
//! through what servers in the field really send (`NaN`, repeated members, bytes that are not
//! UTF-8), so that an answer can still be matched to its call.
//!
//! It makes no values: number literals, member order and unknown members survive because nothing
//! here could change them.
//!
//! # Invariants
//!
//! - What [`Strict`] accepts, `serde_json` accepts (but for numbers it would round), as do the
//!   readers of Python, JavaScript and Go, with one meaning.
//! - Time is linear in the text, but for the members of one object: n log n.
//! - Memory is one entry for each member of the objects that are open, and one bit a level.

mod canonical;

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;

use memchr::memchr2;

pub use self::canonical::canonical;

/// The deepest nesting that is read strictly: one less than where `serde_json` stops.
pub const MAX_DEPTH: usize = 127;

/// Only what every reader must read alike. The text must be UTF-8.
#[derive(Debug)]
pub enum Strict {}

/// What some reader would accept.
#[derive(Debug)]
pub enum Lenient {}

/// [`Strict`] or [`Lenient`].
pub trait Reading {
    /// Whether doubtful text is an error.
    const STRICT: bool;
}

/// Why text is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A carriage return, which ends a line for some readers.
    #[error("a raw carriage return, which some readers take for the end of a message")]
    CarriageReturn,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// A number that is infinite for readers who count in binary floating point.
    #[error("a number too large for most readers")]
    Infinite,
    /// An escape for half of a surrogate pair.
    #[error("half a surrogate pair")]
    LoneSurrogate,
    /// An object that names a member twice.
    #[error("an object that names a member twice")]
    Repeated,
    /// Not JSON.
    #[error("not JSON")]
    Syntax,
    /// Something after the value.
    #[error("more than one JSON value")]
    Trailing,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `[…]`
    Array,
    /// `null`, `true`, `false`, and in lenient reading `NaN` and its kin.
    Literal,
    /// A number.
    Number,
    /// `{…}`
    Object,
    /// `"…"`
    Text,
}

/// A value: what it is, and where its text stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span {
    /// What it is.
    pub kind: Kind,
    /// Where it stands in the text that was read.
    pub range: Range<usize>,
}

/// A cursor over one JSON text.
#[derive(Debug)]
pub struct Reader<'a, R> {
    text: &'a [u8],
    at: usize,
    /// Members of the objects that are open; each object owns the tail from its mark on.
    members: Vec<Member>,
    breaks: bool,
    reading: PhantomData<R>,
}

/// One member's name, without its quotes.
#[derive(Clone, Copy, Debug)]
struct Member {
    start: usize,
    end: usize,
    escaped: bool,
}

/// Checks that `text` is one object which every reader reads alike.
///
/// # Errors
///
/// Why it is not.
pub fn object(text: &str) -> Result<(), Fault> {
    let mut reader = Reader::<Strict>::new(text.as_bytes());
    if reader.value(0)?.kind != Kind::Object {
        return Err(Fault::Syntax);
    }
    reader.end()
}

/// The text of a string, unescaped. `quoted` is a string literal that was read strictly; lone
/// surrogates, which lenient reading admits, become U+FFFD.
pub fn unescape(quoted: &[u8]) -> Cow<'_, str> {
    let inner =
        quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(quoted);
    unescape_inner(inner)
}

/// Replaces the raw characters U+0085, U+2028 and U+2029, at which some readers split lines, by
/// their escapes. They can stand only inside strings of a text that was read strictly.
pub fn respell(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len() + 32);
    for character in text.chars() {
        match character {
            '\u{85}' => spelled.push_str("\\u0085"),
            '\u{2028}' => spelled.push_str("\\u2028"),
            '\u{2029}' => spelled.push_str("\\u2029"),
            other => spelled.push(other),
        }
    }
    spelled
}

// === impl Reading ===

impl Reading for Strict {
    const STRICT: bool = true;
}

impl Reading for Lenient {
    const STRICT: bool = false;
}

// === impl Reader ===

impl<'a, R: Reading> Reader<'a, R> {
    /// A cursor at the start of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, members: Vec::new(), breaks: false, reading: PhantomData }
    }

    /// Whether a string read so far holds a raw U+0085, U+2028 or U+2029.
    pub fn has_line_breaks(&self) -> bool {
        self.breaks
    }

    /// Where the cursor stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads one value that stands at nesting level `depth` (0 for the outermost).
    ///
    /// # Errors
    ///
    /// The first [`Fault`] in it.
    pub fn value(&mut self, depth: usize) -> Result<Span, Fault> {
        self.blank()?;
        let start = self.at;
        let kind = match self.text.get(start).ok_or(Fault::Syntax)? {
            b'"' => {
                self.string()?;
                Kind::Text
            }
            b'{' => {
                self.containers(depth)?;
                Kind::Object
            }
            b'[' => {
                self.containers(depth)?;
                Kind::Array
            }
            _ => self.scalar()?,
        };
        Ok(Span { kind, range: start..self.at })
    }

    /// Reads one object member by member: `each` is given the unescaped name and must read the
    /// value with [`Reader::value`] or [`Reader::object`].
    ///
    /// # Errors
    ///
    /// The first [`Fault`]; what `each` returns. [`Fault::Syntax`] where there is no object.
    pub fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<Range<usize>, Fault> {
        self.blank()?;
        let start = self.at;
        if self.peek() != Some(b'{') {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        let mark = self.members.len();
        self.blank()?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(start..self.at);
        }
        loop {
            let member = self.name()?;
            let raw = &self.text[member.start..member.end];
            each(self, &unescape_inner(raw))?;
            self.blank()?;
            match self.next() {
                Some(b',') => self.blank()?,
                Some(b'}') => break,
                _ => return Err(Fault::Syntax),
            }
        }
        self.unique(mark)?;
        Ok(start..self.at)
    }

    /// Reads one array element by element: `each` must read one with [`Reader::value`],
    /// [`Reader::object`] or [`Reader::array`].
    ///
    /// # Errors
    ///
    /// The first [`Fault`]; what `each` returns. [`Fault::Syntax`] where there is no array.
    pub fn array(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<Range<usize>, Fault> {
        self.blank()?;
        let start = self.at;
        if self.next() != Some(b'[') {
            return Err(Fault::Syntax);
        }
        self.blank()?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(start..self.at);
        }
        loop {
            each(self)?;
            self.blank()?;
            match self.next() {
                Some(b',') => {}
                Some(b']') => return Ok(start..self.at),
                _ => return Err(Fault::Syntax),
            }
        }
    }

    /// Checks that nothing but blanks follows.
    ///
    /// # Errors
    ///
    /// [`Fault::Trailing`], or [`Fault::CarriageReturn`].
    pub fn end(&mut self) -> Result<(), Fault> {
        self.blank()?;
        if self.at == self.text.len() { Ok(()) } else { Err(Fault::Trailing) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn blank(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                Some(b'\r') if R::STRICT => return Err(Fault::CarriageReturn),
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                _ => return Ok(()),
            }
        }
    }

    /// Reads arrays and objects without recursion: a line of brackets must not cost a stack.
    fn containers(&mut self, depth: usize) -> Result<(), Fault> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            // A value starts here.
            self.blank()?;
            match self.peek().ok_or(Fault::Syntax)? {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    if R::STRICT && depth + open.len() >= MAX_DEPTH {
                        return Err(Fault::Depth);
                    }
                    self.blank()?;
                    let mark = self.members.len();
                    if bracket == b'{' {
                        if self.peek() == Some(b'}') {
                            self.at += 1;
                        } else {
                            open.push(Open::Object { mark });
                            self.name()?;
                            continue;
                        }
                    } else if self.peek() == Some(b']') {
                        self.at += 1;
                    } else {
                        open.push(Open::Array);
                        continue;
                    }
                }
                b'"' => self.string()?,
                _ => {
                    self.scalar()?;
                }
            }
            // A value ended here: close what it closes, or go on to the next.
            loop {
                let Some(innermost) = open.last() else {
                    return Ok(());
                };
                self.blank()?;
                match (self.next(), innermost) {
                    (Some(b','), Open::Array) => break,
                    (Some(b','), Open::Object { .. }) => {
                        self.blank()?;
                        self.name()?;
                        break;
                    }
                    (Some(b']'), Open::Array) => {
                        open.pop();
                    }
                    (Some(b'}'), &Open::Object { mark }) => {
                        open.pop();
                        self.unique(mark)?;
                    }
                    _ => return Err(Fault::Syntax),
                }
            }
        }
    }

    /// Reads a member's name and its colon.
    fn name(&mut self) -> Result<Member, Fault> {
        if self.peek() != Some(b'"') {
            return Err(Fault::Syntax);
        }
        let start = self.at + 1;
        let escaped = self.string_inner()?;
        let member = Member { start, end: self.at - 1, escaped };
        if R::STRICT {
            self.members.push(member);
        }
        self.blank()?;
        if self.next() == Some(b':') { Ok(member) } else { Err(Fault::Syntax) }
    }

    /// Checks the names from `mark` on, and forgets them.
    fn unique(&mut self, mark: usize) -> Result<(), Fault> {
        /// Up to here, comparing each with each is faster than sorting.
        const FEW: usize = 12;

        let text = self.text;
        let members = &mut self.members[mark..];
        let repeated = if members.iter().any(|member| member.escaped) {
            let mut names: Vec<_> = members
                .iter()
                .map(|member| unescape_inner(&text[member.start..member.end]))
                .collect();
            names.sort_unstable();
            names.windows(2).any(|pair| pair[0] == pair[1])
        } else if members.len() <= FEW {
            let name = |member: &Member| &text[member.start..member.end];
            (1..members.len())
                .any(|late| members[..late].iter().any(|early| name(early) == name(&members[late])))
        } else {
            members.sort_unstable_by_key(|member| &text[member.start..member.end]);
            members
                .windows(2)
                .any(|pair| text[pair[0].start..pair[0].end] == text[pair[1].start..pair[1].end])
        };
        self.members.truncate(mark);
        if repeated { Err(Fault::Repeated) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.string_inner().map(|_| ())
    }

    /// Reads a string literal; the cursor stands on its opening quote. Says whether it holds an
    /// escape.
    fn string_inner(&mut self) -> Result<bool, Fault> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = &self.text[self.at..];
            let run = memchr2(b'"', b'\\', rest).ok_or(Fault::Syntax)?;
            if R::STRICT {
                self.plain(&rest[..run])?;
            }
            self.at += run + 1;
            if rest[run] == b'"' {
                return Ok(escaped);
            }
            escaped = true;
            self.escape()?;
        }
    }

    /// Checks characters that stand in a string as they are.
    fn plain(&mut self, run: &[u8]) -> Result<(), Fault> {
        let (mut control, mut beyond_ascii) = (false, false);
        for &byte in run {
            control |= byte < 0x20;
            beyond_ascii |= byte >= 0x80;
        }
        if control {
            return Err(if run.contains(&b'\r') { Fault::CarriageReturn } else { Fault::Syntax });
        }
        if beyond_ascii && !self.breaks {
            self.breaks = run.windows(2).any(|pair| pair == b"\xC2\x85")
                || run.windows(3).any(|three| three == b"\xE2\x80\xA8" || three == b"\xE2\x80\xA9");
        }
        Ok(())
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.next() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let unit = self.hex4()?;
                match unit {
                    0xD800..=0xDBFF if R::STRICT => {
                        let low = self.next() == Some(b'\\')
                            && self.next() == Some(b'u')
                            && (0xDC00..=0xDFFF).contains(&self.hex4()?);
                        if low { Ok(()) } else { Err(Fault::LoneSurrogate) }
                    }
                    0xDC00..=0xDFFF if R::STRICT => Err(Fault::LoneSurrogate),
                    _ => Ok(()),
                }
            }
            _ => Err(Fault::Syntax),
        }
    }

    fn hex4(&mut self) -> Result<u16, Fault> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Fault::Syntax)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, &digit| {
            let value = char::from(digit).to_digit(16).ok_or(Fault::Syntax)?;
            let value = u16::try_from(value).map_err(|_| Fault::Syntax)?;
            Ok(unit << 4 | value)
        })
    }

    fn scalar(&mut self) -> Result<Kind, Fault> {
        let rest = &self.text[self.at..];
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return self.delimited(Kind::Literal);
            }
        }
        if !R::STRICT {
            for word in [&b"NaN"[..], b"Infinity", b"-Infinity"] {
                if rest.starts_with(word) {
                    self.at += word.len();
                    return self.delimited(Kind::Literal);
                }
            }
        }
        self.number()?;
        self.delimited(Kind::Number)
    }

    /// A scalar must not run into the next token: `truefalse`, `1"`.
    fn delimited(&self, kind: Kind) -> Result<Kind, Fault> {
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}' | b':') => Ok(kind),
            // At the outermost level this is what follows the value.
            Some(_) => Err(Fault::Syntax),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        /// Fewer digits than this stay finite.
        const SAFE: usize = 300;

        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.next() {
            Some(b'0') => {}
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(Fault::Syntax),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits_required()?;
        }
        let exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits_required()?;
        }
        if R::STRICT && (exponent || self.at - start > SAFE) {
            let literal = std::str::from_utf8(&self.text[start..self.at]);
            let value = literal.ok().and_then(|literal| literal.parse::<f64>().ok());
            if value.is_none_or(|value| !value.is_finite()) {
                return Err(Fault::Infinite);
            }
        }
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn digits_required(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.digits();
        if self.at > start { Ok(()) } else { Err(Fault::Syntax) }
    }
}

/// A container that is open, while its values are read.
#[derive(Clone, Copy, Debug)]
enum Open {
    Array,
    Object {
        /// Where its names begin in `Reader::members`.
        mark: usize,
    },
}

fn unescape_inner(inner: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    let mut quoted = Vec::with_capacity(inner.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(inner);
    quoted.push(b'"');
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text),
        // Only lenient reading comes here: the text is compared, never forwarded.
        Err(_) => Cow::Owned(String::from_utf8_lossy(inner).into_owned()),
    }
}

#[cfg(test)]
mod tests;
