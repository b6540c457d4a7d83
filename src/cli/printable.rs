//! Text of others, made safe to print: what a terminal would act on is shown as an escape.

use std::fmt::{self, Write as _};

use crate::friction::report::text::is_active;

/// Shows text on one line, with `\u{1b}` in place of what is not to be seen: control characters
/// (of C0, DEL and C1), line and paragraph separators, and what turns or hides the text around it.
///
/// So neither a tool's name nor a path can colour, move, overwrite or reorder what is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_active(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        let table = [
            ("read_file", "read_file"),
            ("naïve 工具 \"x\" \\", "naïve 工具 \"x\" \\"),
            ("a\u{1b}[2Jb\r\n\t", "a\\u{1b}[2Jb\\r\\n\\t"),
            ("\u{7f}\u{9b}\0", "\\u{7f}\\u{9b}\\u{0}"),
            ("a\u{202e}b\u{2066}\u{200b}", "a\\u{202e}b\\u{2066}\\u{200b}"),
            ("\u{2028}\u{feff}\u{e0041}", "\\u{2028}\\u{feff}\\u{e0041}"),
        ];
        for (text, shown) in table {
            assert_eq!(Printable(text).to_string(), shown);
        }
    }
}
