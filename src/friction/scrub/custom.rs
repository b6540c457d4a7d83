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
//! Patterns are the `regex` crate's: no backtracking, so none can take exponential time. They are
//! applied to each string after the built-in ones.

use regex::Regex;
use serde::Deserialize;

use super::Category;
use super::field::{Field, plain};

/// The longest name of a rule, in bytes.
const LONGEST: usize = 32;

/// How much memory one compiled pattern may take, in bytes.
const PATTERN: usize = 1 << 20;

/// An operator's own rules.
#[derive(Clone, Debug, Default)]
pub struct Custom {
    keys: Vec<(String, String)>,
    patterns: Vec<(String, Regex)>,
}

/// Why a rule file is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BadRules {
    /// Not TOML, or not of this shape.
    #[error("scrubbing rules cannot be read")]
    Shape(#[source] toml::de::Error),
    /// A name that would not stand well in a placeholder.
    #[error("scrubbing rule {0}: its name must be 1 to {LONGEST} of a-z, 0-9, `_` and `-`")]
    Name(usize),
    /// Neither keys nor a pattern.
    #[error("scrubbing rule {0:?} has neither `keys` nor a `pattern`")]
    Nothing(String),
    /// A pattern that is none.
    #[error("scrubbing rule {0:?} has a pattern that cannot be used")]
    Pattern(String, #[source] Box<regex::Error>),
    /// A pattern that matches the empty text, and so everywhere.
    #[error("scrubbing rule {0:?} has a pattern that matches the empty text")]
    Empty(String),
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
    name: String,
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
        let file: File = toml::from_str(text).map_err(BadRules::Shape)?;
        let mut custom = Self::default();
        for (nth, rule) in file.rules.into_iter().enumerate() {
            custom.add(nth + 1, rule)?;
        }
        Ok(custom)
    }

    fn add(&mut self, nth: usize, rule: Rule) -> Result<(), BadRules> {
        let Rule { name, keys, pattern } = rule;
        let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=LONGEST).contains(&name.len()) || !name.bytes().all(letter) {
            return Err(BadRules::Name(nth));
        }
        if keys.is_empty() && pattern.is_none() {
            return Err(BadRules::Nothing(name));
        }
        if let Some(pattern) = pattern {
            let pattern = regex::RegexBuilder::new(&pattern)
                .size_limit(PATTERN)
                .build()
                .map_err(|why| BadRules::Pattern(name.clone(), Box::new(why)))?;
            if pattern.is_match("") {
                return Err(BadRules::Empty(name));
            }
            self.patterns.push((name.clone(), pattern));
        }
        self.keys.extend(keys.iter().map(|key| (plain(key), name.clone())));
        Ok(())
    }

    /// The field that a member's name stands for.
    pub(super) fn field(&self, name: &str) -> Option<Field<'_>> {
        if self.keys.is_empty() {
            return None;
        }
        let name = plain(name);
        let (_, name) = self.keys.iter().find(|(key, _)| *key == name)?;
        Some(Field { name, line: false })
    }

    /// The text without what the patterns match; `None` where they match nothing.
    pub(super) fn scrub(&self, text: &str, mut found: impl FnMut(Category<'_>)) -> Option<String> {
        let mut scrubbed: Option<String> = None;
        for (name, pattern) in &self.patterns {
            let text = scrubbed.as_deref().unwrap_or(text);
            let mut out = String::new();
            let mut done = 0;
            for hit in pattern.find_iter(text) {
                let category = Category::Pattern(name);
                out.push_str(&text[done..hit.start()]);
                category.spell(&mut out);
                found(category);
                done = hit.end();
            }
            if done > 0 {
                out.push_str(&text[done..]);
                scrubbed = Some(out);
            }
        }
        scrubbed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_file_is_whole_or_nothing() {
        let table = [
            ("", "Ok"),
            ("[[rule]]\nname = 'a'\nkeys = ['x']", "Ok"),
            ("[[rule]]\nname = 'a'\npattern = 'x+'", "Ok"),
            ("[[rule]]\nname = 'a'", "Nothing"),
            ("[[rule]]\nname = 'A b'\nkeys = ['x']", "Name"),
            ("[[rule]]\nname = ''\nkeys = ['x']", "Name"),
            ("[[rule]]\nname = 'a'\npattern = '('", "Pattern"),
            ("[[rule]]\nname = 'a'\npattern = 'x{1000}{1000}'", "Pattern"),
            ("[[rule]]\nname = 'a'\npattern = 'x*'", "Empty"),
            ("[[rule]]\nname = 'a'\nkey = ['x']", "Shape"),
            ("[[rule", "Shape"),
        ];
        for (text, expected) in table {
            let why = match Custom::parse(text) {
                Ok(_) => "Ok",
                Err(BadRules::Shape(_)) => "Shape",
                Err(BadRules::Name(_)) => "Name",
                Err(BadRules::Nothing(_)) => "Nothing",
                Err(BadRules::Pattern(..)) => "Pattern",
                Err(BadRules::Empty(_)) => "Empty",
            };
            assert_eq!(why, expected, "{text}");
        }
    }
}
