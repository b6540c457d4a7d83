//! Adds tools and parameters to an answer to `tools/list`, and remembers which tool got what.

use std::collections::{BTreeMap, BTreeSet};

use super::edit::Edits;
use super::{Additions, Mode, Param};
use crate::friction::raw::{Raw, RawObject};
use crate::gate::json::{Kind, unescape};

/// How many tools are remembered, and how many of one page get parameters; further ones get none, so
/// that none has to be taken out.
const MOST: usize = 4096;

/// Members of a schema that may refuse a further property, or declare one elsewhere than in
/// `properties`: a tool whose schema has one gets no parameters, since a client that checks its
/// calls could make none.
const CLOSING: [&str; 14] = [
    "$dynamicRef",
    "$recursiveRef",
    "$ref",
    "allOf",
    "anyOf",
    "const",
    "dependentSchemas",
    "enum",
    "if",
    "maxProperties",
    "not",
    "oneOf",
    "patternProperties",
    "propertyNames",
];

/// What was added to which tool.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// One bit for each parameter that was added.
    params: BTreeMap<Box<str>, u8>,
    /// Names of thoth's own tools that the server has, too, or had: those calls are the server's, on
    /// whatever page it has them.
    taken: BTreeSet<Box<str>>,
}

/// One answer to `tools/list` with what was added.
#[derive(Debug)]
pub struct Page {
    /// The edited text of the result.
    pub text: Vec<u8>,
    /// How many tools were added.
    pub added: usize,
}

// === impl Registry ===

impl Registry {
    /// The parameters that were added to a tool.
    pub fn added(&self, tool: &str) -> impl Iterator<Item = Param> + use<> {
        let bits = self.params.get(tool).copied().unwrap_or(0);
        Param::ALL.into_iter().filter(move |param| bits & param.bit() != 0)
    }

    /// Whether calls of one of thoth's own tools are thoth's to answer.
    pub fn is_own(&self, tool: &str, additions: &Additions) -> bool {
        additions.tool_names().any(|name| name == tool) && !self.taken.contains(tool)
    }

    /// Adds to one page of tools. `first`: the request had no cursor; every client reads that page,
    /// and none reads it twice for one list. `None` where the text has no tools.
    pub fn list(&mut self, result: &[u8], first: bool, additions: &Additions) -> Option<Page> {
        let object = RawObject::read(result)?;
        let tools = object.member("tools").filter(|tools| tools.kind() == Kind::Array)?;
        let mut edits = Edits::new(object.text());
        let mut added = 0;
        // A name that stands twice on a page is one tool to most clients, and either to some.
        let mut page: BTreeMap<Box<str>, u8> = BTreeMap::new();
        let mut room = MOST;
        for tool in tools.elements().filter_map(Raw::object) {
            let name = tool.member("name").filter(|name| name.kind() == Kind::Text);
            let Some(name) = name.map(|name| unescape(name.text())) else { continue };
            if additions.tool_names().any(|own| own == name) {
                self.taken.insert((*name).into());
            } else if page.contains_key(&*name)
                || self.params.contains_key(&*name)
                || self.params.len() + page.len() < MOST
            {
                let bits = if room > 0 { params(tool, additions, &mut edits) } else { 0 };
                room = room.saturating_sub(1);
                page.entry((*name).into()).and_modify(|both| *both &= bits).or_insert(bits);
            }
        }
        self.params.append(&mut page);
        if first {
            for (name, definition) in additions.tools() {
                if !self.taken.contains(&*name) {
                    edits.add_element(tools, definition.as_bytes());
                    added += 1;
                }
            }
        }
        Some(Page { text: edits.apply(), added })
    }
}

/// Adds the parameters that one tool does not declare itself; their bits.
fn params<'a>(tool: RawObject<'a>, additions: &Additions, edits: &mut Edits<'a>) -> u8 {
    if additions.mode == Mode::Off {
        return 0;
    }
    let schema = tool.member("inputSchema");
    let Some(schema) = schema.and_then(Raw::object) else {
        let whole = whole_schema(additions);
        match schema {
            None => edits.add_member(tool, "inputSchema", whole.as_bytes()),
            Some(other) => edits.replace(edits.range_of(other), whole.into_bytes()),
        }
        return bits(&Param::ALL);
    };
    if !is_plain(schema) {
        return 0;
    }
    let properties = schema.member("properties");
    let declared = properties.and_then(Raw::object);
    let required = schema.member("required");
    let is_own = |name: &str| {
        declared.is_some_and(|declared| declared.member(name).is_some())
            || required.is_some_and(|required| has_text(required, name))
    };
    let missing: Vec<Param> =
        Param::ALL.into_iter().filter(|param| !is_own(param.name())).collect();
    if missing.is_empty() {
        return 0;
    }
    match (declared, properties) {
        (Some(declared), _) => {
            for &param in &missing {
                edits.add_member(declared, param.name(), additions.schema(param).as_bytes());
            }
        }
        (None, other) => {
            let members: Vec<_> = missing.iter().map(|&param| additions.param(param)).collect();
            let whole = format!("{{{}}}", members.join(","));
            match other {
                Some(other) => edits.replace(edits.range_of(other), whole.into_bytes()),
                None => edits.add_member(schema, "properties", whole.as_bytes()),
            }
        }
    }
    if additions.mode == Mode::Required {
        require(schema, required, &missing, edits);
    }
    bits(&missing)
}

/// Asks for the parameters; where `required` is no array, and so asks for nothing, neither do we.
fn require<'a>(
    schema: RawObject<'a>,
    required: Option<Raw<'a>>,
    params: &[Param],
    edits: &mut Edits<'a>,
) {
    match required {
        None => edits.add_member(schema, "required", names(params).as_bytes()),
        Some(array) if array.kind() == Kind::Array => {
            for &param in params {
                edits.add_element(array, quoted(param).as_bytes());
            }
        }
        Some(_) => {}
    }
}

/// A schema for a tool that has none.
fn whole_schema(additions: &Additions) -> String {
    let properties = Param::ALL.map(|param| additions.param(param)).join(",");
    let required = match additions.mode {
        Mode::Off | Mode::Optional => String::new(),
        Mode::Required => format!(",\"required\":{}", names(&Param::ALL)),
    };
    format!(r#"{{"type":"object","properties":{{{properties}}}{required}}}"#)
}

/// Whether a schema takes an object and says all about its members in `properties`, so that one
/// more is welcome.
fn is_plain(schema: RawObject<'_>) -> bool {
    let mut is_object = true;
    let mut is_closed = false;
    schema.each(|name, value| match name {
        "type" if value.kind() == Kind::Text => is_object = unescape(value.text()) == "object",
        "type" => is_object = has_text(value, "object"),
        other => is_closed |= CLOSING.contains(&other),
    });
    is_object && !is_closed
}

/// Whether an array has an element that is this text.
fn has_text(array: Raw<'_>, text: &str) -> bool {
    array.elements().any(|element| element.kind() == Kind::Text && unescape(element.text()) == text)
}

fn bits(params: &[Param]) -> u8 {
    params.iter().fold(0, |bits, param| bits | param.bit())
}

fn names(params: &[Param]) -> String {
    let names: Vec<_> = params.iter().map(|&param| quoted(param)).collect();
    format!("[{}]", names.join(","))
}

fn quoted(param: Param) -> String {
    format!("\"{}\"", param.name())
}
