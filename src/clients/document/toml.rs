//! TOML, as a tree.

use std::ops::Range;

use toml_edit::{Document, Item, Key, Table, TableLike};

use super::Malformed;
use super::tree::{Layout, List, Map, Member, Node, Value};

/// Reads a text. The parser bounds the nesting.
pub(super) fn read(text: &str) -> Result<Node, Malformed> {
    let document = Document::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Malformed::at(text, at, error.message())
    })?;
    Ok(table(document.as_table(), &(0..0)))
}

/// A table under a header, or of dotted keys. It ends with its last line, wherever the headers of
/// the tables in it are.
fn table(table: &Table, key: &Range<usize>) -> Node {
    let own = table.span().unwrap_or_else(|| key.clone());
    let members = members(table);
    let is_line = |member: &&Member| match table.get(&member.name) {
        Some(Item::Table(inner)) => inner.is_dotted(),
        Some(Item::Value(_)) => true,
        Some(Item::ArrayOfTables(_) | Item::None) | None => false,
    };
    let lines = members.iter().filter(is_line).map(|member| member.value.span.end);
    let span = own.start..lines.fold(own.end, usize::max);
    Node::new(span.clone(), Value::Map(Map { span, layout: Layout::Lines, members }))
}

/// The members of any table, in the order of the text.
fn members(table: &dyn TableLike) -> Vec<Member> {
    let member = |(name, item): (&str, &Item)| {
        let key = table.key(name).and_then(Key::span).unwrap_or_default();
        Member { name: name.to_owned(), value: node(item, &key), key }
    };
    let mut members: Vec<_> = table.iter().map(member).collect();
    members.sort_by_key(|member| member.key.start);
    members
}

fn node(item: &Item, key: &Range<usize>) -> Node {
    match item {
        Item::None => Node::new(key.clone(), Value::Nothing),
        Item::Table(inner) => table(inner, key),
        Item::ArrayOfTables(tables) => {
            let items: Vec<_> = tables.iter().map(|inner| table(inner, key)).collect();
            let span = tables.span().unwrap_or_else(|| key.clone());
            Node::new(span.clone(), Value::List(List { span, layout: Layout::Lines, items }))
        }
        Item::Value(value) => self::value(value, key),
    }
}

fn value(value: &toml_edit::Value, key: &Range<usize>) -> Node {
    use toml_edit::Value as Toml;

    let span = value.span().unwrap_or_else(|| key.clone());
    let read = match value {
        Toml::String(text) => Value::Text(text.value().clone()),
        Toml::Boolean(flag) => Value::Flag(*flag.value()),
        Toml::Integer(_) | Toml::Float(_) | Toml::Datetime(_) => Value::Else,
        Toml::Array(array) => Value::List(List {
            span: span.clone(),
            layout: Layout::Flow,
            items: array.iter().map(|item| self::value(item, key)).collect(),
        }),
        Toml::InlineTable(table) => {
            let map = Map { span: span.clone(), layout: Layout::Flow, members: members(table) };
            let attached = table.is_dotted().then_some("it is written with dots inside of braces");
            return Node { span, value: Value::Map(map), attached };
        }
    };
    Node::new(span, read)
}
