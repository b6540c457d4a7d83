//! Changes of a text, collected and then made at once.

use std::ops::Range;

/// Replacements of parts of one text.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Replaces a part.
    pub(super) fn replace(&mut self, part: Range<usize>, text: impl Into<String>) {
        self.0.push((part, text.into()));
    }

    /// Inserts before a byte. Of two insertions at one place the first comes first.
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Deletes a part. Parts may overlap.
    pub(super) fn delete(&mut self, part: Range<usize>) {
        self.replace(part, "");
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Which parts are changed by all but the first.
    pub(super) fn parts(&self, first: usize) -> Vec<Range<usize>> {
        self.0[first..].iter().map(|(part, _)| part.clone()).collect()
    }

    /// Forgets all but the first.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The text with everything done, in time linear in the text.
    pub(super) fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(part, _)| part.start);
        let more: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let (mut edited, mut done) = (String::with_capacity(text.len() + more), 0);
        for (part, new) in self.0 {
            if part.start > done {
                edited.push_str(&text[done..part.start]);
            }
            edited.push_str(&new);
            done = done.max(part.end);
        }
        edited.push_str(&text[done..]);
        edited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_the_order_of_the_text() {
        let mut edits = Edits::default();
        edits.replace(4..5, "E");
        edits.insert(1, "<");
        edits.insert(1, ">");
        edits.delete(2..4);
        edits.delete(3..4);
        assert_eq!(edits.apply("abcdefg"), "a<>bEfg");
        assert_eq!(Edits::default().apply("as it was"), "as it was");
    }
}
