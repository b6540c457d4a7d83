//! Text of others, put where a person reads it.
//!
//! # Invariants
//!
//! - What is shown is one line, and no character of it acts on the text around it.

/// Whether a character acts on the text around it instead of being seen: it controls, separates
/// lines, turns the direction of writing, or is invisible.
pub fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text on one line, at most `most` bytes of it. A character that acts instead of being seen
/// becomes U+FFFD, a tab or a line break a blank; of what is longer, both ends are shown and how many
/// bytes are left out.
pub fn excerpt(text: &str, most: usize) -> String {
    let shown = |text: &str| -> String {
        text.chars()
            .map(|character| match character {
                '\t' | '\n' | '\r' => ' ',
                active if is_active(active) => char::REPLACEMENT_CHARACTER,
                other => other,
            })
            .collect()
    };
    let clean = shown(&text[..text.floor_char_boundary(most + 1)]);
    if text.len() <= most && clean.len() <= most {
        return clean;
    }
    // A character that is replaced may be shorter than what replaces it: three bytes at most.
    let (head, tail) = (most / 2, most / 6);
    let head = shown(&text[..text.floor_char_boundary(head.min(text.len()))]);
    let rest = text.ceil_char_boundary(text.len().saturating_sub(tail));
    let tail = shown(&text[rest..]);
    let (head, tail) = (within(&head, most / 2), within(&tail, most / 6));
    format!("{head} […{} bytes in all…] {tail}", text.len())
}

fn within(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_one_line_and_acts_on_nothing() {
        let hidden = "\u{202e}".repeat(2_000);
        let nulls = "\0".repeat(900);
        for (text, shown) in [
            ("", Some("")),
            ("{\"a\": 1}", Some("{\"a\": 1}")),
            ("a\tb\nc\rd\u{7}e\u{202e}f", Some("a b c d\u{fffd}e\u{fffd}f")),
            (&"é".repeat(2_000), None),
            (&hidden, None),
            (&nulls, None),
        ] {
            let found = excerpt(text, 600);
            assert!(found.len() <= 640, "{}", found.len());
            assert!(!found.chars().any(is_active), "{found}");
            if let Some(shown) = shown {
                assert_eq!(found, shown);
            }
        }
        let cut = excerpt(&format!("{{\"a\":\"{}\",\"z\":1}}", "x".repeat(5_000)), 600);
        assert!(cut.starts_with("{\"a\":\"xxx") && cut.ends_with("x\",\"z\":1}"), "{cut}");
        assert!(cut.contains(" […5014 bytes in all…] "), "{cut}");
    }
}
