//! One call that waits for a person, wherever it is kept; and which one is meant.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::printable::Printable;
use crate::friction::raw::Raw;
use crate::friction::scrub::{Counts, Scrubber};

/// The shortest beginning of an id that the list shows.
const SHORT: usize = 8;

/// One call that waits, as it stands in the list of `--json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Waiting {
    #[serde(flatten)]
    pub(super) place: Place,
    /// What it is answered by.
    pub(super) id: String,
    pub(super) agent_id: String,
    pub(super) server: String,
    pub(super) tool_name: String,
    /// The arguments, scrubbed.
    pub(super) arguments: Box<RawValue>,
    pub(super) user_id: Option<String>,
    pub(super) rule_ids: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) self_approval: Option<bool>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
}

/// Who keeps it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "keeper", rename_all = "snake_case")]
pub(super) enum Place {
    /// The enforcer.
    Enforcer,
    /// A sidecar of this account.
    Sidecar {
        /// Its session.
        session_id: String,
    },
}

/// Not one is meant.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOne {
    /// None.
    #[error("nothing waits by the id {id}; `thoth approvals list` shows what does")]
    None {
        /// What was asked for, safe to print.
        id: String,
    },
    /// Several.
    #[error("several ids begin like this; write more of the one that is meant:{0}")]
    Several(Several),
}

/// Those that could be meant.
#[derive(Debug)]
pub(super) struct Several(Vec<Waiting>);

/// The one that is meant by its id, the beginning of its id, or a hold token that a client was told.
pub(super) fn pick(waiting: Vec<Waiting>, word: &str) -> Result<Waiting, NotOne> {
    let word = word.trim();
    let is_claim = |id: &str| {
        let number = word.strip_prefix(id).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
        })
    };
    if let Some(exact) = waiting.iter().find(|one| one.id == word || is_claim(&one.id)) {
        return Ok(exact.clone());
    }
    let mut fitting: Vec<_> =
        waiting.into_iter().filter(|one| !word.is_empty() && one.id.starts_with(word)).collect();
    match (fitting.pop(), fitting.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(NotOne::None { id: Printable(word).to_string() }),
        (Some(last), false) => {
            fitting.push(last);
            Err(NotOne::Several(Several(fitting)))
        }
    }
}

/// The value of a JSON text without what the rules know; null for what is none.
pub(super) fn scrubbed(scrubber: &Scrubber, text: &str) -> Box<RawValue> {
    let value = Raw::read(text.as_bytes());
    let text = value.map(|value| scrubber.scrub(value, &mut Counts::default()));
    text.and_then(|text| RawValue::from_string(text).ok()).unwrap_or_default()
}

// === impl Waiting ===

impl Waiting {
    /// A beginning of the id that is enough to name it among these.
    pub(super) fn short<'a>(&'a self, among: &[Self]) -> &'a str {
        let is_enough = |length: usize| {
            let Some(beginning) = self.id.get(..length) else { return false };
            among.iter().filter(|other| other.id.starts_with(beginning)).count() <= 1
        };
        let length = (SHORT..self.id.len()).find(|length| is_enough(*length));
        length.and_then(|length| self.id.get(..length)).unwrap_or(&self.id)
    }
}

// === impl Several ===

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.0 {
            write!(f, "\n  {}", super::text::line(one, &self.0))?;
        }
        Ok(())
    }
}
