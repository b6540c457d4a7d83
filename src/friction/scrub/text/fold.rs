//! Spells a text in ASCII where other characters only stand for it: full width letters, digits of
//! other scripts, hyphens and blanks of typesetters. What has no width is left out.

/// The first of ten digits in a row, in scripts that people write phone numbers in.
const ZEROS: [u32; 12] = [
    0x0660, 0x06F0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0BE6, 0x0C66, 0x0CE6, 0x0E50, 0x0ED0, 0x17E0,
];

/// The ways to spell a text, one after the other.
pub(super) const SPELLINGS: [Spelling; 2] = [Spelling::Ascii, Spelling::Joined];

/// How a text is spelled.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Spelling {
    /// In ASCII, as far as that is possible.
    Ascii,
    /// Also without what has no width.
    Joined,
}

/// What becomes of a character.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Folded {
    Same,
    As(char),
    Invisible,
}

/// The text in another spelling; `None` where that is the same.
pub(super) fn fold(text: &str, spelling: Spelling) -> Option<String> {
    let changes = |letter: char| match folded(letter) {
        Folded::Same => false,
        Folded::As(_) => true,
        Folded::Invisible => spelling == Spelling::Joined,
    };
    if !is_candidate(text.as_bytes()) || !text.chars().any(changes) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match folded(letter) {
            Folded::As(ascii) => out.push(ascii),
            Folded::Invisible if spelling == Spelling::Joined => {}
            Folded::Invisible | Folded::Same => out.push(letter),
        }
    }
    Some(out)
}

/// Whether there is a byte that starts such characters. Without a branch for each byte.
fn is_candidate(text: &[u8]) -> bool {
    text.chunks(64).any(|block| {
        let mut any = false;
        for byte in block {
            any |= matches!(byte, 0xC2 | 0xD9 | 0xDB | 0xE0..=0xE3 | 0xEF);
        }
        any
    })
}

fn folded(letter: char) -> Folded {
    let code = u32::from(letter);
    let ascii = match code {
        0x00AD | 0x200B..=0x200D | 0x2060 | 0xFEFF => return Folded::Invisible,
        0x0085 | 0x00A0 | 0x1680 | 0x2000..=0x200A | 0x2028 | 0x2029 | 0x202F | 0x205F | 0x3000 => {
            0x20
        }
        0x2010..=0x2015 | 0x2212 | 0xFE63 => 0x2D,
        0xFF01..=0xFF5E => code - 0xFF01 + 0x21,
        // The sign for kelvin is a K to readers who ignore case.
        0x212A => 0x4B,
        0x0660..0x17EA => match ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)) {
            Some(zero) => code - zero + 0x30,
            None => return Folded::Same,
        },
        _ => return Folded::Same,
    };
    char::from_u32(ascii).map_or(Folded::Same, Folded::As)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_ascii_is_spelled_in_it() {
        let table = [
            ("plain", None),
            ("h\u{e9} \u{6f22}", None),
            ("\u{ff14}\u{ff11}\u{ff15}", Some("415")),
            ("\u{664}\u{661}\u{665}", Some("415")),
            ("b\u{a0}c\u{2011}d", Some("b c-d")),
            ("\u{ff41}\u{ff20}\u{ff42}", Some("a@b")),
        ];
        for (text, folded) in table {
            assert_eq!(fold(text, Spelling::Ascii).as_deref(), folded);
        }
        assert_eq!(fold("a\u{200b}b", Spelling::Ascii), None);
        assert_eq!(fold("a\u{200b}b", Spelling::Joined).as_deref(), Some("ab"));
    }
}
