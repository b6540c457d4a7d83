//! Unescapes what stands between a string's quotes, whatever it is.

use std::borrow::Cow;

/// The text, and whether its spelling is JSON that every reader accepts. Halves of surrogate pairs
/// and bytes that are not UTF-8 become U+FFFD.
pub(super) fn decode(inner: &[u8]) -> (Cow<'_, str>, bool) {
    let utf8 = str::from_utf8(inner);
    let raw_control = inner.chunks(64).any(|block| {
        let mut any = false; // without a branch for each byte
        for byte in block {
            any |= *byte < 0x20;
        }
        any
    });
    let text = utf8.map_or_else(|_| String::from_utf8_lossy(inner), Cow::Borrowed);
    let faithful = utf8.is_ok() && !raw_control;
    if memchr::memchr(b'\\', inner).is_none() {
        return (text, faithful);
    }
    let (unescaped, whole) = unescape(&text);
    (Cow::Owned(unescaped), faithful && whole)
}

/// Says also whether every surrogate was one of a pair.
fn unescape(text: &str) -> (String, bool) {
    let mut out = String::with_capacity(text.len());
    let mut whole = true;
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else { break };
        rest = &rest[escape.len_utf8()..];
        match escape {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'u' => {
                let unit = unit(&mut rest);
                let character = match unit {
                    Some(high @ 0xD800..=0xDBFF) => {
                        let mut after = rest;
                        let low = after.strip_prefix("\\u").and_then(|digits| {
                            after = digits;
                            self::unit(&mut after)
                        });
                        low.filter(|low| (0xDC00..=0xDFFF).contains(low)).and_then(|low| {
                            rest = after;
                            char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
                        })
                    }
                    Some(unit) => char::from_u32(unit),
                    None => None,
                };
                whole &= character.is_some();
                out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => out.push(other),
        }
    }
    out.push_str(rest);
    (out, whole)
}

/// Takes four hexadecimal digits.
fn unit(rest: &mut &str) -> Option<u32> {
    let digits = rest.get(..4)?;
    let unit = u32::from_str_radix(digits, 16).ok()?;
    *rest = &rest[4..];
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_text_is_read() {
        let table: [(&[u8], &str, bool); 12] = [
            (b"plain", "plain", true),
            (b"", "", true),
            (br#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t", true),
            (br"\u0065yJ", "eyJ", true),
            (br"\ud83d\ude00!", "\u{1f600}!", true),
            (br"\ud83d!", "\u{fffd}!", false),
            (br"\ude00", "\u{fffd}", false),
            (br"\ud83d\u0041", "\u{fffd}A", false),
            (br"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}", false),
            (b"a\xffb", "a\u{fffd}b", false),
            (b"a\x01b", "a\u{1}b", false),
            ("h\u{e9}".as_bytes(), "h\u{e9}", true),
        ];
        for (inner, text, faithful) in table {
            assert_eq!(decode(inner), (text.into(), faithful));
        }
    }
}
