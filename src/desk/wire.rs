//! What `thoth approvals` and a sidecar's desk say to each other: one line of JSON there, one back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// No request is longer, in bytes, its newline included.
pub(super) const LONGEST_REQUEST: u64 = 8 * 1024;
/// No answer is longer: all that is kept, each byte of it escaped.
pub(super) const LONGEST_ANSWER: u64 = 32 * 1024 * 1024;
/// The longest note, in bytes.
pub const LONGEST_NOTE: usize = 1024;

/// What is asked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    /// What waits for a person?
    List {},
    /// A person has answered.
    Resolve {
        /// Which hold, by its whole id.
        id: String,
        /// What they say.
        decision: Decision,
        /// What they wrote beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

/// What a person says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The call may be made, once.
    Approve,
    /// It may not.
    Deny,
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// What waits.
    Holds(Holds),
    /// The answer is taken.
    Resolved,
    /// It is not.
    Refused(Refusal),
}

/// What waits at one sidecar.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Holds {
    /// The sidecar's session.
    pub session_id: String,
    /// The agent.
    pub agent_id: String,
    /// The server that is called.
    pub server: String,
    /// The person, where that is known.
    pub user_id: Option<String>,
    /// What waits, oldest first.
    pub holds: Vec<Listed>,
}

/// One call that waits for a person.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Listed {
    /// What it is answered by.
    pub id: String,
    /// The tool.
    pub tool_name: String,
    /// The text of the arguments, as they would be sent.
    pub arguments: String,
    /// The rules that ask for a person.
    pub rule_ids: Vec<String>,
    /// Why they do.
    pub reason: Option<String>,
    /// Whether whoever made the call may agree to it; `None` where the rule does not say.
    pub self_approval: Option<bool>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many calls wait for it right now.
    pub waiting: usize,
}

/// Why a desk does not do what it is asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The other side is somebody else.
    #[error("this is another user's sidecar")]
    Foreign,
    /// The other side was started by the client, or by something that it started.
    #[error(
        "this process was started by the MCP client, which may not answer for a person; use a terminal of your own"
    )]
    Descendant,
    /// Who started the other side cannot be seen.
    #[error(
        "the sidecar cannot see who started this process, and so not whether it was the MCP client; use a terminal on the same machine"
    )]
    Unseen,
    /// It does not understand the request.
    #[error("the sidecar does not understand this version of thoth")]
    Unreadable,
    /// No such hold.
    #[error("nothing waits by this id any more")]
    Unknown,
    /// Somebody was quicker.
    #[error("it has been answered already")]
    Answered,
    /// Whoever made the call gave it up.
    #[error("the call was withdrawn by whoever made it")]
    Withdrawn,
    /// It came too late.
    #[error("it has expired")]
    Expired,
}
