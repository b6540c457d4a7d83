//! Edits of one text: what they do not name keeps its bytes.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::friction::event::quote;
use crate::friction::raw::{Raw, RawObject};

/// Edits that are collected in any order, for places that do not overlap.
pub(super) struct Edits<'a> {
    text: &'a [u8],
    changes: Vec<(Range<usize>, Vec<u8>)>,
    /// Ends of containers that were empty and are no more.
    filled: BTreeSet<usize>,
}

// === impl Edits ===

impl<'a> Edits<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, changes: Vec::new(), filled: BTreeSet::new() }
    }

    /// Whether nothing is to be edited.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Where a part of the text stands in it.
    pub(super) fn range_of(&self, part: Raw<'a>) -> Range<usize> {
        let start = part.text().as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + part.text().len()
    }

    pub(super) fn insert(&mut self, at: usize, text: &[u8]) {
        self.changes.push((at..at, text.to_vec()));
    }

    pub(super) fn replace(&mut self, range: Range<usize>, text: Vec<u8>) {
        self.changes.push((range, text));
    }

    /// Adds a member at the end of an object that is part of the text.
    pub(super) fn add_member(&mut self, object: RawObject<'a>, name: &str, value: &[u8]) {
        let mut member = Vec::with_capacity(name.len() + value.len() + 4);
        quote(&mut member, name);
        member.push(b':');
        member.extend_from_slice(value);
        self.add(object.raw(), object.is_empty(), &member);
    }

    /// Adds an element at the end of an array that is part of the text.
    pub(super) fn add_element(&mut self, array: Raw<'a>, element: &[u8]) {
        let is_empty = array.text()[1..].trim_ascii_start().first() == Some(&b']');
        self.add(array, is_empty, element);
    }

    /// The text with all edits.
    pub(super) fn apply(mut self) -> Vec<u8> {
        // Stable: what is inserted at one place keeps its order.
        self.changes.sort_by_key(|(range, _)| range.start);
        let grown: usize = self.changes.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(self.text.len() + grown);
        let mut done = 0;
        for (range, text) in &self.changes {
            out.extend_from_slice(&self.text[done..range.start]);
            out.extend_from_slice(text);
            done = range.end;
        }
        out.extend_from_slice(&self.text[done..]);
        out
    }

    fn add(&mut self, container: Raw<'a>, is_empty: bool, text: &[u8]) {
        let at = self.range_of(container).end - 1;
        let is_first = is_empty && self.filled.insert(at);
        let comma: &[u8] = if is_first { b"" } else { b"," };
        self.insert(at, &[comma, text].concat());
    }
}
