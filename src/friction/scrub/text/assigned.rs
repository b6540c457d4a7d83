//! Finds values by the name before them: `password=…`, `"token": "…"`, `Authorization: …`,
//! `--token …`.

use memchr::memmem;

use super::{Look, Scan};
use crate::friction::scrub::Category;
use crate::friction::scrub::field::{self, Field};
use crate::friction::scrub::placeholder;

/// How many blanks or backslashes may stand around a separator: JSON within JSON within JSON has
/// seven before each quote.
const AROUND: usize = 16;

/// After a name without quotes and a colon, fewer bytes than this are a word of a sentence.
const LEAST: usize = 4;

/// A name before a separator.
struct Named<'r> {
    field: Field<'r>,
    quoted: bool,
    /// The fewest bytes that its value has.
    least: usize,
}

// === impl Scan ===

impl<'r> Scan<'_, 'r> {
    /// Looks around a `:` or `=`.
    pub(super) fn assigned(&self, at: usize) -> Look<'r> {
        let nothing = Look::Nothing(at + 1);
        let Some(name) = self.named_before(at) else {
            return nothing;
        };
        let Some((start, end)) = self.value_after(at + 1, &name) else {
            return nothing;
        };
        let value = &self.text[start..end];
        let nobody = [&b"null"[..], b"true", b"false", b"None", b"undefined"].contains(&value);
        let sentence = !name.quoted && self.text[at] == b':' && value.len() < LEAST;
        // Where something was taken out of it, its length says nothing.
        let short = name.least > 1
            && (value.len() < name.least
                || memmem::find(value, placeholder::START.as_bytes()).is_some());
        if nobody || sentence || short || value.is_empty() {
            return nothing;
        }
        Look::Found(start, end, Category::Field(name.field.name))
    }

    /// `--password hunter2`
    pub(super) fn flag(&self, at: usize) -> Look<'r> {
        let nothing = Look::Nothing(at + 1);
        let from = at + 2;
        if !self.text[at..].starts_with(b"--") || (at > self.done && self.text[at - 1] == b'-') {
            return nothing;
        }
        // Nothing else can be found in such a name.
        let letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-');
        let until = from + first(&self.text[from..], field::LONGEST + 1, letter);
        if self.text.get(from).is_none_or(|byte| !byte.is_ascii_alphabetic()) {
            return nothing;
        }
        let start = until + first(&self.text[until..], AROUND, |byte| byte == b' ');
        let Some(field) = self.field(&self.text[from..until]).filter(|_| start > until) else {
            return nothing;
        };
        let begins = self.text.get(start).is_some_and(|byte| !b"-<[{=:\"'".contains(byte));
        let ends = |byte: u8| byte.is_ascii_whitespace() || b"\"'`\\,;|&)]}".contains(&byte);
        let end = start + first(&self.text[start..], usize::MAX, |byte| !ends(byte));
        if begins && end - start >= LEAST {
            Look::Found(start, end, Category::Field(field.name))
        } else {
            nothing
        }
    }

    /// The field whose name ends before a separator.
    fn named_before(&self, at: usize) -> Option<Named<'r>> {
        /// The fewest bytes of what only a query's parameter is known by.
        const PARAMETER: usize = 16;

        let mut before = &self.text[self.done..at];
        if self.text[at] == b'=' {
            before = before.strip_suffix(b":").unwrap_or(before);
        }
        before = without_last(before, AROUND, |byte| matches!(byte, b' ' | b'\t'));
        let quoted = matches!(before.last(), Some(b'"' | b'\''));
        if quoted {
            before = without_last(before, 1, |_| true);
            before = without_last(before, AROUND, |byte| byte == b'\\');
        }
        let rest = without_last(before, field::LONGEST + 1, is_name);
        let name = &before[rest.len()..];
        if let Some(field) = self.field(name) {
            return Some(Named { field, quoted, least: 1 });
        }
        let parameter = self.text[at] == b'=' && matches!(rest.last(), Some(b'?' | b'&' | b'#'));
        let field = field::parameter(name).filter(|_| parameter)?;
        Some(Named { field, quoted, least: PARAMETER })
    }

    fn field(&self, name: &[u8]) -> Option<Field<'r>> {
        if name.is_empty() {
            return None;
        }
        let name = str::from_utf8(name).ok()?;
        self.custom.field(name).or_else(|| field::named(name))
    }

    /// Where the value stands that follows a separator, without its quotes.
    fn value_after(&self, at: usize, name: &Named<'_>) -> Option<(usize, usize)> {
        let text = self.text;
        let mut start = at;
        if text[at - 1] == b'=' && matches!(text.get(start), Some(b'>' | b'=')) {
            start += 1;
        }
        start += first(&text[start..], AROUND, |byte| matches!(byte, b' ' | b'\t'));
        let slashes = first(&text[start..], AROUND, |byte| byte == b'\\');
        let quote = text.get(start + slashes).copied();
        if let Some(quote @ (b'"' | b'\'')) = quote {
            let inner = start + slashes + 1;
            return Some((inner, closing(text, inner, quote, slashes)));
        }
        match text.get(start)? {
            b'[' | b'{' if name.quoted => {
                let end = start + bracketed(&text[start..]);
                // What was taken out already stays.
                return (!placeholder::is_one(&text[start..end])).then_some((start, end));
            }
            b'[' | b'{' | b':' | b'=' => return None,
            b'/' if text[start..].starts_with(b"//") => return None,
            _ => {}
        }
        let ends = |byte: u8| match byte {
            b'\n' | b'\r' | b'"' | b'\\' => true,
            _ if name.field.line => false,
            _ => byte.is_ascii_whitespace() || b"',;&)]}<>|`".contains(&byte),
        };
        let end = start + first(&text[start..], usize::MAX, |byte| !ends(byte));
        Some((start, end))
    }
}

/// Where a quoted value ends: at its quote, behind as many backslashes as before its first one, or
/// at the text's end.
fn closing(text: &[u8], inner: usize, quote: u8, slashes: usize) -> usize {
    let mut at = inner;
    while let Some(run) = memchr::memchr(quote, &text[at..]) {
        let end = at + run;
        let escapes = text[at..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
        let closes = if slashes == 0 { escapes % 2 == 0 } else { escapes == slashes };
        if closes {
            return end - escapes.min(slashes);
        }
        at = end + 1;
    }
    text.len()
}

/// How long what stands in brackets is that starts here, brackets in strings aside; all the text,
/// where they do not end.
fn bracketed(text: &[u8]) -> usize {
    let mut open = 0_usize;
    let mut quoted = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            // Within a string it ends nothing; where all quotes are escaped, brackets in strings
            // count, too.
            b'"' if text[at - 1] == b'\\' => {}
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => open += 1,
            b']' | b'}' if !quoted => {
                open -= 1;
                if open == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// How many of the first bytes, at most `most`, are of a kind.
fn first(text: &[u8], most: usize, kind: impl Fn(u8) -> bool) -> usize {
    text.iter().take(most).take_while(|byte| kind(**byte)).count()
}

/// The text without its last bytes that are of a kind, at most `most`.
fn without_last(text: &[u8], most: usize, kind: impl Fn(u8) -> bool) -> &[u8] {
    let last = text.iter().rev().take(most).take_while(|byte| kind(**byte)).count();
    &text[..text.len() - last]
}
