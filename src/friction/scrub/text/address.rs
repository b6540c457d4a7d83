//! Finds e-mail addresses, and credentials in URLs.

use memchr::memmem;

use super::{Look, Scan, is_word};
use crate::friction::scrub::{Category, placeholder};

// === impl Scan ===

impl Scan<'_, '_> {
    /// `local@domain.tld`, whose `@` is so many bytes long: `%40` is one, too.
    pub(super) fn email(&self, at: usize, length: usize) -> Look<'static> {
        let before = &self.whole[self.done..at];
        // Between two `%40` only: each byte is looked at once.
        let local = |letter: &char| is_local(*letter) && (length == 1 || *letter != '%');
        let local: usize = before.chars().rev().take_while(local).map(char::len_utf8).sum();
        let end = if local > 0 { self.domain(at + length) } else { None };
        end.map_or(Look::Nothing(at + 1), |end| {
            Look::Found(at - local, end, Category::Pattern("email"))
        })
    }

    /// Where a domain ends that starts there: behind the last dot that two letters follow, and then
    /// no more of the word.
    pub(super) fn domain(&self, start: usize) -> Option<usize> {
        let rest = self.whole.get(start..)?;
        let run = rest.chars().take_while(|letter| is_domain(*letter)).map(char::len_utf8).sum();
        let run: &str = &rest[..run];
        let mut end = run.len();
        while let Some(dot) = memchr::memrchr(b'.', &run.as_bytes()[..end]).filter(|dot| *dot > 0) {
            // What follows in another alphabet is not of it, unless all of it is.
            let label = &run[dot + 1..end];
            let ascii = label.bytes().take_while(u8::is_ascii_alphabetic).count();
            let letters = label.chars().take_while(|letter| is_letter(*letter));
            let length = match ascii {
                0 => letters.map(char::len_utf8).sum(),
                ascii => ascii,
            };
            let last = dot + 1 + length;
            if length >= 2 && !is_word(rest.as_bytes().get(last)) {
                return Some(start + last);
            }
            end = dot;
        }
        None
    }

    /// `scheme://user:password@host`, at its first colon.
    pub(super) fn credentials(&self, at: usize) -> Look<'static> {
        /// A user without a password that is this long is a token.
        const TOKEN: usize = 20;

        let Some(rest) = self.text[at..].strip_prefix(b"://") else {
            return Look::Nothing(at + 1);
        };
        let outside = |byte: &u8| super::is_blank(*byte) || b"/?#\"'<>\\`".contains(byte);
        let authority = &rest[..rest.iter().take_while(|byte| !outside(byte)).count()];
        let start = at + 3;
        let Some(user) = memchr::memrchr(b'@', authority) else {
            // No `@` up to there, and no `://`.
            return Look::Nothing(start);
        };
        if memmem::find(&authority[..user], placeholder::START.as_bytes()).is_some() {
            return Look::Nothing(start);
        }
        let password = memchr::memchr(b':', &authority[..user]).map_or(0, |colon| user - colon - 1);
        if user >= TOKEN || password > 0 {
            Look::Found(start, start + user, Category::Pattern("url_credentials"))
        } else {
            Look::Nothing(start)
        }
    }
}

fn is_local(letter: char) -> bool {
    matches!(letter, '.' | '_' | '%' | '+' | '-') || letter.is_ascii_digit() || is_letter(letter)
}

fn is_domain(letter: char) -> bool {
    matches!(letter, '.' | '-') || letter.is_ascii_digit() || is_letter(letter)
}

/// Letters of alphabets. Scripts without blanks between words do not count: an address would take the
/// sentence around it along.
fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic()
        || ('\u{aa}'..'\u{e00}').contains(&letter) && letter.is_alphabetic()
        || ('\u{1e00}'..'\u{2000}').contains(&letter) && letter.is_alphabetic()
}
