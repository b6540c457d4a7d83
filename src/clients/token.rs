//! What gives a secret away: how well-known tokens begin, and parts of names. For all who look for
//! secrets in entries.
//!
//! How sure one must be is for them to say: what is only hidden where a file is shown may be a version
//! number, what stops a launch may not.

/// How they begin, and how long a whole one is at least, in bytes.
const KNOWN: [(&str, usize); 15] = [
    ("sk-", 20),
    ("sk_", 20),
    ("pk_", 20),
    ("rk_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("xox", 20),
    ("AKIA", 20),
    ("eyJ", 40),
    ("thoth_", 20),
    ("AIza", 30),
    ("ntn_", 20),
];

/// Parts of names, in small letters, whose values are secrets for everybody who asks.
const NAMES: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "apikey",
    "api-key",
    "api_key",
    "bearer",
];

/// What is shorter than this is no piece of a token either, in bytes.
const SHORTEST: usize = 10;

/// Whether a word may be a token, or a piece of one.
pub(super) fn may_be(word: &str) -> bool {
    word.len() >= SHORTEST && KNOWN.iter().any(|(start, _)| word.starts_with(start))
}

/// Whether a word looks like a whole token.
pub(super) fn is_likely(word: &str) -> bool {
    KNOWN.iter().any(|(start, least)| word.starts_with(start) && word.len() >= *least)
}

/// Whether a name in small letters says that its value is a secret; `more` are parts of names that
/// say so to whoever asks.
pub(super) fn is_secret_name(lower: &str, more: &[&str]) -> bool {
    NAMES.iter().chain(more).any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_a_secret_away_to_all_or_to_who_is_strict() {
        for (name, more, expected) in [
            ("github_token", &[][..], true),
            ("x-api-key", &[], true),
            ("cookie", &[], false),
            ("cookie", &["cookie"], true),
            ("content-type", &["cookie"], false),
        ] {
            assert_eq!(is_secret_name(name, more), expected, "{name}");
        }
    }

    #[test]
    fn a_word_is_known_by_its_beginning_and_its_length() {
        for (word, expected) in [
            ("sk-0123456", (true, false)),
            ("sk-012345", (false, false)),
            ("sk-0123456789012345", (true, false)),
            ("sk-01234567890123456", (true, true)),
            ("xoxb-0123456789-abcdef", (true, true)),
            ("eyJhbGciOiJIUzI1NiJ9", (true, false)),
            ("eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxMjM0NTY3", (true, true)),
            ("task-0123456789012345", (false, false)),
            ("SK-01234567890123456789", (false, false)),
            ("", (false, false)),
        ] {
            assert_eq!((may_be(word), is_likely(word)), expected, "{word}");
        }
    }
}
