//! What a decision source says about one call: the local rules, or the remote enforcer.
//!
//! A verdict is an opinion, not a permission. [`super::decide`] weighs verdicts and makes the
//! permit; nothing here can forward a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::json::{Kind, Reader, Strict};
use super::record::Ticket;

/// What a judge on this machine may look at. Who asks (agent, user, intent …) is the same for a
/// whole session, so a judge is bound to it when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The tool's name, unescaped, as the server will read it.
    pub tool: &'a str,
    /// The text of `params.arguments`: one JSON object, `{}` where the call has none.
    pub arguments: &'a str,
    /// The text of the tool's `annotations` from `tools/list`, where the server gave any. Claims
    /// of the server about itself: good enough to ask for more care, not to be trusted.
    pub annotations: Option<&'a str>,
    /// The calls forwarded in this session so far.
    pub calls: &'a Calls,
}

/// The calls forwarded so far in one session, for rules about sequences.
///
/// Keeps the last [`Calls::KEPT`] names in order, and a count for each of the first
/// [`Calls::COUNTED`] names.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    names: std::collections::VecDeque<Arc<str>>,
    counts: std::collections::BTreeMap<Arc<str>, u64>,
    total: u64,
}

/// Decides by rules on this machine. The seam between the gate and the policy: implemented by
/// the policy, and by tables in tests.
pub trait Judge {
    /// Judges one call. Always comes to a verdict; what cannot be evaluated counts against the
    /// call.
    fn judge(&self, facts: &Facts<'_>) -> Verdict;

    /// Why every call is refused at present, whatever it is: an order for this machine, asked for
    /// when a call arrives and again when its decision does. No mode softens it.
    fn order(&self) -> Option<Grounds> {
        None
    }
}

/// What a remote enforcer is asked about one call.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which call.
    pub ticket: Ticket,
    /// The tool's name.
    pub tool: Arc<str>,
    /// The text of the arguments that would be sent: one JSON object.
    pub arguments: Bytes,
    /// Names of the calls already forwarded, oldest first, at most [`Calls::KEPT`].
    pub calls_so_far: Vec<Arc<str>>,
    /// The text of the tool's `annotations` from `tools/list`, where the server gave any.
    pub annotations: Option<Arc<str>>,
    /// What a person has answered about this call inside the client, before it was made again: it
    /// is passed on first.
    pub reply: Option<(Hold, Reply)>,
}

/// A call that the local rules let pass only if a person agrees: what its hold is made of.
#[derive(Clone, Debug)]
pub struct SteppedUp {
    /// The call.
    pub question: Question,
    /// Why a person is to agree.
    pub grounds: Grounds,
}

/// What a person answered about a hold inside the client, where whoever made the call may do so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// The call may be made.
    Approve,
    /// It may not.
    Deny,
}

/// How asking a remote enforcer ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The enforcer decided, or its answer is one that always blocks (401, a wrong pin, an answer
    /// to another question): then the verdict is a block with the matching reason code.
    Said(Verdict),
    /// No answer: no connection, timeout, 429 or 5xx. The failure decision applies.
    Silent(Grounds),
}

/// What a decision source says about one call, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What should happen to the call.
    pub effect: Effect,
    /// Why.
    pub grounds: Grounds,
}

/// What should happen to a call. Ordered by strictness: the later, the stricter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Forward it as it is.
    Allow,
    /// Forward it with these arguments in place of its own.
    Modify(Arguments),
    /// A person must agree first. `None`: nobody can be asked through this source.
    StepUp(Option<Hold>),
    /// Not now; come back after this time, where one was given.
    Defer(Option<Duration>),
    /// Never.
    Block,
}

/// Why a source says what it says. Members that are unknown stay empty and are omitted on the wire.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grounds {
    /// One sentence for people and models.
    pub reason: Option<String>,
    /// A stable word for programs, such as `enforcer_unavailable`.
    pub reason_code: Option<String>,
    /// The enforcer's name for this violation.
    pub violation_id: Option<String>,
    /// The rules that decided, most important first.
    pub rule_ids: Vec<String>,
    /// The controls those rules serve, such as `HIPAA 164.312(a)(1)`.
    pub control_ids: Vec<String>,
    /// The policy the rules stand in.
    pub policy: Option<PolicyRef>,
    /// The enforcer's risk score. Opaque: its scale differs between enforcers.
    pub risk_score: Option<f64>,
    /// The trace the decision belongs to.
    pub trace_id: Option<String>,
    /// For a step-up: whether whoever made the call may agree to it; `None` where nobody said.
    pub self_approval: Option<bool>,
}

/// Which text of which policy decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyRef {
    /// The policy's `id`.
    pub id: String,
    /// Its `version`.
    pub version: String,
    /// SHA-256 of its file, in lower-case hexadecimal; `None` for a remote policy that gave none.
    pub sha256: Option<String>,
}

/// A step-up that an enforcer keeps open until a person has answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// What the hold is polled and approved by. Never empty.
    pub token: String,
    /// Where a person answers.
    pub approval_url: Option<String>,
    /// When the hold ends, RFC 3339, as the enforcer gave it.
    pub expires_at: Option<String>,
    /// How long the enforcer keeps it open.
    pub timeout: Option<Duration>,
    /// Who keeps it.
    pub keeper: Keeper,
}

/// Who keeps a hold until a person has answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Keeper {
    /// The remote enforcer.
    #[default]
    Enforcer,
    /// This sidecar, for the local rules.
    Sidecar,
}

/// The arguments a MODIFY puts in place of a call's own: the text of one JSON object.
///
/// Read as strictly as a client's line, so that what replaces an argument cannot mean one thing
/// to the policy and another to the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arguments(Box<str>);

/// What was offered as new arguments is not one unambiguous JSON object.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the new arguments are not one unambiguous JSON object")]
pub struct NotArguments;

// === impl Effect ===

impl Effect {
    /// The word for this effect in journals, policies and messages: `allow`, `modify`, `step_up`,
    /// `defer` or `block`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Modify(_) => "modify",
            Self::StepUp(_) => "step_up",
            Self::Defer(_) => "defer",
            Self::Block => "block",
        }
    }

    /// The new arguments of a modify.
    pub fn arguments(&self) -> Option<&Arguments> {
        match self {
            Self::Modify(arguments) => Some(arguments),
            Self::Allow | Self::StepUp(_) | Self::Defer(_) | Self::Block => None,
        }
    }

    /// How strict the effect is: block > defer > `step_up` > modify > allow.
    pub fn strictness(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Modify(_) => 1,
            Self::StepUp(_) => 2,
            Self::Defer(_) => 3,
            Self::Block => 4,
        }
    }
}

// === impl Calls ===

impl Calls {
    /// How many names are kept in order: what `session_tool_calls` may hold.
    pub const KEPT: usize = 128;
    /// How many different names are counted; calls of further names count as zero.
    pub const COUNTED: usize = 4096;

    /// Adds one forwarded call.
    pub fn add(&mut self, tool: &Arc<str>) {
        self.total += 1;
        if self.names.len() == Self::KEPT {
            self.names.pop_front();
        }
        self.names.push_back(Arc::clone(tool));
        if let Some(count) = self.counts.get_mut(tool) {
            *count += 1;
        } else if self.counts.len() < Self::COUNTED {
            self.counts.insert(Arc::clone(tool), 1);
        }
    }

    /// The last names, oldest first.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// How many calls there were so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often a tool was called so far.
    pub fn count(&self, tool: &str) -> u64 {
        self.counts.get(tool).copied().unwrap_or(0)
    }
}

// === impl Verdict ===

impl Verdict {
    /// An allow without a word.
    pub fn allow() -> Self {
        Self { effect: Effect::Allow, grounds: Grounds::default() }
    }

    /// A block with a reason code and one sentence.
    pub fn block(reason_code: &str, reason: &str) -> Self {
        Self { effect: Effect::Block, grounds: Grounds::coded(reason_code, reason) }
    }
}

// === impl Grounds ===

impl Grounds {
    /// Grounds with a reason code and one sentence, and nothing else.
    pub fn coded(reason_code: &str, reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            reason_code: Some(reason_code.to_owned()),
            ..Self::default()
        }
    }
}

// === impl Arguments ===

impl Arguments {
    /// Takes the text of one JSON object.
    ///
    /// # Errors
    ///
    /// [`NotArguments`] for anything that readers could read differently, and for anything that
    /// is not an object.
    pub fn parse(text: &str) -> Result<Self, NotArguments> {
        serde_json::from_str::<&serde_json::value::RawValue>(text).map_err(|_| NotArguments)?;
        // It is JSON, so line breaks stand between its tokens, where any blank will do.
        let text = text.replace(['\n', '\r'], " ");
        let text = text.trim_matches([' ', '\t']);
        super::json::object(text).map_err(|_| NotArguments)?;
        Ok(Self(super::json::respell(text).into()))
    }

    /// As [`Arguments::parse`], for text that was cut out of a client's line: nothing about it is
    /// mended.
    ///
    /// # Errors
    ///
    /// [`NotArguments`], also for a line break of any kind.
    pub fn of_line(text: Vec<u8>) -> Result<Self, NotArguments> {
        let text = String::from_utf8(text).map_err(|_| NotArguments)?;
        let mut reader = Reader::<Strict>::new(text.as_bytes());
        let is_object = reader.value(0).is_ok_and(|span| span.kind == Kind::Object);
        // Between tokens a newline would be JSON.
        let is_one_line = !text.contains('\n') && !reader.has_line_breaks();
        if is_object && is_one_line && reader.end().is_ok() {
            Ok(Self(text.into()))
        } else {
            Err(NotArguments)
        }
    }

    /// The object's text. Holds no line break that a line-splitting reader could act on.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
