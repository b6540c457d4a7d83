//! What stands in the place of what was taken out: `[REDACTED:email]`, `[REDACTED:field-token]`.

use std::ops::Range;

use super::Category;

/// What all of them start with.
pub(super) const START: &str = "[REDACTED:";

const FIELD: &str = "field-";

/// The longest name of a category, in bytes.
pub(super) const LONGEST: usize = 32;

// === impl Category ===

impl Category<'_> {
    /// Writes what stands in the place of what was taken out.
    pub(super) fn spell(self, out: &mut String) {
        let (kind, name) = match self {
            Self::Pattern(name) => ("", name),
            Self::Field(name) => (FIELD, name),
        };
        out.push_str(START);
        out.push_str(kind);
        out.push_str(name);
        out.push(']');
    }
}

/// Whether a text is a placeholder, and nothing else.
pub(super) fn is_one(text: &[u8]) -> bool {
    let name = text.strip_prefix(START.as_bytes()).and_then(|rest| rest.strip_suffix(b"]"));
    name.is_some_and(|name| {
        name.len() <= FIELD.len() + LONGEST
            && name.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    })
}

/// The placeholder of whose inside a position in a text is.
pub(super) fn around(text: &[u8], at: usize) -> Option<Range<usize>> {
    const MOST: usize = START.len() + FIELD.len() + LONGEST + 1;

    let from = at.saturating_sub(MOST);
    let start = from + memchr::memrchr(b'[', &text[from..at])?;
    let near = &text[start..text.len().min(start + MOST)];
    let end = start + memchr::memchr(b']', near)? + 1;
    (at < end && is_one(&text[start..end])).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_known_again() {
        for category in [Category::Pattern("email"), Category::Field("api_key")] {
            let mut spelled = String::new();
            category.spell(&mut spelled);
            assert!(is_one(spelled.as_bytes()), "{spelled}");
            assert!(!is_one(&spelled.as_bytes()[1..]), "{spelled}");
            assert!(!is_one(format!("{spelled} ").as_bytes()), "{spelled}");
        }
        let text = b"a [REDACTED:cc] b";
        let inside: Vec<_> =
            (0..text.len()).filter(|at| around(text, *at) == Some(2..15)).collect();
        assert_eq!(inside, (3..15).collect::<Vec<_>>());
        assert!(!is_one(b"[REDACTED:Tr0ub4dor]"));
        assert!(!is_one(format!("[REDACTED:{}]", "a".repeat(50)).as_bytes()));
    }
}
