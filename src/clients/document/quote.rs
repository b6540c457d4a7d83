//! Strings and names as they are written.

use std::fmt::Write as _;

use super::Syntax;

/// A name as it is written for a member.
pub(super) fn key(name: &str, syntax: Syntax) -> String {
    let bare = match syntax {
        Syntax::Json => false,
        Syntax::Toml => {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            !name.is_empty() && name.bytes().all(letter)
        }
        Syntax::Yaml => is_plain(name),
    };
    if bare { name.to_owned() } else { quote(name) }
}

/// A string in double quotes, which all three syntaxes read alike.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if is_hidden(letter) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// What one syntax or another does not take as it is. All are of four digits.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether YAML reads a word without quotes as itself, whichever its version.
fn is_plain(name: &str) -> bool {
    const TAKEN: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !TAKEN.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_string_is_read_alike_by_all() {
        for text in [
            "",
            "a",
            "\"",
            "\\",
            "\n\r\t",
            "\0\u{1b}\u{7f}\u{85}",
            "é😀",
            "\u{feff}\u{2028}",
            "${a}",
            "'",
        ] {
            let quoted = quote(text);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            let table: toml_edit::DocumentMut = format!("a = {quoted}").parse().unwrap();
            assert_eq!(table["a"].as_str(), Some(text));
            let events = saphyr_parser::Parser::new_from_str(&quoted).flatten();
            let is_it = |event: &saphyr_parser::Event<'_>| matches!(event, saphyr_parser::Event::Scalar(read, ..) if read == text);
            assert_eq!(events.filter(|(event, _)| is_it(event)).count(), 1, "{quoted}");
        }
    }

    #[test]
    fn a_name_has_quotes_where_it_needs_them() {
        for (name, syntax, written) in [
            ("PATH", Syntax::Json, "\"PATH\""),
            ("PATH", Syntax::Toml, "PATH"),
            ("PATH", Syntax::Yaml, "PATH"),
            ("a-b", Syntax::Toml, "a-b"),
            ("a-b", Syntax::Yaml, "\"a-b\""),
            ("a.b", Syntax::Toml, "\"a.b\""),
            ("", Syntax::Toml, "\"\""),
            ("No", Syntax::Yaml, "\"No\""),
            ("1A", Syntax::Yaml, "\"1A\""),
        ] {
            assert_eq!(key(name, syntax), written);
        }
    }
}
