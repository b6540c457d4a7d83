//! What must be true after every scenario: each call decided once, over once, and told once.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::client::{Ended, Setup};
use crate::server::{Server, State};

/// What was written down of one session.
pub(crate) struct Audit {
    pub(crate) decisions: Vec<Value>,
    pub(crate) outcomes: Vec<Value>,
    /// How often each friction event was told, by call and type.
    pub(crate) told: BTreeMap<(String, String), usize>,
}

impl Setup {
    /// The journal's records.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let folder = self.home.path().join("home/journal/test");
        let entries = fs::read_dir(&folder).unwrap_or_else(|_| panic!("there is no journal"));
        let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        let is_journal = |path: &&PathBuf| path.extension().is_some_and(|end| end == "jsonl");
        let journals: Vec<_> = paths.iter().filter(is_journal).collect();
        assert_eq!(journals.len(), 1, "one session, one journal: {journals:?}");
        let verified = thoth::journal::verify(journals[0], None).unwrap();
        assert!(verified.report.findings.is_empty(), "{:?}", verified.report.findings);
        let text = fs::read_to_string(journals[0]).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The friction events.
    pub(crate) fn events(&self) -> Vec<Value> {
        let path = self.home.path().join("home/friction/events.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn audit(&self) -> Audit {
        let of_kind = |kind: &str| {
            let records = self.journal().into_iter();
            records.filter(|record| record["kind"] == kind).collect()
        };
        let mut told = BTreeMap::new();
        for event in self.events() {
            let Some(call) = event["call_id"].as_str() else { continue };
            let kind = event["event_type"].as_str().unwrap();
            *told.entry((call.to_owned(), kind.to_owned())).or_default() += 1;
        }
        Audit { decisions: of_kind("decision"), outcomes: of_kind("outcome"), told }
    }

    /// Nothing was lost, and nothing was done twice: of so many calls, numbered from 1, each was
    /// executed, decided, over and told once, and the client saw no error.
    pub(crate) fn holds(&self, server: &Server, ended: &Ended, calls: u64) -> Audit {
        assert!(ended.errors().is_empty(), "{:?}\n{}", ended.errors(), ended.stderr);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let mut executed = server.executed();
        executed.sort_unstable();
        let story = server.look(State::story);
        assert_eq!(executed, (1..=calls).collect::<Vec<_>>(), "executions: {story}");
        let audit = self.audit();
        audit.has(calls);
        audit
    }
}

impl Audit {
    /// So many calls were decided, allowed, over and told, each once.
    pub(crate) fn has(&self, calls: u64) {
        let calls = usize::try_from(calls).unwrap();
        let ids = |records: &[Value]| {
            let mut ids: Vec<_> = records.iter().map(|it| it["call_id"].to_string()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        assert_eq!(self.decisions.len(), calls, "decisions");
        assert_eq!(ids(&self.decisions).len(), calls, "decisions of different calls");
        assert_eq!(self.outcomes.len(), calls, "outcomes");
        assert_eq!(ids(&self.outcomes), ids(&self.decisions), "each decision has its outcome");
        assert!(self.told.values().all(|times| *times == 1), "{:?}", self.told);
        let of_type = |kind: &str| self.told.keys().filter(|(_, it)| it == kind).count();
        assert_eq!(of_type("tool_call_start"), calls, "{:?}", self.told);
        let over = of_type("tool_call_end") + of_type("tool_call_error");
        assert_eq!(over, calls, "{:?}", self.told);
    }

    /// How often the calls were sent, in all.
    pub(crate) fn attempts(&self) -> u64 {
        let of = |record: &Value| record["upstream_attempts"].as_u64().unwrap_or(1);
        self.outcomes.iter().map(of).sum()
    }
}
