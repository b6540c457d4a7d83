//! What is written down about a call: one record when it is decided, one when it is over.
//!
//! Values only. The journal seals and writes them; nothing here knows a file or a hash.

use std::time::Duration;

use bytes::Bytes;

use super::happening::Happening;
use super::verdict::Grounds;

/// Numbers the calls of one session, from 1, in the order they arrived.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The call's name among all calls: the same in the journal's records and in friction events.
    /// `session` is the session's id, which no other session has.
    pub fn call_id(self, session: &str) -> String {
        format!("{session}-{}", self.0)
    }
}

/// Writes records down. The seam between the gate and the journal: implemented by the journal, and
/// by memories in tests.
pub trait Recorder {
    /// Writes one record; `false` where a call must not go on because it could not be written.
    fn record(&mut self, record: &Record) -> bool;

    /// Told of what passes by, and of no call: the server has listed tools. `result` is the text of
    /// one answer to `tools/list`, which may be one page of several.
    fn listed(&mut self, result: &[u8]) {
        let _ = result;
    }

    /// Told of what happens, in the order it came to pass, where anybody wants to know. Never waits.
    fn happened(&mut self, happening: Happening) {
        let _ = happening;
    }
}

/// One thing to write down.
#[derive(Clone, Debug)]
pub enum Record {
    /// A call was decided. Written before the call is forwarded or refused.
    Decision(Box<Decided>),
    /// A call that was forwarded is over.
    Outcome(Box<Outcome>),
    /// A line of the client was refused unread; it may have been a call.
    Unreadable {
        /// Why, as in `error.data.reason_code`.
        reason_code: &'static str,
        /// The line's length in bytes.
        bytes: usize,
    },
}

/// A decided call.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Which call.
    pub ticket: Ticket,
    /// The JSON-RPC id, as the client spelled it.
    pub id: String,
    /// The tool's name.
    pub tool: String,
    /// The arguments' text as sent: a slice of the client's line.
    pub arguments: Bytes,
    /// The arguments' text that was forwarded in their place, after a modify.
    pub modified: Option<String>,
    /// What was decided: `allow`, `modify`, `step_up`, `defer` or `block`.
    pub decision: &'static str,
    /// Whether the call is forwarded. Differs from `decision` in observe mode, after a person
    /// approved, and where an outage fails open.
    pub forwarded: bool,
    /// Who decided: see [`super::decide::Basis::word`].
    pub basis: &'static str,
    /// The enforcement mode's word.
    pub mode: &'static str,
    /// Why.
    pub grounds: Grounds,
    /// From the call's arrival to its decision.
    pub took: Duration,
}

/// How a call was carried to a server behind a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Carried {
    /// How often it was sent, or tried to; more than once only where the server cannot have
    /// executed it before.
    pub attempts: u32,
    /// The credentials it was sent with last: counts up with every change, 0 where there are none.
    pub generation: u64,
    /// The session it was sent in last: from 1; 0 outside of any.
    pub epoch: u64,
}

/// How a forwarded call ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which call.
    pub ticket: Ticket,
    /// The tool's name.
    pub tool: String,
    /// How it ended.
    pub end: End,
    /// From forwarding to the end.
    pub took: Duration,
}

/// How a forwarded call ended.
#[derive(Clone, Debug)]
pub enum End {
    /// The server answered with a result.
    Result {
        /// The tool said that it failed (`isError: true`).
        is_error: bool,
        /// The result's text: a slice of the server's line.
        result: Bytes,
    },
    /// The server answered with a JSON-RPC error.
    Error {
        /// The error's code, where it has one.
        code: Option<i64>,
        /// The error's text: a slice of the server's line.
        error: Bytes,
    },
    /// The client cancelled it after it was forwarded, and the server never answered.
    Cancelled,
    /// The session ended, or the server died, before an answer came.
    Unanswered,
    /// The client cancelled it, or the session ended, before it was decided: it was never
    /// forwarded.
    Withdrawn,
}
