//! Finds secrets in one text by what they look like.
//!
//! A hand-written scanner: few bytes can start (or, like `@`, stand in) a secret, and only there
//! something is looked for. Patterns overlap; what was taken out is not looked at again.
//!
//! # Invariants
//!
//! - Linear: whatever is looked at around a byte is bounded, or is skipped afterwards, or is looked
//!   at by no other byte of its kind (a run between two `@`).
//! - At least what baton-proxy's patterns take is taken, but for what [`number`] says.
//! - What is found anew in a text that was scrubbed is what stands there already: placeholders stay.

mod address;
mod assigned;
mod blob;
mod fold;
mod token;

use super::custom::Custom;
use super::number::{self, is_word};
use super::{Category, placeholder};

/// What is found at a byte.
enum Look<'r> {
    /// Something, from here to there. It may begin before the byte.
    Found(usize, usize, Category<'r>),
    /// Nothing; go on there.
    Nothing(usize),
}

/// What may be found at a byte.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// Nothing.
    Plain,
    /// A token, at the start of a word.
    Letter,
    /// A JWT, behind `_` too.
    Jwt,
    /// A number.
    Digit,
    /// Anything else.
    Mark,
}

const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Plain; 256];
    let mut byte = b'0';
    while byte <= b'9' {
        kinds[byte as usize] = Kind::Digit;
        byte += 1;
    }
    let letters = token::FIRST;
    let mut nth = 0;
    while nth < letters.len() {
        kinds[letters[nth] as usize] = Kind::Letter;
        nth += 1;
    }
    kinds[b'e' as usize] = Kind::Jwt;
    let marks = b"@%+(-:=";
    let mut nth = 0;
    while nth < marks.len() {
        kinds[marks[nth] as usize] = Kind::Mark;
        nth += 1;
    }
    kinds
};

/// The text without its secrets; `None` where it has none. Tells `found` of each.
pub(super) fn scrub<'r>(
    text: &str,
    custom: &'r Custom,
    mut found: impl FnMut(Category<'r>),
) -> Option<String> {
    if text.len() < SHORTEST || blob::is_blob(text) {
        return None;
    }
    let mut scrubbed = written(text, custom, &mut found);
    if text.is_ascii() {
        return scrubbed;
    }
    // Spelled in other letters only where those hide something.
    for spelling in fold::SPELLINGS {
        let folded = fold::fold(scrubbed.as_deref().unwrap_or(text), spelling);
        let more = folded.and_then(|folded| written(&folded, custom, &mut found));
        scrubbed = more.or(scrubbed);
    }
    scrubbed
}

/// The same, by one scan.
fn written<'r>(
    text: &str,
    custom: &'r Custom,
    found: &mut impl FnMut(Category<'r>),
) -> Option<String> {
    let taken = Scan::new(text, custom).run();
    if taken.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end, category) in taken {
        out.push_str(&text[done..start]);
        category.spell(&mut out);
        found(category);
        done = end;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// The shortest text that can hold a secret: `pwd=a`.
const SHORTEST: usize = 5;

/// A scan over one text.
struct Scan<'t, 'r> {
    custom: &'r Custom,
    whole: &'t str,
    text: &'t [u8],
    /// What stands before was taken out already.
    done: usize,
    /// No token that starts before has the parts of a JWT.
    no_jwt_before: usize,
}

// === impl Scan ===

impl<'t, 'r> Scan<'t, 'r> {
    fn new(text: &'t str, custom: &'r Custom) -> Self {
        Self { custom, whole: text, text: text.as_bytes(), done: 0, no_jwt_before: 0 }
    }

    /// What is to be taken out, in its order.
    fn run(mut self) -> Vec<(usize, usize, Category<'r>)> {
        let mut taken = Vec::new();
        let mut at = 0;
        while let Some(next) = self.next(at) {
            match self.look(next) {
                Look::Found(start, end, category) => {
                    if !placeholder::is_one(&self.text[start..end]) {
                        taken.push((start, end, category));
                    }
                    self.done = end;
                    at = end;
                }
                Look::Nothing(next) => at = next,
            }
        }
        taken
    }

    /// The next byte at which something may be found.
    fn next(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            match KINDS[usize::from(*self.text.get(at)?)] {
                Kind::Digit | Kind::Mark => return Some(at),
                Kind::Letter if self.begins(at) => return Some(at),
                Kind::Jwt if self.text[at..].starts_with(b"eyJ") => return Some(at),
                Kind::Jwt | Kind::Letter | Kind::Plain => at += 1,
            }
        }
    }

    fn look(&mut self, at: usize) -> Look<'r> {
        match self.text[at] {
            b':' | b'=' => match self.assigned(at) {
                Look::Found(start, end, category) => {
                    Look::Found(start, self.stretched(start, end), category)
                }
                Look::Nothing(_) => self.pattern(at),
            },
            _ => self.pattern(at),
        }
    }

    /// Looks for what is known by its own looks, not by a name before it.
    fn pattern(&mut self, at: usize) -> Look<'r> {
        match self.text[at] {
            b'@' => self.email(at, 1),
            b'%' if self.text[at..].starts_with(b"%40") => self.email(at, 3),
            b'0'..=b'9' => self.number(at),
            b'+' => self.plus(at),
            b'(' => self.parenthesis(at),
            b':' => self.credentials(at),
            b'%' | b'=' => Look::Nothing(at + 1),
            b'-' if self.text[at..].starts_with(token::BEGIN) => self.pem(at),
            b'-' => self.flag(at),
            _ => self.token(at),
        }
    }

    /// Where a value ends in truth that ends there by its name's rules: what begins within it is not
    /// cut in two.
    fn stretched(&mut self, start: usize, end: usize) -> usize {
        let mut at = start;
        while let Some(next) = self.next(at).filter(|next| *next < end) {
            match self.pattern(next) {
                Look::Found(_, last, _) if last > end => return last,
                Look::Found(_, next, _) | Look::Nothing(next) => at = next,
            }
        }
        end
    }

    /// A card, a phone, a social security or an account number.
    fn number(&self, at: usize) -> Look<'static> {
        if !self.begins(at) {
            let digits = self.text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            return match number::account(self.text, at) {
                Some((start, end, category)) if start >= self.done => {
                    Look::Found(start, end, category)
                }
                _ => Look::Nothing(at + digits),
            };
        }
        if let Some((end, category)) = number::at(self.text, at) {
            return self.address_with(end).unwrap_or(Look::Found(at, end, category));
        }
        let digits = self.text[at..].iter().take_while(|byte| byte.is_ascii_digit());
        Look::Nothing(at + digits.count())
    }

    /// `+44 20 7946 0958`
    fn plus(&self, at: usize) -> Look<'static> {
        match number::international(self.text, at).filter(|_| self.begins(at)) {
            Some((end, category)) => {
                self.address_with(end).unwrap_or(Look::Found(at, end, category))
            }
            None => Look::Nothing(at + 1),
        }
    }

    /// `(415) 555-1234`
    fn parenthesis(&self, at: usize) -> Look<'static> {
        if self.text.get(at + 4) != Some(&b')') || !self.text[at + 1].is_ascii_digit() {
            return Look::Nothing(at + 1);
        }
        match number::at(self.text, at + 1) {
            Some((end, category)) if end > at + 5 => Look::Found(at, end, category),
            _ => Look::Nothing(at + 1),
        }
    }

    /// Whether no letter, digit or `_` stands before: neither does where something was taken out.
    fn begins(&self, at: usize) -> bool {
        at == self.done || !is_word(self.text.get(at - 1))
    }

    /// The address in whose first half a number ends here.
    fn address_with(&self, end: usize) -> Option<Look<'static>> {
        /// The longest that such halves are.
        const LOCAL: usize = 64;

        let rest = &self.text[end..];
        let local = rest
            .iter()
            .take(LOCAL)
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte))
            .count();
        let at = (rest.get(local) == Some(&b'@')).then_some(end + local)?;
        let look = self.email(at, 1);
        matches!(look, Look::Found(..)).then_some(look)
    }
}

/// Whether it is what ASCII has of blanks.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0x1c..=0x1f)
}
