//! Globs over names: `*` is any run of characters, `?` is any one character, the rest is itself.
//!
//! Case counts, and nothing else is special: the characters that other glob languages give a
//! meaning to are refused, so that a pattern never quietly means something else than it says.
//!
//! # Invariants
//!
//! - Matching takes at most (length of the pattern) × (length of the name) steps, whatever both say.

use std::fmt;

/// The longest pattern, in bytes.
const LONGEST: usize = 512;

/// A pattern over a tool's, agent's, server's, intent's or environment's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glob {
    text: Box<str>,
    shape: Shape,
}

/// What is special about a pattern, so that the common ones need no loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Anything,
    Exact,
    General,
    /// A literal and one `*` at its end.
    Prefix,
}

/// A pattern that cannot be a glob.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadGlob {
    /// It says nothing.
    #[error("an empty glob matches nothing; write `*` to match everything")]
    Empty,
    /// It is longer than 512 bytes.
    #[error("the glob is longer than {LONGEST} bytes")]
    Long,
    /// It uses what other glob languages have and this one has not.
    #[error("`{0}` has no meaning in a glob here; use `*` and `?`, or a condition (`when`)")]
    Special(char),
}

// === impl Glob ===

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`BadGlob`] where it is empty, too long, starts with `!`, or holds one of `[ ] { } \`.
    pub fn parse(text: &str) -> Result<Self, BadGlob> {
        if text.is_empty() {
            return Err(BadGlob::Empty);
        }
        if text.len() > LONGEST {
            return Err(BadGlob::Long);
        }
        if text.starts_with('!') {
            return Err(BadGlob::Special('!'));
        }
        if let Some(special) = text.chars().find(|c| r"[]{}\".contains(*c)) {
            return Err(BadGlob::Special(special));
        }
        let shape = match text.find(['*', '?']) {
            None => Shape::Exact,
            Some(0) if text == "*" => Shape::Anything,
            Some(at) if at + 1 == text.len() && text.ends_with('*') => Shape::Prefix,
            Some(_) => Shape::General,
        };
        Ok(Self { text: text.into(), shape })
    }

    /// A pattern that matches this name and no other, whatever characters it holds.
    pub fn exactly(name: &str) -> Self {
        Self { text: name.into(), shape: Shape::Exact }
    }

    /// Whether the pattern matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        match self.shape {
            Shape::Anything => true,
            Shape::Exact => *self.text == *name,
            Shape::Prefix => name.starts_with(&self.text[..self.text.len() - 1]),
            Shape::General => matches(&self.text, name),
        }
    }

    /// One name that the pattern matches: `filler` stands for each `*`, `x` for each `?`.
    pub fn instance(&self, filler: &str) -> String {
        if self.shape == Shape::Exact {
            return self.text.to_string();
        }
        self.text.replace('*', filler).replace('?', "x")
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Greedy: on a mismatch only the last `*` takes one character more. What an earlier `*` took
/// never has to be reconsidered, because the last one could have taken it just as well.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut last_star = None;
    loop {
        let (mut rest, mut left) = (pattern.clone(), name.clone());
        let fits = match (rest.next(), left.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                left = name.clone();
                last_star = Some((rest.clone(), name));
                true
            }
            (Some('?'), Some(_)) => true,
            (Some(wanted), Some(found)) => wanted == found,
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !fits {
            let Some((after, taken)) = &mut last_star else {
                return false;
            };
            if taken.next().is_none() {
                return false;
            }
            (rest, left) = (after.clone(), taken.clone());
        }
        (pattern, name) = (rest, left);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    #[test]
    fn a_glob_matches_whole_names_only() {
        for (pattern, name, expected) in [
            ("read_file", "read_file", true),
            ("read_file", "read_files", false),
            ("read_file", "Read_file", false),
            ("read_*", "read_", true),
            ("read_*", "read_file", true),
            ("read_*", "pread_file", false),
            ("*_file", "read_file", true),
            ("*_file", "read_file_", false),
            ("*delete*", "bulk_delete_all", true),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("?*", "", false),
            ("**", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(glob(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_other_globs_mean_is_refused() {
        for bad in ["", "!x", "[ab]", "{a,b}", r"a\*", "a]"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Glob::parse(&"a".repeat(513)), Err(BadGlob::Long));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = glob(&"a*".repeat(200));
        assert!(pattern.matches(&"a".repeat(5_000)));
        assert!(!glob(&format!("{}b", "a*".repeat(200))).matches(&"a".repeat(5_000)));
    }

    fn naive(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
            Some(('?', rest)) => !name.is_empty() && naive(rest, &name[1..]),
            Some((wanted, rest)) => name.first() == Some(wanted) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn globs_agree_with_a_naive_matcher(pattern in "[ab?*é]{1,7}", name in "[abé]{0,9}") {
            let (p, n): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(glob(&pattern).matches(&name), naive(&p, &n));
        }

        #[test]
        fn a_glob_matches_its_instances(pattern in "[ab?*]{1,7}", filler in "[ab]{0,3}") {
            let glob = glob(&pattern);
            prop_assert!(glob.matches(&glob.instance(&filler)));
        }
    }
}
