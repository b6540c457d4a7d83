//! Writes into a text as its author would: items into lists, members into maps, and out again.
//!
//! What is written can be told from what was there by its place alone, so that taking it out again
//! leaves the bytes of before.

use std::collections::BTreeSet;
use std::ops::Range;

use super::edit::Edits;
use super::quote::key;
use super::tree::{Layout, List, Map, Member, Node, Value};
use super::{Syntax, text};

/// A text, and the changes to it so far.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    text: &'a str,
    syntax: Syntax,
    edits: Edits,
}

// === impl Pen ===

impl<'a> Pen<'a> {
    /// Nothing is changed yet.
    pub(super) fn new(text: &'a str, syntax: Syntax) -> Self {
        Self { text, syntax, edits: Edits::default() }
    }

    /// The text with the changes made.
    pub(super) fn finish(self) -> String {
        self.edits.apply(self.text)
    }

    /// A value as it is written.
    pub(super) fn raw(&self, node: &Node) -> &'a str {
        &self.text[node.span.clone()]
    }

    /// A part of the text.
    pub(super) fn text(&self, part: Range<usize>) -> &'a str {
        &self.text[part]
    }

    /// Whether a part holds nothing but space, commas and comments. One that is not of this text
    /// does not.
    pub(super) fn says_nothing(&self, part: Range<usize>, syntax: Syntax) -> bool {
        let Some(mut rest) = self.text.get(part) else { return false };
        loop {
            rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
            let (line, block) = match syntax {
                Syntax::Json => ("//", "/*"),
                Syntax::Toml | Syntax::Yaml => ("#", "#"),
            };
            rest = if rest.is_empty() {
                return true;
            } else if rest.starts_with(line) {
                rest.split_once('\n').map_or("", |(_, rest)| rest)
            } else if rest.starts_with(block) {
                rest.split_once("*/").map_or("", |(_, rest)| rest)
            } else {
                return false;
            };
        }
    }

    /// Where [`Pen::insert_members`] writes behind a member.
    pub(super) fn behind(&self, map: &Map, member: &Member) -> usize {
        match map.layout {
            Layout::Flow => member.value.span.end,
            Layout::Lines => self.line_end(member.value.span.end),
        }
    }

    /// Puts something else in the place of a part.
    pub(super) fn rewrite(&mut self, part: Range<usize>, raw: &str) {
        self.edits.replace(part, raw);
    }

    /// Writes a text as it is. Of two at one place, the first comes first.
    pub(super) fn insert(&mut self, at: usize, raw: &str) {
        self.edits.insert(at, raw);
    }

    /// Takes members out of a map, and says which parts of the text they were: apart from each
    /// other, in their order.
    pub(super) fn cut_members(&mut self, map: &Map, gone: &BTreeSet<usize>) -> Vec<Range<usize>> {
        let mark = self.mark();
        self.remove_members(map, gone);
        let mut parts = self.edits.parts(mark);
        parts.sort_by_key(|part| part.start);
        parts.dedup_by(|next, part| {
            let touches = next.start <= part.end;
            if touches {
                part.end = part.end.max(next.end);
            }
            touches
        });
        parts
    }

    /// Puts something else in the place of a value.
    pub(super) fn replace(&mut self, node: &Node, raw: &str) {
        self.edits.replace(node.span.clone(), raw);
    }

    /// Puts a value in brackets in the place of a member's null.
    pub(super) fn fill(&mut self, member: &Member, raw: &str) {
        if member.value.span.is_empty() {
            self.set(member, raw);
        } else {
            self.replace(&member.value, raw);
        }
    }

    /// Puts a null, or something else on one line, in the place of a member's value.
    pub(super) fn clear(&mut self, member: &Member, raw: &str) {
        let lines = match &member.value.value {
            Value::Map(map) => map.layout == Layout::Lines,
            Value::List(list) => list.layout == Layout::Lines,
            Value::Text(_) | Value::Flag(_) | Value::Nothing | Value::Else => false,
        };
        if lines || raw.is_empty() {
            self.set(member, raw);
        } else {
            self.replace(&member.value, raw);
        }
    }

    /// Writes a value behind a colon, with a space, or nothing.
    fn set(&mut self, member: &Member, raw: &str) {
        let from = member.key.end;
        let colon = self.text[from..].find(':').map_or(from, |at| from + at + 1);
        let space = if raw.is_empty() { "" } else { " " };
        self.edits.replace(colon..member.value.span.end.max(colon), format!("{space}{raw}"));
    }

    /// A map in brackets, as it is written.
    pub(super) fn flow_map(&self, members: &[(String, String)]) -> String {
        let (open, close) = if self.syntax == Syntax::Toml { ("{ ", " }") } else { ("{", "}") };
        format!("{open}{}{close}", self.flow(members))
    }

    fn flow(&self, members: &[(String, String)]) -> String {
        let colon = self.usual_colon();
        let texts = members.iter().map(|(name, raw)| key(name, self.syntax) + colon + raw);
        texts.collect::<Vec<_>>().join(", ")
    }

    fn usual_colon(&self) -> &'static str {
        match self.syntax {
            Syntax::Toml => " = ",
            Syntax::Json | Syntax::Yaml => ": ",
        }
    }

    /// How much was changed so far, for [`Pen::forget`].
    pub(super) fn mark(&self) -> usize {
        self.edits.len()
    }

    /// Forgets the changes since a mark.
    pub(super) fn forget(&mut self, mark: usize) {
        self.edits.truncate(mark);
    }

    /// Writes literals at the start of a list.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub(super) fn insert_items(&mut self, list: &List, literals: &[String]) -> Result<(), String> {
        match (list.layout, list.items.first()) {
            (Layout::Flow, None) => self.edits.insert(list.span.start + 1, literals.join(", ")),
            (Layout::Flow, Some(first)) => {
                self.edits.insert(first.span.start, literals.join(", ") + ", ");
            }
            (Layout::Lines, None) => return Err("a list without brackets or items".to_owned()),
            (Layout::Lines, Some(first)) => {
                let dash = self.dash(first).ok_or("its arguments are written in an odd way")?;
                let (line_end, indent) = (self.line_end_at(dash), self.indent(dash));
                let line = |literal: &String| format!("- {literal}{line_end}{indent}");
                self.edits.insert(dash, literals.iter().map(line).collect::<String>());
            }
        }
        Ok(())
    }

    /// Takes the first items out of a list.
    pub(super) fn remove_items(&mut self, list: &List, count: usize) {
        let (gone, left) = list.items.split_at(count.min(list.items.len()));
        let (Some(first), Some(end)) = (gone.first(), gone.last()) else { return };
        let end = end.span.end;
        if list.layout == Layout::Lines {
            let dash = |item: &Node| self.dash(item).unwrap_or(item.span.start);
            let end = left.first().map_or(end, dash);
            return self.edits.delete(dash(first)..end);
        }
        let (open, close) = (list.span.start + 1, list.span.end - 1);
        let next = left.first().map_or(close, |next| next.span.start);
        let end = self.comma(end..next).map_or(end, |comma| comma + 1);
        if left.is_empty() && first.span.start == open {
            self.edits.delete(open..end);
        } else if left.is_empty() && self.is_blank(open..first.span.start) {
            let all = self.is_blank(end..close);
            self.edits.delete(open..if all { close } else { end });
        } else {
            let blank = self.text[end..next].len() - self.text[end..next].trim_start().len();
            self.edits.delete(first.span.start..end + blank);
        }
    }

    /// Writes members behind one of a map's.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub(super) fn insert_members(
        &mut self,
        map: &Map,
        after: usize,
        members: &[(String, String)],
    ) -> Result<(), String> {
        let model = &map.members[after];
        if !is_definite(&model.value) {
            return Err("the value before is written in an odd way".to_owned());
        }
        match map.layout {
            Layout::Flow => {
                let before = &self.text[map.span.start + 1..model.key.start];
                let space = &before[before.trim_end().len()..];
                let colon = self.colon(model);
                let text = members.iter().map(|(name, raw)| {
                    let key = key(name, self.syntax);
                    format!(",{space}{key}{colon}{raw}")
                });
                let text = text.collect::<String>();
                self.edits.insert(model.value.span.end, text);
            }
            Layout::Lines => {
                let start = self.line_start(model.key.start);
                let prefix = match self.syntax {
                    Syntax::Yaml => self.indent(model.key.start),
                    Syntax::Toml | Syntax::Json => self.text[start..model.key.start].to_owned(),
                };
                self.insert_lines(model.value.span.end, &prefix, members);
            }
        }
        Ok(())
    }

    /// Writes members at the end of a map.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub(super) fn append_members(
        &mut self,
        map: &Map,
        members: &[(String, String)],
    ) -> Result<(), String> {
        if map.members.is_empty() {
            match map.layout {
                Layout::Flow => {
                    let text = self.flow(members);
                    self.edits.insert(map.span.start + 1, text);
                }
                Layout::Lines => {
                    let start = self.line_start(map.span.start);
                    let prefix = self.text[start..map.span.start].to_owned();
                    self.insert_lines(map.span.end, &prefix, members);
                }
            }
            return Ok(());
        }
        let last = map.members.iter().rposition(|member| is_definite(&member.value));
        self.insert_members(map, last.ok_or("its environment is written in an odd way")?, members)
    }

    /// Takes members out of a map.
    pub(super) fn remove_members(&mut self, map: &Map, gone: &BTreeSet<usize>) {
        if map.layout == Layout::Lines {
            return self.remove_lines(map, gone);
        }
        let all = &map.members;
        let mut at = 0;
        while at < all.len() {
            if !gone.contains(&at) {
                at += 1;
                continue;
            }
            let first = at;
            while gone.contains(&at) {
                at += 1;
            }
            self.remove_run(map, first..at);
        }
    }

    /// Takes neighbours out of a map in brackets.
    fn remove_run(&mut self, map: &Map, run: Range<usize>) {
        let all = &map.members;
        let (open, close) = (map.span.start + 1, map.span.end - 1);
        let (start, end) = (all[run.start].key.start, all[run.end - 1].value.span.end);
        let before = run.start.checked_sub(1).map(|before| all[before].value.span.end);
        let after = all.get(run.end).map(|after| after.key.start);
        match (before, after) {
            (Some(before), _) => {
                let Some(comma) = self.comma(before..start) else { return };
                if self.is_blank(before..comma) && self.is_blank(comma + 1..start) {
                    self.edits.delete(before..end);
                } else {
                    self.edits.delete(comma..comma + 1);
                    self.edits.delete(start..end);
                }
            }
            (None, Some(after)) => {
                let Some(comma) = self.comma(end..after) else { return };
                let blank = self.is_blank(comma + 1..after);
                self.edits.delete(start..if blank { after } else { comma + 1 });
            }
            (None, None) => {
                let end = self.comma(end..close).map_or(end, |comma| comma + 1);
                let blank = start != open && self.is_blank(open..start);
                let end = if blank && self.is_blank(end..close) { close } else { end };
                self.edits.delete(if blank { open } else { start }..end);
            }
        }
    }

    /// Takes members out of a map of lines.
    fn remove_lines(&mut self, map: &Map, gone: &BTreeSet<usize>) {
        for &at in gone {
            let member = &map.members[at];
            let start = self.line_start(member.key.start);
            let shares = self.syntax == Syntax::Yaml && !self.is_blank(start..member.key.start);
            match (map.members.get(at + 1), &member.value.value) {
                (Some(next), _) if shares => self.edits.delete(member.key.start..next.key.start),
                (_, Value::Map(table))
                    if table.layout == Layout::Lines && self.syntax == Syntax::Toml =>
                {
                    self.remove_table(table);
                }
                _ => self.remove_line(member.key.start, member.value.span.end),
            }
        }
    }

    /// Takes a TOML table out, wherever its lines are.
    fn remove_table(&mut self, table: &Map) {
        self.remove_lines(table, &(0..table.members.len()).collect());
        let header = &self.text[table.span.clone()];
        if header.starts_with('[') {
            let line = header.split(['\r', '\n']).next().unwrap_or_default();
            self.remove_line(table.span.start, table.span.start + line.len());
        }
    }

    /// Deletes from the end of the line before a place to another place.
    fn remove_line(&mut self, start: usize, end: usize) {
        let before = &self.text[..self.line_start(start)];
        let before = before.strip_suffix('\n').unwrap_or(before);
        let before = before.strip_suffix('\r').unwrap_or(before);
        self.edits.delete(before.len()..end);
    }

    /// Writes each member on a line of its own, behind the line on which something ends.
    fn insert_lines(&mut self, end: usize, prefix: &str, members: &[(String, String)]) {
        let at = self.line_end(end);
        let line_end = self.line_end_at(end);
        let colon = self.usual_colon();
        for (name, raw) in members {
            let key = key(name, self.syntax);
            self.edits.insert(at, format!("{line_end}{prefix}{key}{colon}{raw}"));
        }
    }

    /// How a name is set apart from its value, as at a neighbour.
    fn colon(&self, model: &Member) -> &'a str {
        let written = &self.text[model.key.end..model.value.span.start];
        match (self.syntax, written.trim()) {
            (Syntax::Json, ":") | (Syntax::Toml, "=") if !written.contains('\n') => written,
            (Syntax::Json | Syntax::Toml | Syntax::Yaml, _) => self.usual_colon(),
        }
    }

    /// The dash of an item of a list of lines.
    fn dash(&self, item: &Node) -> Option<usize> {
        let before = self.text[..item.span.start].trim_end_matches([' ', '\t']);
        before.ends_with('-').then(|| before.len() - 1)
    }

    /// Where the line ends that a place is on, before its line break.
    fn line_end(&self, at: usize) -> usize {
        let line = self.text[at..].split_inclusive('\n').next().unwrap_or_default();
        at + line.trim_end_matches(['\n', '\r']).len()
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// As many spaces as there are characters before a place on its line.
    fn indent(&self, at: usize) -> String {
        " ".repeat(self.text[self.line_start(at)..at].chars().count())
    }

    /// How the line ends that a place is on, or the line before it, if that is the last.
    fn line_end_at(&self, at: usize) -> &'static str {
        let end = self.text[at..].find('\n').map(|end| at + end);
        match end.or_else(|| self.text[..at].rfind('\n')) {
            Some(end) if self.text[..end].ends_with('\r') => "\r\n",
            _ => "\n",
        }
    }

    fn is_blank(&self, part: Range<usize>) -> bool {
        self.text[part].trim().is_empty()
    }

    /// The first comma of a part that has nothing else but space and comments.
    fn comma(&self, part: Range<usize>) -> Option<usize> {
        text::find(self.text, part, ',', self.syntax)
    }
}

/// Whether it is certain where the value ends: not so for blocks of lines.
fn is_definite(node: &Node) -> bool {
    let in_brackets = match &node.value {
        Value::Map(map) => map.layout == Layout::Flow,
        Value::List(list) => list.layout == Layout::Flow,
        Value::Text(_) | Value::Flag(_) | Value::Nothing | Value::Else => true,
    };
    in_brackets && node.attached.is_none() && !node.span.is_empty()
}
