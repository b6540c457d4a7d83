//! What the three syntaxes have in common: values, and where each stands in the text.
//!
//! Places are byte offsets into the text without its byte order mark. A tree holds no text of its
//! own but names and strings as they are meant, without quotes and escapes.

use std::ops::Range;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// From its first byte to behind its last one, quotes and brackets included.
    pub(super) span: Range<usize>,
    /// What it is.
    pub(super) value: Value,
    /// What else is attached to it, so that an edit would reach further than it looks: an anchor.
    pub(super) attached: Option<&'static str>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A string.
    Text(String),
    /// True or false.
    Flag(bool),
    /// Null, or nothing at all.
    Nothing,
    /// A list.
    List(List),
    /// A map.
    Map(Map),
    /// Something that matters to nobody here: a number, a date.
    Else,
}

/// How the parts of a list or a map are set apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    /// In brackets, with commas.
    Flow,
    /// Each on lines of its own.
    Lines,
}

/// A list.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// As of its node.
    pub(super) span: Range<usize>,
    /// How its items are set apart.
    pub(super) layout: Layout,
    /// Its items.
    pub(super) items: Vec<Node>,
}

/// A map.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// As of its node. Of a TOML table it ends with the last line under its header.
    pub(super) span: Range<usize>,
    /// How its members are set apart.
    pub(super) layout: Layout,
    /// Its members, in the order of the text. A name may occur twice.
    pub(super) members: Vec<Member>,
}

/// A member of a map.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    /// Where the name stands, quotes included; of a dotted key, its last part.
    pub(super) key: Range<usize>,
    /// Its value.
    pub(super) value: Node,
}

// === impl Node ===

impl Node {
    /// A value with nothing attached.
    pub(super) fn new(span: Range<usize>, value: Value) -> Self {
        Self { span, value, attached: None }
    }

    /// The string, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Flag(_) | Value::Nothing | Value::List(_) | Value::Map(_) | Value::Else => None,
        }
    }

    /// The flag, if it is one.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Flag(flag) => Some(flag),
            Value::Text(_) | Value::Nothing | Value::List(_) | Value::Map(_) | Value::Else => None,
        }
    }

    /// The map, if it is one.
    pub(super) fn map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            Value::Text(_) | Value::Flag(_) | Value::Nothing | Value::List(_) | Value::Else => None,
        }
    }

    /// Whether there is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self.value, Value::Nothing)
    }

    /// Whether something is attached to it or to anything in it.
    pub(super) fn attachment(&self) -> Option<&'static str> {
        self.attached.or_else(|| match &self.value {
            Value::List(list) => list.items.iter().find_map(Self::attachment),
            Value::Map(map) => map.members.iter().find_map(|member| member.value.attachment()),
            Value::Text(_) | Value::Flag(_) | Value::Nothing | Value::Else => None,
        })
    }
}

// === impl List ===

impl List {
    /// The items as strings, if all are.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        self.items.iter().map(Node::text).collect()
    }
}

// === impl Map ===

impl Map {
    /// The first member of this name, and where it is among the members.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Node)> {
        let at = self.members.iter().position(|member| member.name == name)?;
        Some((at, &self.members[at].value))
    }

    /// The value of the first member of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.find(name).map(|(_, node)| node)
    }

    /// Whether several members have this name.
    pub(super) fn repeats(&self, name: &str) -> bool {
        self.members.iter().filter(|member| member.name == name).nth(1).is_some()
    }
}
