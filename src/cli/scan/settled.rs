//! Waits until the sidecars that the agent started have written what they had to say.
//!
//! They end after the agent does, when their input closes, and then tell how the last calls ended.
//! Nobody but they know when that is; what can be seen is their events.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};

/// The longest they are waited for: the time they need to end a server that does not want to.
const LONGEST: Duration = Duration::from_secs(4);

/// How often their events are looked at, and how long nothing may come before that counts as all.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    event_type: &'a str,
    #[serde(borrow)]
    session_id: &'a str,
}

/// Waits until every beginning in the events has an end, and nothing more comes.
pub(super) async fn wait(events: &Path) {
    let end = Instant::now() + LONGEST;
    let mut before = None;
    while Instant::now() < end {
        let told = fs::read(events).unwrap_or_default();
        if before == Some(told.len()) && is_whole(&told) {
            return;
        }
        before = Some(told.len());
        sleep(PAUSE).await;
    }
}

/// Whether every beginning has its end.
fn is_whole(events: &[u8]) -> bool {
    let mut open: HashMap<&str, i64> = HashMap::new();
    for line in events.split(|byte| *byte == b'\n') {
        let Ok(told) = serde_json::from_slice::<Told<'_>>(line) else { continue };
        let change = match told.event_type.rsplit('_').next() {
            Some("start") => 1,
            Some("end" | "error") => -1,
            _ => 0,
        };
        *open.entry(told.session_id).or_default() += change;
    }
    open.values().all(|open| *open <= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_is_what_has_an_end_for_every_beginning() {
        let line = |kind: &str, session: &str| {
            format!(r#"{{"event_type":"{kind}","session_id":"{session}"}}"#) + "\n"
        };
        let [start, end] = ["tool_call_start", "tool_call_end"].map(|kind| line(kind, "a"));
        for (events, whole) in [
            (String::new(), true),
            (line("surface_snapshot", "a"), true),
            (start.clone(), false),
            (start.clone() + &end, true),
            (start.clone() + &line("tool_call_error", "a"), true),
            (start.clone() + &line("tool_call_end", "b"), false),
            (start.clone() + &start + &end, false),
            (start.clone() + "half a li", false),
        ] {
            assert_eq!(is_whole(events.as_bytes()), whole, "{events}");
        }
    }
}
