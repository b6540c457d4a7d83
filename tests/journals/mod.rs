//! Journals of invented sessions, for the tests of those who write and of those who read them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use thoth::config::settings;
use thoth::gate::record::{Decided, End, Outcome, Record, Ticket};
use thoth::gate::verdict::Grounds;
use thoth::journal::{self, Header, Journal, Verified};

/// So many seconds after an invented moment.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::new(1_767_323_045 + second, 6_000).unwrap()
}

pub(crate) fn decided(call: u64, arguments: &str) -> Decided {
    Decided {
        ticket: Ticket(call),
        id: format!("\"c-{call}\""),
        tool: "read_file".into(),
        arguments: Bytes::copy_from_slice(arguments.as_bytes()),
        modified: None,
        decision: "allow",
        forwarded: true,
        basis: "rules",
        mode: "progressive",
        grounds: Grounds::default(),
        took: Duration::from_micros(31),
    }
}

pub(crate) fn decision(call: u64, arguments: &str) -> Record {
    Record::Decision(Box::new(decided(call, arguments)))
}

pub(crate) fn outcome(call: u64, end: End) -> Record {
    Record::Outcome(Box::new(Outcome {
        ticket: Ticket(call),
        tool: "read_file".into(),
        end,
        took: Duration::from_millis(2),
    }))
}

pub(crate) fn journal(home: &Path, session: &str) -> Journal {
    let settings = settings::Journal::default();
    Journal::create(home, "desk", session, settings, Header::default(), at(0))
}

/// A closed journal of some calls, six records in all.
pub(crate) fn written(home: &Path) -> PathBuf {
    let mut journal = journal(home, "s-1");
    for call in 1..=2 {
        journal.append(&decision(call, r#"{"path":"/srv/a"}"#), at(1)).unwrap();
        let result = Bytes::from_static(b"{\"content\":[]}");
        let end = End::Result { is_error: false, result };
        journal.append(&outcome(call, end), at(2)).unwrap();
    }
    journal.close(at(3)).unwrap();
    journal.path().to_owned()
}

pub(crate) fn verify(path: &Path) -> Verified {
    journal::verify(path, None).unwrap()
}

pub(crate) fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
