//! Adds tools and parameters to an answer to `tools/list`, and remembers which tool got what.

use std::collections::{BTreeMap, BTreeSet};

use super::edit::Edits;
use super::{Additions, Mode, Param};
use crate::friction::raw::{Raw, RawObject};
use crate::gate::json::{Kind, unescape};

/// How many tools are remembered; further ones get no parameters, so that none has to be taken out.
const MOST: usize = 4096;

/// What was added to which tool.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// One bit for each parameter that was added.
    params: BTreeMap<Box<str>, u8>,
    /// Names of thoth's own tools that the server has, too: those calls are the server's.
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
        for tool in tools.elements() {
            let Some(tool) = tool.object() else { continue };
            let name = tool.member("name").filter(|name| name.kind() == Kind::Text);
            let Some(name) = name.map(|name| unescape(name.text())) else { continue };
            if additions.tool_names().any(|own| own == name) {
                self.taken.insert((*name).into());
                continue;
            }
            if self.params.len() >= MOST && !self.params.contains_key(&*name) {
                continue;
            }
            let bits = params(tool, additions, &mut edits);
            self.params.insert((*name).into(), bits);
        }
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
        let whole = format!(
            r#"{{"type":"object","properties":{{{}}}{}}}"#,
            Param::ALL.map(|param| additions.param(param)).join(","),
            match additions.mode {
                Mode::Off | Mode::Optional => String::new(),
                Mode::Required => format!(r#","required":[{}]"#, Param::ALL.map(quoted).join(",")),
            },
        );
        match schema {
            None => edits.add_member(tool, "inputSchema", whole.as_bytes()),
            Some(other) => edits.replace(edits.range_of(other), whole.into_bytes()),
        }
        return Param::ALL.iter().fold(0, |bits, param| bits | param.bit());
    };
    let properties = schema.member("properties");
    let declared = properties.and_then(Raw::object);
    let missing: Vec<Param> = Param::ALL
        .into_iter()
        .filter(|param| declared.is_none_or(|declared| declared.member(param.name()).is_none()))
        .collect();
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
        require(schema, &missing, edits);
    }
    missing.iter().fold(0, |bits, param| bits | param.bit())
}

fn require<'a>(schema: RawObject<'a>, params: &[Param], edits: &mut Edits<'a>) {
    let required = schema.member("required");
    match required {
        Some(array) if array.kind() == Kind::Array => {
            for &param in params {
                edits.add_element(array, quoted(param).as_bytes());
            }
        }
        other => {
            let names: Vec<_> = params.iter().map(|&param| quoted(param)).collect();
            let whole = format!("[{}]", names.join(","));
            match other {
                Some(other) => edits.replace(edits.range_of(other), whole.into_bytes()),
                None => edits.add_member(schema, "required", whole.as_bytes()),
            }
        }
    }
}

fn quoted(param: Param) -> String {
    format!("\"{}\"", param.name())
}
