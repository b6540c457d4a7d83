//! The report on a session so far, for the agent that asks for it in the middle.
//!
//! What the events say is read back from the file they are written to, since nothing keeps them; why
//! calls were refused is in the journal. A report takes [`LONGEST`] at most, away from the loop.

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
        let reading = spawn_blocking(move || read(&file, &journal, &session, deadline));
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

/// Blocking.
fn read(file: &Path, journal: &Path, session: &str, deadline: Instant) -> Option<String> {
    let mut reader = Reader::new(Some(session));
    let id = memchr::memmem::Finder::new(session);
    // The file may just have been rotated.
    let mut before = file.as_os_str().to_owned();
    before.push(".1");
    for path in [Path::new(&before), file] {
        each_line(path, deadline, |line| {
            if id.find(line).is_some() {
                reader.line(line);
            }
        });
    }
    let mut session = reader.finish()?;
    let mut decisions = BTreeMap::new();
    each_line(journal, deadline, |line| {
        if let Ok(decided) = serde_json::from_slice::<Decided>(line) {
            decisions.insert(decided.call_id.clone(), Decision::from(decided));
        }
    });
    session.join(|call| decisions.remove(call));
    Some(render::markdown(&session, Limits::in_conversation()))
}

/// Reads a file until the deadline. What cannot be read is passed over.
fn each_line(path: &Path, deadline: Instant, mut take: impl FnMut(&[u8])) {
    let Ok(file) = File::open(path) else { return };
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    while Instant::now() < deadline && matches!(file.read_until(b'\n', &mut line), Ok(1..)) {
        if line.len() <= LINE {
            take(line.trim_ascii_end());
        }
        line.clear();
    }
}

// === impl Decision ===

impl From<Decided> for Decision {
    fn from(decided: Decided) -> Self {
        let Decided { decision, forwarded, rule_ids, reason, reason_code, .. } = decided;
        Self { decision, forwarded, rule_ids, reason, reason_code }
    }
}
