//! The states of an approval, and the ways between them.
//!
//! ```text
//!            ┌─▶ denied                      a repeated call is refused until it expires
//!  pending ──┼─▶ approved ──claim──▶ spent   single use: one call goes through
//!            ├─▶ withdrawn                   the caller gave up: a late answer changes nothing
//!            └─▶ expired                     so does time, also for what was approved and not used
//! ```

use jiff::Timestamp;

/// Where an approval stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Nobody has answered.
    Pending,
    /// The call may be made, once.
    Approved(Answered),
    /// It may not be made.
    Denied(Answered),
    /// It was approved, and was made.
    Spent(Answered),
    /// Whoever made the call does not want it any more.
    Withdrawn,
    /// Time is up.
    Expired,
}

/// Who answered, how sure it is that it was them, when, and in what words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// A name: an address, a key's id, an account.
    pub by: String,
    /// How strongly they were authenticated.
    pub assurance: Assurance,
    /// When.
    pub at: Timestamp,
    /// What they wrote beside it.
    pub note: Option<String>,
}

/// How strongly whoever answered was authenticated. Ordered: the later, the stronger.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Assurance {
    /// Whoever sits at the client, which may be the agent's own hands: MCP elicitation.
    Elicitation,
    /// The same account on the same machine, at a terminal.
    Terminal,
    /// The holder of a key that may resolve approvals.
    ApiKey,
    /// Whoever had the console's one-time link.
    Link,
    /// A person known to the OpenID provider.
    Oidc,
}

/// One approval: the part that does not depend on who keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    /// Where it stands.
    pub state: State,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ends, answered or not.
    pub expires_at: Timestamp,
}

// === impl State ===

impl State {
    /// The word for it in stores and on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved(_) => "approved",
            Self::Denied(_) => "denied",
            Self::Spent(_) => "spent",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

// === impl Assurance ===

impl Assurance {
    /// The word for it in stores and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Terminal => "terminal",
            Self::ApiKey => "api_key",
            Self::Link => "link",
            Self::Oidc => "oidc",
        }
    }
}
