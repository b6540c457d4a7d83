//! The report on a session so far, for the agent that asks for it in the middle.
//!
//! What the events say is read back from the file they are written to, since nothing keeps them; why
//! calls were refused is in the journal. A report takes [`LONGEST`] at most, away from the loop; of a
//! session too long for that, it tells the beginning and says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::emitter::Handle;
use crate::friction::report::session::Reader;
use crate::friction::report::{Decision, Limits, render};

/// The longest a report takes.
const LONGEST: Duration = Duration::from_secs(2);

/// How much of that is left to make the report of what was read.
const MAKING: Duration = Duration::from_millis(500);

/// What a report ends with that tells the beginning only.
const CUT: &str = "\nThere was no time to read the whole session: this is its beginning.\n";

/// The longest line that is read, in bytes: as long as an event can be, and a little.
const LINE: usize = 9 * 1024 * 1024;

/// Reports on one session.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    /// The way to the events, so that those on their way are waited for.
    pub(super) handle: Handle,
    /// The file that they are in.
    pub(super) file: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) session: String,
}

/// What a record of the journal says about a decision.
#[derive(Deserialize)]
struct Decided {
    call_id: String,
    decision: String,
    forwarded: bool,
    #[serde(default)]
    rule_ids: Vec<String>,
    reason: Option<String>,
    reason_code: Option<String>,
}

// === impl Reporter ===

impl Reporter {
    /// Makes the report, in Markdown.
    pub(super) async fn report(&self) -> String {
        let deadline = Instant::now() + LONGEST;
        self.handle.flushed(Instant::now() + LONGEST / 2).await;
        let Self { file, journal, session, .. } = self.clone();
        let in_time = move || Instant::now() < deadline - MAKING;
        let reading = spawn_blocking(move || read(&file, &journal, &session, in_time));
        match timeout_at(deadline, reading).await {
            Ok(Ok(Some(text))) => text,
            Ok(Ok(None)) => "There is no report: this session has no events yet.".to_owned(),
            Ok(Err(_)) | Err(_) => {
                "There is no report: the events of this session could not be read in time."
                    .to_owned()
            }
        }
    }
}

/// Reads as long as there is time. Blocking.
fn read(
    file: &Path,
    journal: &Path,
    session: &str,
    mut in_time: impl FnMut() -> bool,
) -> Option<String> {
    let mut reader = Reader::new(Some(session));
    let id = memchr::memmem::Finder::new(session);
    // The file may just have been rotated.
    let mut before = file.as_os_str().to_owned();
    before.push(".1");
    let mut is_whole = true;
    for path in [Path::new(&before), file] {
        is_whole &= each_line(path, &mut in_time, |line| {
            if id.find(line).is_some() {
                reader.line(line);
            }
        });
    }
    let mut session = reader.finish()?;
    let mut decisions = BTreeMap::new();
    is_whole &= each_line(journal, &mut in_time, |line| {
        if let Ok(decided) = serde_json::from_slice::<Decided>(line) {
            decisions.insert(decided.call_id.clone(), Decision::from(decided));
        }
    });
    session.join(|call| decisions.remove(call));
    let mut text = render::markdown(&session, Limits::in_conversation());
    if !is_whole {
        text.push_str(CUT);
    }
    Some(text)
}

/// Reads a file as long as there is time; whether there was time for all of it. What cannot be read is
/// passed over.
fn each_line(path: &Path, in_time: &mut impl FnMut() -> bool, mut take: impl FnMut(&[u8])) -> bool {
    let Ok(file) = File::open(path) else { return true };
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    while in_time() {
        if !matches!(file.read_until(b'\n', &mut line), Ok(1..)) {
            return true;
        }
        if line.len() <= LINE {
            take(line.trim_ascii_end());
        }
        line.clear();
    }
    false
}

// === impl Decision ===

impl From<Decided> for Decision {
    fn from(decided: Decided) -> Self {
        let Decided { decision, forwarded, rule_ids, reason, reason_code, .. } = decided;
        Self { decision, forwarded, rule_ids, reason, reason_code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_session_that_is_too_long_to_read_the_beginning_is_told() {
        const SESSION: &str = "0195a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b";

        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/stuck.jsonl");
        let journal = Path::new("/nowhere");
        let some = |most: usize| {
            let mut lines = 0..most;
            move || lines.next().is_some()
        };
        let whole = read(&sample, journal, SESSION, some(1000)).unwrap();
        let cut = read(&sample, journal, SESSION, some(6)).unwrap();
        assert!(!whole.contains(CUT));
        assert!(cut.ends_with(CUT) && cut.len() < whole.len(), "{cut}");
        assert_eq!(read(&sample, journal, SESSION, || false), None);
    }
}
