//! A file name for any text: one name for one text, on every file system.
//!
//! Agents are named by people and clients, so a name may hold a path, a control character, or
//! differ from another by case alone. Lower-case letters, digits, `-`, `_` and `.` stand for
//! themselves, `+m` for `M`, and `%c3` for any other byte of the UTF-8 text. That can be read
//! back, and two texts never share a name, also where case is not told apart. Escaped as well is
//! what a file system or a shell would misread: `.` at either end, a leading `-`, and the first
//! letter of a name that Windows keeps for a device (`con`, `lpt1.log`).
//!
//! A name that would be longer than [`LONGEST`] keeps its start, and ends in `~` and the SHA-256
//! of the text; it cannot be read back, so journals hold the whole text in their first record.

use std::fmt::Write as _;

use crate::seal;

/// The longest name, in bytes: with a suffix still far below the 255 of common file systems.
pub(super) const LONGEST: usize = 120;

/// How much of a long text its name still shows.
const SHOWN: usize = LONGEST - 1 - 64;

/// What Windows reserves, whatever the extension; COM and LPT go with a digit.
const DEVICES: [&str; 6] = ["aux", "con", "nul", "prn", "com", "lpt"];

/// The file name for a text. Never empty, never `.` or `..`, and without a separator.
pub(super) fn of(text: &str) -> String {
    if text.is_empty() {
        return "~".to_owned();
    }
    let device = is_device(text);
    let last = text.len() - 1;
    let mut name = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' if at == 0 || at == last => escape(&mut name, byte),
            b'-' if at == 0 => escape(&mut name, byte),
            _ if at == 0 && device => escape(&mut name, byte),
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            b'A'..=b'Z' => {
                name.push('+');
                name.push(char::from(byte.to_ascii_lowercase()));
            }
            _ => escape(&mut name, byte),
        }
    }
    if name.len() > LONGEST {
        name.truncate(SHOWN);
        name.push('~');
        name.push_str(&seal::digest(text.as_bytes()).to_string());
    }
    name
}

fn escape(name: &mut String, byte: u8) {
    write!(name, "%{byte:02x}").unwrap_or_else(|_| unreachable!("a string takes everything"));
}

fn is_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or_default();
    let stem = stem.trim_end_matches(' ').to_ascii_lowercase();
    let kind = stem.trim_end_matches(|last: char| last.is_ascii_digit());
    let digits = stem.len() - kind.len();
    let numbered = matches!(kind, "com" | "lpt");
    DEVICES.contains(&kind) && digits == usize::from(numbered)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text a name stands for, where it is not too long.
    fn read(name: &str) -> Option<String> {
        let (mut bytes, mut rest) = (Vec::new(), name.bytes());
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => rest.next()?.to_ascii_uppercase(),
                b'%' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
                }
                b'~' => return None,
                byte => byte,
            });
        }
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn names_are_as_documented() {
        let table = [
            ("filesystem-safe", "filesystem-safe"),
            ("my_agent.v2", "my_agent.v2"),
            ("MyAgent", "+my+agent"),
            ("", "~"),
            (".", "%2e"),
            ("..", "%2e%2e"),
            ("../../etc/passwd", "%2e.%2f..%2fetc%2fpasswd"),
            ("/etc", "%2fetc"),
            ("a\\b:c", "a%5cb%3ac"),
            ("a.", "a%2e"),
            ("-rf", "%2drf"),
            ("con", "%63on"),
            ("CON", "%43+o+n"),
            ("nul.txt", "%6eul.txt"),
            ("lpt1", "%6cpt1"),
            ("com", "com"),
            ("con1", "con1"),
            ("com10", "com10"),
            ("console", "console"),
            ("~", "%7e"),
            ("%2e", "%252e"),
            ("+m", "%2bm"),
            ("a b\0\u{1b}\n", "a%20b%00%1b%0a"),
            ("é", "%c3%a9"),
        ];
        for (text, name) in table {
            assert_eq!(of(text), name, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_stays_in_its_directory_and_can_be_read_back(text in "\\PC{0,40}|[.~+%/\\\\a-zA-Z0-9 -]{0,40}") {
            let name = of(&text);
            prop_assert!(!name.is_empty() && name.len() <= LONGEST);
            prop_assert!(!name.starts_with(['.', '-']) && !name.ends_with('.'));
            let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.+%~".contains(c);
            prop_assert!(name.chars().all(fine), "{}", name);
            if !name.contains('~') {
                prop_assert_eq!(read(&name), Some(text));
            }
        }

        #[test]
        fn long_texts_that_differ_at_their_end_have_two_names(
            start in "[a-zé]{90,400}", a in "[a-z]{9}", b in "[a-z]{9}",
        ) {
            prop_assume!(a != b);
            let (a, b) = (of(&format!("{start}{a}")), of(&format!("{start}{b}")));
            prop_assert!(a.len() <= LONGEST && b.len() <= LONGEST);
            prop_assert_ne!(a, b);
        }
    }
}
