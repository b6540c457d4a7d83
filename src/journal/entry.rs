//! What a record looks like: the members between `kind` and `prev`, in their order.
//!
//! Members that are unknown are left out. Text is escaped by `serde_json`; arguments in full are
//! put in as the very text that was sent, where that is JSON that fits on a line.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::key::{Arguments, Hashed};
use crate::gate::record::{Carried, Decided, End, Outcome};
use crate::gate::verdict::PolicyRef;
use crate::seal::Digest;

/// The first record.
#[derive(Serialize)]
pub(super) struct Session<'a> {
    pub(super) format: &'a str,
    #[serde(rename = "session")]
    pub(super) id: &'a str,
    pub(super) agent: &'a str,
    /// When the session started; the record's own time is that of the first thing it wrote down.
    pub(super) started: String,
    pub(super) thoth: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) intent: Option<&'a str>,
    pub(super) policies: Vec<Policy<'a>>,
    /// `full` or `hmac-sha256`.
    pub(super) arguments: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) salt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_id: Option<String>,
}

/// What a decision rests on.
#[derive(Serialize)]
pub(super) struct Policy<'a> {
    id: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

/// A call was decided.
#[derive(Serialize)]
pub(super) struct Decision<'a> {
    call: u64,
    call_id: String,
    id: &'a str,
    tool: &'a str,
    #[serde(rename = "decision")]
    word: &'a str,
    forwarded: bool,
    basis: &'a str,
    mode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    rule_ids: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    control_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "digits")]
    arguments_hash: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "digits")]
    modified_hash: Option<Digest>,
    took_us: u64,
}

/// A forwarded call is over.
#[derive(Serialize)]
pub(super) struct Ended<'a> {
    call: u64,
    call_id: String,
    tool: &'a str,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "digits")]
    result_sha256: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_epoch: Option<u64>,
    took_us: u64,
}

/// A line was refused unread.
#[derive(Serialize)]
pub(super) struct Unreadable<'a> {
    pub(super) reason_code: &'a str,
    pub(super) bytes: usize,
}

/// In front of any record: how many could not be written since the one before.
#[derive(Serialize)]
pub(super) struct LostBefore {
    pub(super) lost_before: u64,
}

/// The last record: how much was written down, and how much could not be.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) decisions: u64,
    pub(super) forwarded: u64,
    pub(super) outcomes: u64,
    pub(super) unreadable: u64,
    pub(super) lost: u64,
}

/// Arguments in full.
#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    Json(&'a RawValue),
    /// Not JSON, or with line breaks in it: the gate lets neither through, the journal would not
    /// break over it.
    Other(Cow<'a, str>),
}

/// Puts members into a line that was begun.
pub(super) fn put(line: &mut Vec<u8>, members: &impl Serialize) {
    let brace = line.len();
    serde_json::to_writer(&mut *line, members)
        .unwrap_or_else(|_| unreachable!("a vector takes everything, and every key is a string"));
    // An object of its own becomes members of the line's object.
    line[brace] = b',';
    line.pop();
}

/// What the server answered with: the text whose size and SHA-256 an outcome records.
pub(super) fn answer(end: &End) -> Option<&Bytes> {
    match end {
        End::Result { result, .. } => Some(result),
        End::Error { error, .. } => Some(error),
        End::Cancelled | End::Unanswered | End::Withdrawn => None,
    }
}

// === impl Policy ===

impl<'a> From<&'a PolicyRef> for Policy<'a> {
    fn from(policy: &'a PolicyRef) -> Self {
        Self { id: &policy.id, version: &policy.version, sha256: policy.sha256.as_deref() }
    }
}

// === impl Decision ===

impl<'a> Decision<'a> {
    pub(super) fn new(decided: &'a Decided, call_id: String, how: &Arguments) -> Self {
        let hashed = |text: &[u8]| match how {
            Arguments::Full => None,
            Arguments::Hashed(hashed) => Some(Hashed::of(hashed, text)),
        };
        let full = |text: &'a [u8]| match how {
            Arguments::Full => Some(Text::from(text)),
            Arguments::Hashed(_) => None,
        };
        let grounds = &decided.grounds;
        let modified = decided.modified.as_deref().map(str::as_bytes);
        Self {
            call: decided.ticket.0,
            call_id,
            id: &decided.id,
            tool: &decided.tool,
            word: decided.decision,
            forwarded: decided.forwarded,
            basis: decided.basis,
            mode: decided.mode,
            reason: grounds.reason.as_deref(),
            reason_code: grounds.reason_code.as_deref(),
            rule_ids: &grounds.rule_ids,
            control_ids: &grounds.control_ids,
            policy: grounds.policy.as_ref().map(Policy::from),
            violation_id: grounds.violation_id.as_deref(),
            risk_score: grounds.risk_score,
            trace_id: grounds.trace_id.as_deref(),
            arguments: full(&decided.arguments),
            arguments_hash: hashed(&decided.arguments),
            modified: modified.and_then(full),
            modified_hash: modified.and_then(hashed),
            took_us: micros(decided.took),
        }
    }
}

// === impl Ended ===

impl<'a> Ended<'a> {
    /// `digest` is that of the outcome's [`answer`].
    pub(super) fn new(
        outcome: &'a Outcome,
        call_id: String,
        digest: Option<Digest>,
        carried: Option<Carried>,
    ) -> Self {
        let (end, is_error, code) = match outcome.end {
            End::Result { is_error, .. } => ("result", Some(is_error), None),
            End::Error { code, .. } => ("error", None, code),
            End::Cancelled => ("cancelled", None, None),
            End::Unanswered => ("unanswered", None, None),
            End::Withdrawn => ("withdrawn", None, None),
        };
        Self {
            call: outcome.ticket.0,
            call_id,
            tool: &outcome.tool,
            end,
            is_error,
            code,
            result_bytes: answer(&outcome.end).map(Bytes::len),
            result_sha256: digest,
            upstream_attempts: carried.map(|carried| carried.attempts),
            credential_generation: carried.map(|carried| carried.generation),
            session_epoch: carried.map(|carried| carried.epoch),
            took_us: micros(outcome.took),
        }
    }
}

// === impl Text ===

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(json) if json.get().bytes().all(|byte| byte >= b' ') => Self::Json(json),
            _ => Self::Other(String::from_utf8_lossy(bytes)),
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn digits<S: Serializer>(digest: &Option<Digest>, to: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => to.serialize_str(digest.digits(&mut [0; 64])),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_arguments_keep_their_text() {
        #[derive(Serialize)]
        struct One<'a> {
            arguments: Text<'a>,
        }
        let table: [(&[u8], &str); 5] = [
            (
                br#"{"b":1.0,"a":[1e400, "\u0041"]}"#,
                r#","arguments":{"b":1.0,"a":[1e400, "\u0041"]}"#,
            ),
            (b"{\"a\":\n1}", r#","arguments":"{\"a\":\n1}""#),
            (b"{\"a\":1", r#","arguments":"{\"a\":1""#),
            (b"{},\"seal\":0", r#","arguments":"{},\"seal\":0""#),
            (b"\xff", ",\"arguments\":\"\u{fffd}\""),
        ];
        for (text, written) in table {
            let mut line = Vec::new();
            let arguments = Text::from(text);
            put(&mut line, &One { arguments });
            assert_eq!(str::from_utf8(&line).unwrap(), written);
        }
    }
}
