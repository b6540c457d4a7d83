//! Finds values by the name before them: `password=…`, `"token": "…"`, `Authorization: …`.

use super::{Look, Scan};
use crate::friction::scrub::Category;
use crate::friction::scrub::field::{self, Field};

/// How many blanks or backslashes may stand around a separator.
const AROUND: usize = 8;

/// After a name without quotes and a colon, fewer bytes than this are a word of a sentence.
const LEAST: usize = 4;

// === impl Scan ===

impl Scan<'_> {
    /// Looks around a `:` or `=`.
    pub(super) fn assigned(&self, at: usize) -> Look<'static> {
        let nothing = Look::Nothing(at + 1);
        let Some((field, quoted)) = self.named_before(at) else {
            return nothing;
        };
        let Some((start, end)) = self.value_after(at + 1, field) else {
            return nothing;
        };
        let value = &self.text[start..end];
        let nobody = [&b"null"[..], b"true", b"false", b"None", b"undefined"].contains(&value);
        let sentence = !quoted && self.text[at] == b':' && value.len() < LEAST;
        if nobody || sentence || value.is_empty() {
            return nothing;
        }
        Look::Found(start, end, Category::Field(field.name))
    }

    /// The field whose name ends before a separator, and whether the name is quoted.
    fn named_before(&self, at: usize) -> Option<(Field<'static>, bool)> {
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
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let rest = without_last(before, field::LONGEST + 1, letters);
        let name = str::from_utf8(&before[rest.len()..]).ok()?;
        Some((field::named(name)?, quoted))
    }

    /// Where the value stands that follows a separator, without its quotes.
    fn value_after(&self, at: usize, field: Field<'_>) -> Option<(usize, usize)> {
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
        // Another structure, or what was taken out already.
        if matches!(text.get(start), None | Some(b'[' | b'{' | b':' | b'='))
            || text[start..].starts_with(b"//")
        {
            return None;
        }
        let ends = |byte: u8| match byte {
            b'\n' | b'\r' | b'"' | b'\\' => true,
            _ if field.line => false,
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

/// How many of the first bytes, at most `most`, are of a kind.
fn first(text: &[u8], most: usize, kind: impl Fn(u8) -> bool) -> usize {
    text.iter().take(most).take_while(|byte| kind(**byte)).count()
}

/// The text without its last bytes that are of a kind, at most `most`.
fn without_last(text: &[u8], most: usize, kind: impl Fn(u8) -> bool) -> &[u8] {
    let last = text.iter().rev().take(most).take_while(|byte| kind(**byte)).count();
    &text[..text.len() - last]
}
