//! The promises, row by row.

mod friction;
mod latency;
mod memory;
mod start;
mod throughput;

use crate::report::Line;
use crate::setup::Setup;
use crate::trouble::Trouble;

/// One row: what is measured in one go.
pub(crate) struct Row {
    name: &'static str,
    pub(crate) measure: fn(&Setup) -> Result<Vec<Line>, Trouble>,
}

const ROWS: &[Row] = &[
    Row { name: "ungoverned", measure: latency::ungoverned },
    Row { name: "governed", measure: latency::governed },
    Row { name: "enforcer", measure: latency::enforcer },
    Row { name: "in-flight", measure: throughput::in_flight },
    Row { name: "large", measure: latency::large },
    Row { name: "start", measure: start::start },
    Row { name: "memory", measure: memory::memory },
    Row { name: "friction", measure: friction::friction },
];

/// The rows with these names, in their usual order; all, where none is named.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Row>, Trouble> {
    for name in names {
        if !ROWS.iter().any(|row| row.name == name) {
            let all: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            return Err(Trouble::NoSuchRow(name.clone(), all.join(", ")));
        }
    }
    let wanted = |row: &&Row| names.is_empty() || names.iter().any(|name| name == row.name);
    Ok(ROWS.iter().filter(wanted).collect())
}
