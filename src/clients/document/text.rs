//! Bytes as text: the byte order mark, other encodings, and places as people count them.

use std::ops::Range;

use super::{Malformed, Syntax};

/// The byte order mark of UTF-8.
pub(super) const MARK: &str = "\u{feff}";

/// The bytes as text, without a byte order mark, and whether there was one.
pub(super) fn read(bytes: &[u8]) -> Result<(bool, &str), Malformed> {
    let wide = |first: u8, second: u8| bytes.starts_with(&[first, second]);
    if wide(0xff, 0xfe) || wide(0xfe, 0xff) || looks_wide(bytes) {
        return Err(Malformed {
            line: 1,
            column: 1,
            what: "the file is written in UTF-16: save it as UTF-8".to_owned(),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = std::str::from_utf8(&bytes[..error.valid_up_to()])
            .unwrap_or_else(|_| unreachable!("up to there it is valid"));
        Malformed::at(good, good.len(), "a byte that is not UTF-8")
    })?;
    Ok(text.strip_prefix(MARK).map_or((false, text), |text| (true, text)))
}

/// Whether every other byte of the first few is zero: UTF-16 without a mark.
fn looks_wide(bytes: &[u8]) -> bool {
    match bytes {
        [first, second, third, fourth, ..] => {
            (*first == 0) != (*second == 0) && (*first == 0) == (*third == 0) && {
                (*second == 0) == (*fourth == 0)
            }
        }
        _ => false,
    }
}

/// The first of a mark in a part of a text that has no strings in it, comments aside.
pub(super) fn find(text: &str, part: Range<usize>, mark: char, syntax: Syntax) -> Option<usize> {
    let mut at = part.start;
    while at < part.end {
        let rest = &text[at..part.end];
        let json = syntax == Syntax::Json;
        at += if rest.starts_with(mark) {
            return Some(at);
        } else if json && rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with(if json { "//" } else { "#" }) {
            rest.find(['\n', '\r']).unwrap_or(rest.len())
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
    }
    None
}

// === impl Malformed ===

impl Malformed {
    /// Something at a byte of a text.
    pub(super) fn at(text: &str, offset: usize, what: impl Into<String>) -> Self {
        let offset = (0..=offset.min(text.len())).rfind(|at| text.is_char_boundary(*at));
        let before = &text[..offset.unwrap_or_default()];
        let before = before.strip_prefix(MARK).unwrap_or(before);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            what: what.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters_from_one() {
        for (text, offset, line, column) in
            [("", 0, 1, 1), ("ab", 1, 1, 2), ("é\n", 2, 1, 2), ("a\r\né{", 5, 2, 2), ("a", 9, 1, 2)]
        {
            let found = Malformed::at(text, offset, "x");
            assert_eq!((found.line, found.column), (line, column), "{text:?} {offset}");
        }
    }

    #[test]
    fn other_encodings_are_named() {
        for bytes in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}", b"{\0}\0", b"\0{\0}"] {
            let error = read(bytes).unwrap_err();
            assert!(error.what.contains("UTF-16"), "{error}");
        }
        let error = read(b"{\n \"\xe9\"}").unwrap_err();
        assert_eq!(error.to_string(), "line 2, column 3: a byte that is not UTF-8");
        assert_eq!(read("\u{feff}{}".as_bytes()), Ok((true, "{}")));
        assert_eq!(read(b""), Ok((false, "")));
    }
}
