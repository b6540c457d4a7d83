//! Others' text on its way into a report: cut to a length, and made harmless to look at.

use std::borrow::Cow;
use std::fmt::Write as _;

pub use crate::gate::plain::is_active;

/// The beginning of a text, and how much more of it there was.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Excerpt {
    text: String,
    /// Characters that were not kept.
    more: usize,
}

// === impl Excerpt ===

impl Excerpt {
    /// Keeps the first `most` characters.
    pub fn new(text: &str, most: usize) -> Self {
        match text.char_indices().nth(most) {
            None => Self { text: text.to_owned(), more: 0 },
            Some((at, _)) => Self { text: text[..at].to_owned(), more: text[at..].chars().count() },
        }
    }

    /// What was kept.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// At most so many characters of it; where there are more, with a mark that says how many.
    pub fn shown(&self, most: usize) -> Cow<'_, str> {
        let part = Self::new(&self.text, most);
        match part.more + self.more {
            0 => Cow::Borrowed(&self.text),
            more => Cow::Owned(format!("{} […{more} more]", part.text)),
        }
    }
}

/// At most so many characters of a text; where there are more, with a mark that says how many.
pub fn cut(text: &str, most: usize) -> String {
    Excerpt::new(text, most).shown(most).into_owned()
}

/// The text on one line, with `\n` and `\u{202e}` in place of what would act instead of being seen:
/// control characters, separators of lines, and what turns or hides the text around it.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\t' => shown.push(' '),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            active if is_active(active) => {
                // Writing to a string does not fail.
                let _ = write!(shown, "{}", active.escape_unicode());
            }
            other => shown.push(other),
        }
    }
    Cow::Owned(shown)
}

/// A duration for people: `7 ms`, `12.3 s`, `4 min 5 s`, `2 h 3 min`.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for (text, most, shown) in [
            ("", 0, ""),
            ("abc", 3, "abc"),
            ("abcd", 3, "abc […1 more]"),
            ("äöü€", 2, "äö […2 more]"),
            ("a", 0, " […1 more]"),
        ] {
            assert_eq!(cut(text, most), shown);
        }
        let kept = Excerpt::new("abcdefgh", 5);
        assert_eq!((&*kept.shown(9), &*kept.shown(2)), ("abcde […3 more]", "ab […6 more]"));
    }

    #[test]
    fn what_acts_is_shown() {
        for (text, shown) in [
            ("naïve 工具 عربي", "naïve 工具 عربي"),
            ("a\nb\r\n\tc", "a\\nb\\r\\n c"),
            ("a\u{202e}b\u{1b}[2J\0", "a\\u{202e}b\\u{1b}[2J\\u{0}"),
            ("\u{2028}\u{200b}\u{feff}\u{e0041}", "\\u{2028}\\u{200b}\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn durations_are_for_people() {
        for (ms, shown) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 0 s"),
            (3_599_999, "59 min 59 s"),
            (3_600_000, "1 h 0 min"),
            (90_061_000, "25 h 1 min"),
        ] {
            assert_eq!(duration(ms), shown);
        }
    }
}
