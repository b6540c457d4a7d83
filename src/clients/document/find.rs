//! Where the servers of a document are.

use std::ops::Range;

use super::tree::{Map, Node, Value};
use super::{Malformed, Shape};

/// One entry of a map, or a list, of servers.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its key, or the `name` in it, or `#2` for the second of a list that has none.
    pub(super) name: String,
    /// The keys above it.
    pub(super) within: Vec<String>,
    /// From its key to its end.
    pub(super) span: Range<usize>,
    /// The entry.
    pub(super) node: Node,
}

/// Finds every server, in the order of the text.
pub(super) fn servers(root: &Node, shape: &Shape, text: &str) -> Result<Vec<Found>, Malformed> {
    let mut search = Search { text, found: Vec::new() };
    for path in shape.servers {
        search.descend(root, path, &mut Vec::new())?;
    }
    search.found.sort_by_key(|found| found.span.start);
    Ok(search.found)
}

struct Search<'a> {
    text: &'a str,
    found: Vec<Found>,
}

impl Search<'_> {
    fn descend(
        &mut self,
        node: &Node,
        path: &[&str],
        within: &mut Vec<String>,
    ) -> Result<(), Malformed> {
        if node.is_nothing() {
            return Ok(());
        }
        let Some((key, rest)) = path.split_first() else { return self.take(node, within) };
        let map = node.map().ok_or_else(|| {
            let what = if within.is_empty() { "the file" } else { "what stands above servers" };
            Malformed::at(self.text, node.span.start, format!("{what} is not a map"))
        })?;
        for member in map.members.iter().filter(|member| *key == "*" || member.name == *key) {
            within.push(member.name.clone());
            self.descend(&member.value, rest, within)?;
            within.pop();
        }
        Ok(())
    }

    fn take(&mut self, node: &Node, within: &[String]) -> Result<(), Malformed> {
        match &node.value {
            Value::Map(map) => {
                self.found.extend(map.members.iter().map(|member| Found {
                    name: member.name.clone(),
                    within: within.to_vec(),
                    span: spread(&member.key, &member.value),
                    node: member.value.clone(),
                }));
            }
            Value::List(list) => {
                self.found.extend(list.items.iter().zip(1_usize..).map(|(item, number)| Found {
                    name: name(item.map()).unwrap_or_else(|| format!("#{number}")),
                    within: within.to_vec(),
                    span: item.span.clone(),
                    node: item.clone(),
                }));
            }
            Value::Text(_) | Value::Flag(_) | Value::Nothing | Value::Else => {
                let what = "the servers are not in a map";
                return Err(Malformed::at(self.text, node.span.start, what));
            }
        }
        Ok(())
    }
}

/// From the key to the end of the value. The key of a TOML table is inside of its header.
fn spread(key: &Range<usize>, value: &Node) -> Range<usize> {
    key.start.min(value.span.start)..key.end.max(value.span.end)
}

fn name(entry: Option<&Map>) -> Option<String> {
    entry?.get("name")?.text().map(str::to_owned)
}
