//! The last decisions, from the end of the journal that was written last. Seals are not checked:
//! `thoth audit verify` does that.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::journal;

/// How many decisions are told.
const MOST: usize = 5;
/// How much is read from the end, in bytes.
const TAIL: u64 = 64 * 1024;

/// The end of a journal.
#[derive(Debug, Serialize)]
pub(super) struct Recent {
    /// The file.
    pub(super) journal: String,
    /// The last decisions, the newest last.
    pub(super) decisions: Vec<Decision>,
}

/// One decision, as it stands in the journal.
#[derive(Debug, Deserialize, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the journal")]
pub(super) struct Decision {
    pub(super) time: String,
    pub(super) tool: Option<String>,
    pub(super) decision: String,
    pub(super) reason_code: Option<String>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
}

/// The end of the newest journal; `None` where there is none, or it cannot be read.
pub(super) fn read(home: &Path) -> Option<Recent> {
    if home.as_os_str().is_empty() {
        return None;
    }
    let path = journal::newest(&journal::directory(home)).ok()??;
    let text = end(&path)?;
    let lines = text.split(|byte| *byte == b'\n').rev();
    let mut decisions: Vec<_> = lines.filter_map(decision).take(MOST).collect();
    decisions.reverse();
    Some(Recent { journal: path.to_string_lossy().into_owned(), decisions })
}

/// A record that begins before what is read is no JSON, and left out.
fn end(path: &PathBuf) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text).ok()?;
    Some(text)
}

fn decision(line: &[u8]) -> Option<Decision> {
    let kind: Kind<'_> = serde_json::from_slice(line).ok()?;
    (kind.kind == "decision").then(|| serde_json::from_slice(line).ok())?
}
