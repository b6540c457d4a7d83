//! The events of one session, checked for what holds in every stream.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

/// Whole: numbered without a gap in the order of the file, and every beginning has one end.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) events: Vec<Value>,
}

impl Stream {
    /// Reads a file of one session's events.
    pub(crate) fn read(text: &str) -> Self {
        assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
        let line = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
        };
        let stream = Self { events: text.lines().map(line).collect() };
        stream.check();
        stream
    }

    fn check(&self) {
        let text = |event: &Value, name: &str| event[name].as_str().map(str::to_owned);
        let sessions: HashSet<_> =
            self.events.iter().map(|event| text(event, "session_id")).collect();
        assert!(sessions.len() <= 1, "one session is one stream: {sessions:?}");
        let ids: HashSet<_> = self.events.iter().map(|event| text(event, "event_id")).collect();
        assert_eq!(ids.len(), self.events.len(), "every event has an id of its own");

        let first =
            self.events.first().map_or(0, |event| event["sequence_number"].as_u64().unwrap());
        assert!(first <= 1, "a stream starts with 0 or 1, not {first}");
        let mut before = None::<Timestamp>;
        for (number, event) in (first..).zip(&self.events) {
            assert_eq!(event["sequence_number"].as_u64(), Some(number), "in the order of the file");
            let at: Timestamp = event["captured_at"].as_str().unwrap().parse().unwrap();
            assert!(before.is_none_or(|before| before <= at), "time goes on: {event}");
            before = Some(at);
        }

        let mut open: BTreeMap<String, i32> = BTreeMap::new();
        let mut closed = HashSet::new();
        for event in &self.events {
            let kind = event["event_type"].as_str().unwrap();
            let Some((subject, leg)) = kind.rsplit_once('_') else { continue };
            let is_call = subject == "tool_call";
            let key = if is_call { text(event, "call_id").unwrap() } else { subject.to_owned() };
            let change = match leg {
                "start" => 1,
                "end" | "error" => -1,
                _ => continue,
            };
            let count = open.entry(key.clone()).or_default();
            *count += change;
            assert!(*count >= 0, "an end without a beginning: {event}");
            if is_call {
                assert!(*count <= 1, "two calls with one id: {event}");
                assert!(change > 0 || closed.insert(key), "two ends of one call: {event}");
            }
        }
        open.retain(|_, count| *count != 0);
        assert!(open.is_empty(), "beginnings without an end: {open:?}");
    }

    /// The types, in order.
    pub(crate) fn types(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
    }

    /// The payloads of one type.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        let events = self.events.iter().filter(|event| event["event_type"] == kind);
        events.map(|event| &event["payload"]).collect()
    }
}
