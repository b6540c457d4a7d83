//! YAML, as a tree.
//!
//! Nothing is looked up: an alias, an anchor, a tag and a block of text are attached to their
//! values as reasons not to touch them. A file of several documents is malformed, because readers
//! differ in which they take.

use std::borrow::Cow;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::tree::{Layout, List, Map, Member, Node, Value};
use super::{Malformed, Syntax, text};

/// How deeply lists and maps may be nested.
const DEPTH: usize = 128;

/// Reads a text; `None` is one without a value.
pub(super) fn read(text: &str) -> Result<Option<Node>, Malformed> {
    let mut reader =
        Reader { text, bytes: bytes(text), open: Vec::new(), documents: 0, root: None };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let at = reader.byte(error.marker().index());
            Malformed::at(text, at, told(error.info()))
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.root)
}

/// What is wrong. One message of the parser quotes a character of the file.
fn told(info: &str) -> &str {
    info.split(": `").next().unwrap_or(info)
}

/// A text on its way to a tree.
struct Reader<'a> {
    text: &'a str,
    /// The byte of each character, where they are not the same.
    bytes: Option<Vec<usize>>,
    /// What is open, outermost first.
    open: Vec<Open>,
    documents: usize,
    root: Option<Node>,
}

/// A list or a map that has not ended yet.
struct Open {
    start: usize,
    layout: Layout,
    attached: Option<&'static str>,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    /// The members so far, and the key of the next.
    Map(Vec<Member>, Option<Node>),
}

// === impl Reader ===

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Malformed> {
        let start = self.byte(span.start.index());
        let place = start..self.byte(span.end.index()).max(start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.malformed(place.start, "more than one document in the file"));
                }
            }
            Event::Alias(_) => {
                let alias = Node::new(place, Value::Else);
                self.put(Node { attached: Some("it is an alias (`*`)"), ..alias });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let attached = attached(anchor, tag.is_some());
                let place = place.start..quoted_end(self.text, &place).unwrap_or(place.end);
                let node = Node::new(place, scalar(text, style));
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let attached = attached.or(block.then_some("it has a block of text (`|`, `>`)"));
                self.put(Node { attached, ..node });
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(place, attached(anchor, tag.is_some()), Parts::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                let parts = Parts::Map(Vec::new(), None);
                self.open(place, attached(anchor, tag.is_some()), parts)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
        Ok(())
    }

    /// Begins a list or a map. The place of one in brackets ends with the bracket, and it begins
    /// with what is attached.
    fn open(
        &mut self,
        place: Range<usize>,
        attached: Option<&'static str>,
        parts: Parts,
    ) -> Result<(), Malformed> {
        if self.open.len() == DEPTH {
            return Err(self.malformed(place.start, "nested too deeply"));
        }
        let opened = self.text[place.clone()].trim_end().ends_with(['[', '{']);
        let layout = if opened { Layout::Flow } else { Layout::Lines };
        let inside = self.open.last().map_or(Layout::Lines, |open| open.layout);
        let bare = inside == Layout::Flow && layout == Layout::Lines;
        let attached = attached.or(bare.then_some("it is a pair without braces"));
        self.open.push(Open { start: place.start, layout, attached, parts });
        Ok(())
    }

    /// Ends what was opened last. Where, is told by what is in it: the parser's place for an end is
    /// at times a comma's.
    fn close(&mut self) {
        let Some(Open { start, layout, attached, parts }) = self.open.pop() else { return };
        let (last, bracket) = match &parts {
            Parts::List(items) => (items.last().map(|item| item.span.end), ']'),
            Parts::Map(members, _) => (members.last().map(|member| member.value.span.end), '}'),
        };
        let last = last.unwrap_or(start).max(start);
        let end = match layout {
            Layout::Flow => {
                let end = text::find(self.text, last..self.text.len(), bracket, Syntax::Yaml);
                end.map_or(last, |end| end + 1)
            }
            Layout::Lines => start + self.text[start..last].trim_end().len(),
        };
        let span = start..end;
        let value = match parts {
            Parts::List(items) => Value::List(List { span: span.clone(), layout, items }),
            Parts::Map(members, _) => Value::Map(Map { span: span.clone(), layout, members }),
        };
        self.put(Node { span, value, attached });
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.parts) {
            None => self.root = Some(node),
            Some(Parts::List(items)) => items.push(node),
            Some(Parts::Map(members, key)) => match key.take() {
                None => *key = Some(node),
                Some(key) => members.push(member(self.text, key, node)),
            },
        }
    }

    fn byte(&self, character: usize) -> usize {
        let byte = match &self.bytes {
            None => character,
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
        };
        byte.min(self.text.len())
    }

    fn malformed(&self, at: usize, what: &str) -> Malformed {
        Malformed::at(self.text, at, what)
    }
}

fn member(text: &str, key: Node, mut value: Node) -> Member {
    let name = match key.value {
        Value::Text(name) => name,
        Value::Flag(_) | Value::Nothing | Value::Else => text[key.span.clone()].to_owned(),
        Value::List(_) | Value::Map(_) => {
            value.attached = Some("its key is not a word");
            String::new()
        }
    };
    Member { name, key: key.span, value }
}

fn attached(anchor: usize, is_tagged: bool) -> Option<&'static str> {
    if anchor != 0 {
        Some("it has an anchor (`&`)")
    } else {
        is_tagged.then_some("it has a tag (`!`)")
    }
}

/// Behind the closing quote of a scalar that begins with one: the parser's place for it has what
/// follows on the line as well.
fn quoted_end(text: &str, place: &Range<usize>) -> Option<usize> {
    let (quote, rest) = text.as_bytes().get(place.clone())?.split_first()?;
    let mut bytes = (place.start + 1..).zip(rest.iter().copied()).peekable();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (b'"', b'\\') => drop(bytes.next()),
            (b'"', b'"') => return Some(at + 1),
            (b'\'', b'\'') if bytes.next_if(|(_, next)| *next == b'\'').is_none() => {
                return Some(at + 1);
            }
            (b'"' | b'\'', _) => {}
            _ => return None,
        }
    }
    None
}

/// What a scalar is in the core schema of YAML 1.2.
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.into_owned());
    }
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Nothing,
        "true" | "True" | "TRUE" => Value::Flag(true),
        "false" | "False" | "FALSE" => Value::Flag(false),
        number if is_number(number) => Value::Else,
        _ => Value::Text(text.into_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let whole = |prefix, radix| {
        let digits = text.strip_prefix(prefix).filter(|digits| !digits.is_empty());
        digits.is_some_and(|digits| digits.chars().all(|digit| digit.is_digit(radix)))
    };
    let special = matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN");
    let starts = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    special || whole("0x", 16) || whole("0o", 8) || (starts && text.parse::<f64>().is_ok())
}

/// The byte of each character of a text, if it is not ASCII: the parser counts characters.
fn bytes(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect())
}
