//! Asks a TOML table for what it should say, and notes where it says something else.
//!
//! Each question returns `None` where there is no good answer; whether that is a problem was noted
//! by then, so that a reader can go on and find the next one.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Collector, place};
use super::value::{RawMembers, write_string};

type Value<'t> = Spanned<DeValue<'t>>;
type Text<'t> = (&'t str, Range<usize>);

/// One table, and where its problems go.
pub(super) struct Fields<'t, 'c, 'p> {
    kind: &'static str,
    table: &'t DeTable<'t>,
    span: Range<usize>,
    problems: &'c mut Collector<'p>,
}

impl<'t, 'c, 'p> Fields<'t, 'c, 'p> {
    /// The fields of a table. `kind` is what the table is called in problems.
    pub(super) fn new(
        kind: &'static str,
        table: &'t DeTable<'t>,
        span: Range<usize>,
        problems: &'c mut Collector<'p>,
    ) -> Self {
        Self { kind, table, span, problems }
    }

    /// The fields of a value that should be a table.
    pub(super) fn of(
        kind: &'static str,
        value: &'t Value<'t>,
        problems: &'c mut Collector<'p>,
    ) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            problems.over(&value.span(), format!("{kind} is a table"));
            return None;
        };
        Some(Self::new(kind, table, value.span(), problems))
    }

    /// Notes every key that is not one of these.
    pub(super) fn only(&mut self, known: &[&str]) {
        for key in self.table.keys() {
            let name = key.get_ref();
            if !known.contains(&&**name) {
                let message =
                    format!("unknown key `{name}`; {} has {}", self.kind, known.join(", "));
                self.problems.over(&key.span(), message);
            }
        }
    }

    /// The line on which the table begins.
    pub(super) fn line(&self) -> usize {
        place(self.problems.text(), self.span.start).0
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where a key's value stands, or the table where the key is missing.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.value(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    pub(super) fn problem(&mut self, span: &Range<usize>, message: String) {
        self.problems.over(span, message);
    }

    /// Notes a problem with a key's value.
    pub(super) fn problem_at(&mut self, key: &str, message: String) {
        self.problem(&self.span_of(key), message);
    }

    /// Notes a problem at a line and column (from 1) within a string, if its text stands in the
    /// file as it is read, that is, without escapes; at the string's start otherwise.
    pub(super) fn problem_within(
        &mut self,
        span: &Range<usize>,
        read: &str,
        (line, column): (usize, usize),
        message: &str,
    ) {
        let written = self.problems.text().get(span.clone()).unwrap_or_default();
        let Some(begin) = written.find(read).filter(|_| !read.is_empty()) else {
            return self.problem(span, message.to_owned());
        };
        let above = read.split_inclusive('\n').take(line - 1).map(str::len);
        let line_begin: usize = above.sum();
        let left = read[line_begin..].chars().take(column - 1).map(char::len_utf8);
        let offset = span.start + begin + line_begin + left.sum::<usize>();
        self.problems.at(offset, message);
    }

    fn value(&self, key: &str) -> Option<&'t Value<'t>> {
        self.table.get(key)
    }

    fn missing(&mut self, key: &str) {
        let message = format!("`{key}` is missing: {} needs it", self.kind);
        self.problem(&self.span.clone(), message);
    }

    fn wanted<T>(&mut self, key: &str, what: &str, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.problem_at(key, format!("`{key}` is {what}"));
        }
        found
    }

    /// A string; a problem where it is something else.
    pub(super) fn string(&mut self, key: &str) -> Option<Text<'t>> {
        let value = self.value(key)?;
        let text = value.get_ref().as_str();
        let text = self.wanted(key, "a string", text)?;
        Some((text, value.span()))
    }

    /// A string that must be there and say something.
    pub(super) fn required_name(&mut self, key: &str) -> Option<String> {
        if !self.has(key) {
            self.missing(key);
            return None;
        }
        let (text, span) = self.string(key)?;
        if text.trim().is_empty() {
            self.problem(&span, format!("`{key}` is empty"));
            return None;
        }
        Some(text.to_owned())
    }

    /// A version, which must be there: an integer or a string.
    pub(super) fn version(&mut self, key: &str) -> Option<String> {
        let Some(value) = self.value(key) else {
            self.missing(key);
            return None;
        };
        let integer = value.get_ref().as_integer().map(ToString::to_string);
        let text = value.get_ref().as_str().map(ToOwned::to_owned);
        let found = integer.or_else(|| text.filter(|text| !text.is_empty()));
        self.wanted(key, "an integer or a string", found)
    }

    /// One of these words, which must be there.
    pub(super) fn required_word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        if !self.has(key) {
            self.missing(key);
            return None;
        }
        let (text, span) = self.string(key)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("`{key}` is one of {}", words.join(", "));
            self.problem(&span, message);
        }
        found.map(|(_, meaning)| *meaning)
    }

    pub(super) fn bool(&mut self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        self.wanted(key, "true or false", value.get_ref().as_bool())
    }

    /// A whole number, not negative.
    pub(super) fn integer(&mut self, key: &str) -> Option<u64> {
        let value = self.value(key)?;
        let found = value.get_ref().as_integer();
        let found = found.and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        let found = self.wanted(key, "a whole number from 0 to 4294967295", found);
        found.map(u64::from)
    }

    /// A list of strings; `None` where there is none, or where one is something else.
    pub(super) fn strings(&mut self, key: &str) -> Option<Vec<Text<'t>>> {
        let value = self.value(key)?;
        let items = value.get_ref().as_array().map(|array| &**array);
        let items = self.wanted(key, "a list of strings", items)?;
        let texts: Option<Vec<_>> =
            items.iter().map(|item| Some((item.get_ref().as_str()?, item.span()))).collect();
        self.wanted(key, "a list of strings", texts)
    }

    /// A table of strings, in the order in which they were written.
    pub(super) fn string_entries(&mut self, key: &str) -> Option<Vec<(Text<'t>, Text<'t>)>> {
        let value = self.value(key)?;
        let table = self.wanted(key, "a table of strings", value.get_ref().as_table())?;
        let entries: Option<Vec<_>> = table
            .iter()
            .map(|(key, value)| {
                let text = value.get_ref().as_str()?;
                Some(((&**key.get_ref(), key.span()), (text, value.span())))
            })
            .collect();
        let mut entries = self.wanted(key, "a table of strings", entries)?;
        entries.sort_by_key(|((_, span), _)| span.start);
        Some(entries)
    }

    /// A table that must be there.
    pub(super) fn table(&mut self, key: &str) -> Option<&'t Value<'t>> {
        let value = self.value(key);
        if value.is_none() {
            self.problems.at(0, format!("`[{key}]` is missing: {} needs it", self.kind));
        }
        value
    }

    /// A list of tables, `[[key]]`.
    pub(super) fn tables(&mut self, key: &str) -> Vec<&'t Value<'t>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            self.problem_at(key, format!("write `[[{key}]]`, with two brackets"));
            return Vec::new();
        };
        array.iter().collect()
    }

    /// A JSON object as text: written as a TOML table, or as a string of JSON where TOML lacks
    /// what is needed (null, large numbers, an order).
    pub(super) fn json_object(&mut self, key: &str) -> Option<String> {
        let value = self.value(key)?;
        let mut json = String::new();
        let found = if let Some(text) = value.get_ref().as_str() {
            let is_object = serde_json::from_str::<RawMembers<'_>>(text).is_ok();
            is_object.then(|| text.to_owned())
        } else {
            let written = value.get_ref().is_table() && write_json(value.get_ref(), &mut json);
            written.then_some(json)
        };
        self.wanted(
            key,
            "a table of what JSON can say, or a string that holds a JSON object",
            found,
        )
    }
}

/// Writes a TOML value as JSON; `false` where JSON has no such value.
fn write_json(value: &DeValue<'_>, out: &mut String) -> bool {
    match value {
        DeValue::String(text) => write_string(text, out),
        DeValue::Integer(integer) => {
            let Ok(number) = i64::from_str_radix(integer.as_str(), integer.radix()) else {
                return false;
            };
            out.push_str(&number.to_string());
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok();
            let Some(number) = number.and_then(serde_json::Number::from_f64) else {
                return false;
            };
            out.push_str(&number.to_string());
        }
        DeValue::Boolean(bool) => out.push_str(if *bool { "true" } else { "false" }),
        DeValue::Datetime(_) => return false,
        DeValue::Array(items) => {
            out.push('[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                if !write_json(item.get_ref(), out) {
                    return false;
                }
            }
            out.push(']');
        }
        DeValue::Table(table) => {
            out.push('{');
            for (nth, (name, member)) in table.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                write_string(name.get_ref(), out);
                out.push(':');
                if !write_json(member.get_ref(), out) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    true
}
