//! How far each segment is settled: `cursor.json`, kept by whoever drains.
//!
//! Without it, or with an older one, everything is given out again: the collector tells what it
//! has by the ids.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::segment::{Found, Name};
use crate::profile::{self, Unsafe};

const NAME: &str = "cursor.json";

/// Bytes settled, by segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Cursor(BTreeMap<Name, u64>);

impl Cursor {
    /// Reads it. What cannot be read says nothing.
    pub(super) fn read(directory: &Path) -> Self {
        let text = fs::read(directory.join(NAME)).unwrap_or_default();
        let entries: BTreeMap<String, u64> = serde_json::from_slice(&text).unwrap_or_default();
        let named = |(name, at): (String, u64)| Some((Name::parse(name.as_ref())?, at));
        Self(entries.into_iter().filter_map(named).collect())
    }

    /// Replaces it, without what is said of segments that are gone.
    pub(super) fn write(&mut self, directory: &Path, segments: &[Found]) -> Result<(), Unsafe> {
        self.0.retain(|name, _| segments.iter().any(|found| found.name == *name));
        let entries = self.0.iter().filter_map(|(name, at)| {
            let path = name.path(Path::new(""));
            Some((path.into_os_string().into_string().ok()?, *at))
        });
        let entries: BTreeMap<String, u64> = entries.collect();
        let text = serde_json::to_vec(&entries).map_err(|error| Unsafe::Unmade {
            path: directory.join(NAME),
            source: io::Error::other(error),
        })?;
        profile::replace(directory, NAME, &text)
    }

    pub(super) fn at(&self, name: Name) -> u64 {
        self.0.get(&name).copied().unwrap_or(0)
    }

    /// Whether that is new.
    pub(super) fn advance(&mut self, name: Name, at: u64) -> bool {
        let known = self.0.entry(name).or_default();
        let is_new = at > *known;
        *known = at.max(*known);
        is_new
    }
}
