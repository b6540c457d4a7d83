//! Splits a command as it stands in a setting into its words. Pure.
//!
//! There is no shell: no variables, no `~`, no globs, no pipes. Blanks separate words; what stands
//! between `"` or between `'` is taken as it is, blanks included, and may be part of a word. A
//! backslash is a character like any other, as Windows paths need it. Whoever needs more writes a
//! JSON array of texts: `["vault", "read", "-field=it's"]`.

/// A command that cannot be read as words.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotWords {
    /// No program is named.
    #[error("names no program")]
    Empty,
    /// A quotation mark has no partner.
    #[error("opens a quotation that does not end")]
    Unclosed,
    /// It begins like a JSON array, and is not one of texts.
    #[error("is no JSON array of texts")]
    NotAnArray,
    /// No program could be told such a word.
    #[error("holds a control character")]
    Control,
}

/// The words of a command; the first, which is not empty, is the program.
///
/// # Errors
///
/// [`NotWords`], which holds nothing of the text.
pub(super) fn split(text: &str) -> Result<Vec<String>, NotWords> {
    let words = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|_| NotWords::NotAnArray)?
    } else {
        quoted(text)?
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(NotWords::Empty);
    }
    if words.iter().any(|word| word.chars().any(char::is_control)) {
        return Err(NotWords::Control);
    }
    Ok(words)
}

fn quoted(text: &str) -> Result<Vec<String>, NotWords> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '"' | '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some(end) if end == next => break,
                        Some(within) => word.push(within),
                        None => return Err(NotWords::Unclosed),
                    }
                }
            }
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_without_a_shell() {
        for (text, expected) in [
            ("vault", Ok(&["vault"][..])),
            ("  vault  read\t-field=key x ", Ok(&["vault", "read", "-field=key", "x"])),
            (r#""/opt/my tools/key" --for 'a b'"#, Ok(&["/opt/my tools/key", "--for", "a b"])),
            (r#"a --x="b c"d '' "it's""#, Ok(&["a", "--x=b cd", "", "it's"])),
            (r"C:\tools\key.exe --to \\host\x", Ok(&[r"C:\tools\key.exe", "--to", r"\\host\x"])),
            ("a $HOME ~ * | b && c", Ok(&["a", "$HOME", "~", "*", "|", "b", "&&", "c"])),
            (r#"["a b", "it's \"x\"", ""]"#, Ok(&["a b", "it's \"x\"", ""])),
            ("", Err(NotWords::Empty)),
            (" \t", Err(NotWords::Empty)),
            ("'' x", Err(NotWords::Empty)),
            ("[]", Err(NotWords::Empty)),
            ("a 'b", Err(NotWords::Unclosed)),
            ("a \"b' c", Err(NotWords::Unclosed)),
            ("[\"a\", 1]", Err(NotWords::NotAnArray)),
            ("[ -f x ]", Err(NotWords::NotAnArray)),
            ("a b\u{0}c", Err(NotWords::Control)),
        ] {
            let expected = expected
                .map(|words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(split(text), expected, "{text:?}");
        }
    }
}
