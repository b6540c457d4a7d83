//! What is wrong with a policy file, and where: all of it at once.
//!
//! Places are counted as editors count them: lines and columns from 1, columns in characters.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// Everything that is wrong with one policy file. Never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems {
    /// The file's name, as it was given.
    pub name: String,
    /// The problems, in the order of their places.
    pub list: Vec<Problem>,
}

impl std::error::Error for Problems {}

/// Collects the problems of one text while it is read.
pub(super) struct Collector<'t> {
    text: &'t str,
    list: Vec<Problem>,
}

// === impl Problems ===

impl fmt::Display for Problems {
    /// One `file:line:column: message` a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.list.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            let Problem { line, column, message } = problem;
            write!(f, "{}:{line}:{column}: {message}", self.name)?;
        }
        Ok(())
    }
}

// === impl Collector ===

impl<'t> Collector<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, list: Vec::new() }
    }

    /// The text the problems are found in.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// Notes a problem at a byte offset.
    pub(super) fn at(&mut self, offset: usize, message: impl Into<String>) {
        let (line, column) = place(self.text, offset);
        self.list.push(Problem { line, column, message: message.into() });
    }

    /// Notes a problem at the start of a span.
    pub(super) fn over(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.at(span.start, message);
    }

    /// All problems in the order of their places, or what was read.
    pub(super) fn finish<T>(mut self, name: &str, read: Option<T>) -> Result<T, Problems> {
        match read {
            Some(read) if self.list.is_empty() => Ok(read),
            _ => {
                self.list.sort();
                self.list.dedup();
                Err(Problems { name: name.to_owned(), list: self.list })
            }
        }
    }
}

/// The line and column of a byte offset, both from 1. Offsets past the end mean the end.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let offset =
        (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let before = &text[..offset];
    let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_editors_count_them() {
        let text = "one\nzwö = 3\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 4), (2, 1));
        assert_eq!(place(text, text.find('=').unwrap()), (2, 5));
        assert_eq!(place(text, 999), (3, 1));
    }
}
