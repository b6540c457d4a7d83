//! An operator's own rules: names of members, and patterns.
//!
//! ```toml
//! [[rule]]
//! name = "employee"            # replaced by [REDACTED:employee]
//! pattern = 'EMP-[0-9]{6}'
//!
//! [[rule]]
//! name = "badge"               # everything below such members: [REDACTED:field-badge]
//! keys = ["badge", "badge_number"]
//! ```
//!
//! Names are compared without regard to case, `_`, `-`, `.` and blanks. They also count before a value
//! in text, as in `badge: 7`. Patterns are applied to each string and each number after the built-in
//! ones; a number is replaced as a whole.
//!
//! Patterns are the `regex` crate's: no backtracking, so none takes exponential time. Looking for one
//! match is linear in the text; a pattern that looks far ahead at each of many short matches (as
//! `.*x|y` does) takes the square of it all the same.
//!
//! # Invariants
//!
//! - A rule file is accepted as a whole or not at all, and within [`MOST`] rules and [`LARGEST`] bytes.
//! - No pattern changes a placeholder, or cuts one in two.

use std::ops::Range;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use toml::Spanned;

use super::Category;
use super::field::{Field, LONGEST, Plain};
use super::placeholder;

/// The longest rule file, in bytes.
pub const LARGEST: usize = 64 * 1024;

/// The most rules in a file.
pub const MOST: usize = 32;

/// The most names of members in one rule.
const KEYS: usize = 64;

/// How much memory one pattern may take, in bytes, compiled and once more while it looks.
const PATTERN: usize = 256 * 1024;

/// An operator's own rules.
#[derive(Clone, Debug, Default)]
pub struct Custom {
    keys: Vec<(Box<[u8]>, Box<str>)>,
    patterns: Vec<(Box<str>, Regex)>,
}

/// Why a rule file is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BadRules {
    /// Not TOML, or not of this shape; the source says where.
    #[error("scrubbing rules cannot be read")]
    Shape(#[source] Box<toml::de::Error>),
    /// More than anyone needs.
    #[error("scrubbing rules are limited to {LARGEST} bytes and {MOST} rules")]
    TooMany,
    /// A rule that is wrong.
    #[error("scrubbing rule {name:?} cannot be used")]
    Rule {
        /// Where its name stands, from 1.
        line: usize,
        /// Its name.
        name: String,
        /// What is wrong with it.
        #[source]
        why: BadRule,
    },
}

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
pub enum BadRule {
    /// A name that would not stand well in a placeholder.
    #[error("its name must be 1 to {max} of a-z, 0-9, `_` and `-`", max = placeholder::LONGEST)]
    Name,
    /// Neither keys nor a pattern.
    #[error("it has neither `keys` nor a `pattern`")]
    Nothing,
    /// A name of a member that cannot be looked up.
    #[error("a rule has at most {KEYS} `keys`, each of 1 to {LONGEST} letters: {0:?}")]
    Key(String),
    /// A pattern that is none, or too large.
    #[error("its pattern cannot be used")]
    Pattern(#[source] Box<regex::Error>),
    /// A pattern that matches the empty text, and so everywhere.
    #[error("its pattern matches the empty text")]
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: Spanned<String>,
    #[serde(default)]
    keys: Vec<String>,
    pattern: Option<String>,
}

// === impl Custom ===

impl Custom {
    /// Reads a rule file.
    ///
    /// # Errors
    ///
    /// The first [`BadRules`]; nothing is half loaded.
    pub fn parse(text: &str) -> Result<Self, BadRules> {
        if text.len() > LARGEST {
            return Err(BadRules::TooMany);
        }
        let file: File = toml::from_str(text).map_err(|why| BadRules::Shape(Box::new(why)))?;
        if file.rules.len() > MOST {
            return Err(BadRules::TooMany);
        }
        let mut custom = Self::default();
        for rule in file.rules {
            let line = text[..rule.name.span().start].matches('\n').count() + 1;
            let name = rule.name.get_ref().clone();
            custom.add(rule).map_err(|why| BadRules::Rule { line, name, why })?;
        }
        Ok(custom)
    }

    fn add(&mut self, rule: Rule) -> Result<(), BadRule> {
        let Rule { name, keys, pattern } = rule;
        let name = name.into_inner().into_boxed_str();
        let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=placeholder::LONGEST).contains(&name.len()) || !name.bytes().all(letter) {
            return Err(BadRule::Name);
        }
        if keys.is_empty() && pattern.is_none() {
            return Err(BadRule::Nothing);
        }
        for (nth, key) in keys.into_iter().enumerate() {
            let plain = Plain::of(&key);
            let plain = plain.as_bytes();
            if nth == KEYS || plain.is_empty() || key.len() > LONGEST {
                return Err(BadRule::Key(key));
            }
            self.keys.push((plain.into(), name.clone()));
        }
        if let Some(pattern) = pattern {
            let pattern = RegexBuilder::new(&pattern)
                .size_limit(PATTERN)
                .dfa_size_limit(PATTERN)
                .build()
                .map_err(|why| BadRule::Pattern(Box::new(why)))?;
            if pattern.is_match("") {
                return Err(BadRule::Empty);
            }
            self.patterns.push((name, pattern));
        }
        Ok(())
    }

    /// The field that a member's name stands for.
    pub(super) fn field(&self, name: &str) -> Option<Field<'_>> {
        if self.keys.is_empty() {
            return None;
        }
        let plain = Plain::of(name);
        let (_, name) = self.keys.iter().find(|(key, _)| **key == *plain.as_bytes())?;
        Some(Field { name, line: false })
    }

    /// What a number literal is taken for.
    pub(super) fn number(&self, literal: &[u8]) -> Option<Category<'_>> {
        let literal = str::from_utf8(literal).ok()?;
        let known = self.patterns.iter().find(|(_, pattern)| pattern.is_match(literal));
        known.map(|(name, _)| Category::Pattern(name))
    }

    /// The text without what the patterns match; `None` where they match nothing.
    pub(super) fn scrub<'r>(
        &'r self,
        text: &str,
        mut found: impl FnMut(Category<'r>),
    ) -> Option<String> {
        let mut scrubbed: Option<String> = None;
        for (name, pattern) in &self.patterns {
            let text = scrubbed.as_deref().unwrap_or(text);
            let mut out = String::new();
            let mut done = 0;
            for hit in pattern.find_iter(text) {
                let Some(hit) = whole(text.as_bytes(), hit.range()).filter(|hit| hit.start >= done)
                else {
                    continue;
                };
                let category = Category::Pattern(name);
                out.push_str(&text[done..hit.start]);
                category.spell(&mut out);
                found(category);
                done = hit.end;
            }
            if done > 0 {
                out.push_str(&text[done..]);
                scrubbed = Some(out);
            }
        }
        scrubbed
    }
}

/// A match with all of the placeholders that it touches; `None` where it is in one.
fn whole(text: &[u8], hit: Range<usize>) -> Option<Range<usize>> {
    if placeholder::is_one(&text[hit.clone()]) {
        return None;
    }
    let (first, last) = (placeholder::around(text, hit.start), placeholder::around(text, hit.end));
    match (&first, &last) {
        (Some(first), _) if hit.end <= first.end => None,
        (_, Some(last)) if hit.start >= last.start => None,
        _ => Some(
            first.map_or(hit.start, |first| first.start)..last.map_or(hit.end, |last| last.end),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_file_is_whole_or_nothing() {
        let many = "[[rule]]\nname = 'a'\nkeys = ['x']\n".repeat(MOST + 1);
        let large = format!("# {}", "x".repeat(LARGEST));
        let table = [
            ("", "ok"),
            ("[[rule]]\nname = 'a'\nkeys = ['x']", "ok"),
            ("[[rule]]\nname = 'a'\npattern = 'x+'", "ok"),
            ("[[rule]]\nname = 'a'", "2: it has neither `keys` nor a `pattern`"),
            (
                "[[rule]]\nname = 'A b'\nkeys = ['x']",
                "2: its name must be 1 to 32 of a-z, 0-9, `_` and `-`",
            ),
            (
                "[[rule]]\nname = ''\nkeys = ['x']",
                "2: its name must be 1 to 32 of a-z, 0-9, `_` and `-`",
            ),
            (
                "[[rule]]\nname = 'a'\nkeys = ['x', '_']",
                "2: a rule has at most 64 `keys`, each of 1 to 48 letters: \"_\"",
            ),
            (
                "[[rule]]\nname = 'a'\nkeys = ['x']\n\n[[rule]]\nname = 'b'\npattern = '('",
                "6: its pattern cannot be used",
            ),
            ("[[rule]]\nname = 'a'\npattern = 'x{1000}{1000}'", "2: its pattern cannot be used"),
            ("[[rule]]\nname = 'a'\npattern = 'x*'", "2: its pattern matches the empty text"),
            ("[[rule]]\nname = 'a'\nkey = ['x']", "shape"),
            ("[[rule", "shape"),
            (&many, "too many"),
            (&large, "too many"),
        ];
        for (text, expected) in table {
            let said = match Custom::parse(text) {
                Ok(_) => "ok".to_owned(),
                Err(BadRules::Shape(_)) => "shape".to_owned(),
                Err(BadRules::TooMany) => "too many".to_owned(),
                Err(BadRules::Rule { line, why, .. }) => format!("{line}: {why}"),
            };
            assert_eq!(said, expected, "{text:.100}");
        }
    }

    #[test]
    fn no_pattern_changes_a_placeholder() {
        let scrub = |pattern: &str, text: &str| {
            let rules = format!("[[rule]]\nname = 'x'\npattern = '{pattern}'");
            let custom = Custom::parse(&rules).unwrap();
            custom.scrub(text, |_| {}).unwrap_or_else(|| text.to_owned())
        };
        let text = "a [REDACTED:cc] b";
        for (pattern, scrubbed) in [
            ("[A-Z]+", text),
            ("REDACTED", text),
            (r"\[.*\]", text),
            ("a .*", "[REDACTED:x]"),
            ("a .REDA", "[REDACTED:x] b"),
            ("c. b", "a [REDACTED:x]"),
            ("[ab]", "[REDACTED:x] [REDACTED:cc] [REDACTED:x]"),
        ] {
            assert_eq!(scrub(pattern, text), scrubbed, "{pattern}");
        }
    }
}
