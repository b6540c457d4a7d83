//! What the client is told when thoth answers in the server's place.
//!
//! The one table of our error codes, and the one place that chooses between a JSON-RPC error and
//! a tool result. Design §5 has the shapes and the reasons.
//!
//! # Invariants
//!
//! - Every answer is one line, with its newline, and names the id it was given as it was spelled.
//! - A task-augmented call is never answered with a tool result, which breaks its clients.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::decide::Basis;
use super::happening::Ended;
use super::message::{Call, RequestId};
use super::verdict::{Effect, Grounds, Hold, Keeper, Verdict};

/// A call that policy refuses. Also TypeScript SDKs' own code for a timeout: `data` tells them
/// apart.
pub const BLOCKED: i64 = -32_001;
/// A call that a person must approve first.
pub const STEP_UP: i64 = -32_002;
/// JSON-RPC: an invalid request.
pub const INVALID_REQUEST: i64 = -32_600;
/// JSON-RPC: invalid parameters.
pub const INVALID_PARAMS: i64 = -32_602;
/// JSON-RPC: an internal error; here: the server gave no answer that could be passed on.
pub const NO_ANSWER: i64 = -32_603;

/// The longest tool name that is repeated in a message, in characters.
const NAME_SHOWN: usize = 128;

/// The shape of a refusal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Denial {
    /// By the era of the message: an error where there is a handshake, a result where not.
    #[default]
    Auto,
    /// Always a JSON-RPC error.
    Error,
    /// Always a tool result with `isError`, where the call can take one.
    Result,
}

/// A refusal of one call, before it takes its shape.
#[derive(Debug)]
pub struct Refusal<'a> {
    code: i64,
    message: String,
    data: Data<'a>,
}

/// Answers a line that is not forwarded. `id` is `None` where it could not be told.
pub fn unreadable(id: Option<&RequestId>, code: i64, message: &str, reason_code: &str) -> Bytes {
    let data = Data { reason_code: Some(reason_code), ..Data::default() };
    error(id, code, message, &data)
}

/// Answers a call in place of a server that will not.
pub fn unanswered(id: &RequestId, message: &str, reason_code: &str) -> Bytes {
    let data = Data { reason_code: Some(reason_code), ..Data::default() };
    error(Some(id), NO_ANSWER, message, &data)
}

/// What a tool of thoth's own says: a tool's result.
pub fn said(id: &RequestId, is_modern: bool, text: &str, is_error: bool) -> Bytes {
    let (id, text) = (id.literal(), json(&text));
    let kind = if is_modern { r#""resultType":"complete","# } else { "" };
    let failed = if is_error { r#","isError":true"# } else { "" };
    line(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{{kind}"content":[{{"type":"text","text":{text}}}]{failed}}}}}"#
    ))
}

/// Answers a call of a tool of thoth's own that asks to be run as a task.
pub fn no_task(call: &Call) -> Bytes {
    let tool: String = call.tool().chars().take(NAME_SHOWN).collect();
    let message = format!("`{tool}` cannot be run as a task. Call it again without `task`.");
    let data = Data { reason_code: Some("no_task"), ..Data::default() };
    error(Some(call.id()), INVALID_PARAMS, &message, &data)
}

/// Asks the client for the person's word (MCP 2026-07-28, basic/patterns/mrtr): the call is to be made
/// again, with the answer to `params` under `key`, and with `state`. Both are plain ASCII without
/// quotes.
pub fn input_required(id: &RequestId, key: &str, params: &str, state: &str) -> Bytes {
    let id = id.literal();
    line(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{"{key}":{{"method":"elicitation/create","params":{params}}}}},"requestState":"{state}"}}}}"#
    ))
}

/// Tells the client that a held call is still waiting. `token` as the client spelled it; `step`
/// counts from 1 and makes the value rise, in steps too small to overtake the server's own.
pub fn progress(token: &str, step: u32, message: &str) -> Bytes {
    #[derive(Serialize)]
    struct Params<'a> {
        progress: f64,
        message: &'a str,
    }
    let params = json(&Params { progress: f64::from(step) * 1e-6, message });
    let rest = &params[1..];
    line(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},{rest}}}"#
    ))
}

/// `error.data`, and `_meta.decision` of a result. Members that are unknown are omitted.
#[derive(Debug, Default, Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rule_ids: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    control_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Policy<'a> {
    id: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

// === impl Refusal ===

impl<'a> Refusal<'a> {
    /// Refuses a call of `tool`.
    pub fn new(tool: &str, verdict: &'a Verdict, basis: Basis) -> Self {
        let code = match &verdict.effect {
            Effect::StepUp(_) => STEP_UP,
            Effect::Allow | Effect::Modify(_) | Effect::Defer(_) | Effect::Block => BLOCKED,
        };
        Self { code, message: sentence(tool, verdict, basis), data: Data::of(verdict, basis) }
    }

    /// The answer to the call, in the shape that it can take.
    pub fn answer(&self, denial: Denial, call: &Call) -> Bytes {
        let as_result = match denial {
            Denial::Auto => call.is_modern(),
            Denial::Error => false,
            Denial::Result => true,
        };
        if as_result && !call.is_task() {
            return result(call.id(), &self.message, &self.data);
        }
        error(Some(call.id()), self.code, &self.message, &self.data)
    }

    /// The same for whoever tells it.
    pub fn into_end(self) -> Ended {
        let Self { code, message, data } = self;
        Ended::Refused { code, message, reason_code: data.reason_code.map(str::to_owned) }
    }
}

// === impl Data ===

impl<'a> Data<'a> {
    fn of(verdict: &'a Verdict, basis: Basis) -> Self {
        let grounds = &verdict.grounds;
        let outage = basis == Basis::Outage;
        let (decision, retryable) = match &verdict.effect {
            Effect::StepUp(_) => ("STEP_UP", true),
            Effect::Defer(_) => ("DEFER", true),
            Effect::Allow | Effect::Modify(_) | Effect::Block => ("BLOCK", outage),
        };
        let hold = match &verdict.effect {
            Effect::StepUp(hold) => hold.as_ref(),
            Effect::Allow | Effect::Modify(_) | Effect::Defer(_) | Effect::Block => None,
        };
        let retry_after = match &verdict.effect {
            Effect::Defer(after) => after.as_ref(),
            Effect::Allow | Effect::Modify(_) | Effect::StepUp(_) | Effect::Block => None,
        };
        Self {
            decision: Some(decision),
            reason: grounds.reason.as_deref(),
            reason_code: grounds.reason_code.as_deref(),
            violation_id: grounds.violation_id.as_deref(),
            rule_ids: &grounds.rule_ids,
            control_ids: &grounds.control_ids,
            policy: grounds.policy.as_ref().map(|policy| Policy {
                id: &policy.id,
                version: &policy.version,
                sha256: policy.sha256.as_deref(),
            }),
            risk_score: grounds.risk_score,
            trace_id: grounds.trace_id.as_deref(),
            hold_token: hold.map(|hold| hold.token.as_str()),
            approval_url: hold.and_then(|hold| hold.approval_url.as_deref()),
            expires_at: hold.and_then(|hold| hold.expires_at.as_deref()),
            retry_after_seconds: retry_after.map(Duration::as_secs),
            retryable: Some(retryable),
        }
    }
}

/// One sentence or two that a model can act on: what was refused, by which rule, why, what next.
fn sentence(tool: &str, verdict: &Verdict, basis: Basis) -> String {
    let tool: String = tool.chars().take(NAME_SHOWN).collect();
    let by = by_whom(&verdict.grounds, basis);
    let why = match verdict.grounds.reason.as_deref().map(|reason| reason.trim_end_matches('.')) {
        Some(reason) if !reason.is_empty() => format!(": {reason}"),
        _ => String::new(),
    };
    match &verdict.effect {
        Effect::StepUp(Some(hold)) => format!(
            "`{tool}` was not run: {by} asks for a person's approval first{why}. Ask the user to \
             have it approved{}, and then make exactly the same call again: it will go through, or \
             wait for the answer.",
            place(hold)
        ),
        Effect::StepUp(None) if basis == Basis::Outage => format!(
            "`{tool}` was not run: a person would have to approve it{why}, and who keeps approvals \
             cannot be reached. Call it again later, or tell the user that the policy enforcer is away."
        ),
        Effect::StepUp(None) => format!(
            "`{tool}` was not run: {by} asks for a person's approval first{why}. Nobody here \
             has given it; find another way or tell the user."
        ),
        Effect::Defer(after) => {
            let when = match after {
                Some(after) => format!("in {} seconds", after.as_secs()),
                None => "later".to_owned(),
            };
            format!("`{tool}` was not run: {by} put it off{why}. Call it again {when}.")
        }
        Effect::Allow | Effect::Modify(_) | Effect::Block if basis == Basis::Outage => format!(
            "`{tool}` was not run: no decision about it could be had{why}. \
             Call it again later, or tell the user that the policy enforcer is away."
        ),
        Effect::Allow | Effect::Modify(_) | Effect::Block if basis == Basis::Ordered => {
            format!("`{tool}` was not run{why}. No call is, until that is over; tell the user.")
        }
        Effect::Block if asks_anew(&verdict.grounds) => {
            format!("`{tool}` was not run: {by} asks for a person's approval first{why}.")
        }
        Effect::Allow | Effect::Modify(_) | Effect::Block => format!(
            "`{tool}` was blocked by {by}{why}. Do not call it again with these arguments; \
             find another way or tell the user."
        ),
    }
}

/// Whether nobody has said no: the same call, made again, is a new request for approval.
fn asks_anew(grounds: &Grounds) -> bool {
    matches!(grounds.reason_code.as_deref(), Some("approval_expired" | "approval_used"))
}

/// Where a person answers about a hold, as the end of a sentence.
pub fn place(hold: &Hold) -> String {
    let command = || {
        if is_word(&hold.token) {
            format!("with `thoth approvals approve {}`", hold.token)
        } else {
            "with `thoth approvals`".to_owned()
        }
    };
    match (&hold.approval_url, hold.keeper) {
        (Some(url), Keeper::Enforcer) => format!(" at {url}"),
        (Some(url), Keeper::Sidecar) => format!(" at {url} or {}", command()),
        (None, Keeper::Enforcer) => {
            format!(" by whoever may at the policy enforcer, or {}", command())
        }
        (None, Keeper::Sidecar) => format!(" by a person on this machine, {}", command()),
    }
}

/// Whether a token can stand in a command line as it is.
fn is_word(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    token.len() <= 128 && !token.starts_with('-') && token.bytes().all(plain)
}

fn by_whom(grounds: &Grounds, basis: Basis) -> Cow<'static, str> {
    let policy = match &grounds.policy {
        Some(policy) => format!(" of policy {} v{}", policy.id, policy.version),
        None => String::new(),
    };
    match (grounds.rule_ids.first(), basis) {
        (Some(rule), _) => format!("rule {rule}{policy}").into(),
        (None, Basis::Rules | Basis::Observed) if !policy.is_empty() => {
            format!("the default{policy}").into()
        }
        (None, Basis::Enforcer | Basis::Approved) => "the policy enforcer".into(),
        (None, Basis::Rules | Basis::Observed | Basis::Ordered | Basis::Outage) => "thoth".into(),
    }
}

fn error(id: Option<&RequestId>, code: i64, message: &str, data: &Data<'_>) -> Bytes {
    let id = id.map_or("null", RequestId::literal);
    let (message, data) = (json(&message), json(data));
    line(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message},"data":{data}}}}}"#
    ))
}

/// `resultType` is demanded by MCP 2026-07-28 and ignored by earlier clients.
fn result(id: &RequestId, message: &str, data: &Data<'_>) -> Bytes {
    let (id, text, data) = (id.literal(), json(&message), json(data));
    line(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","content":[{{"type":"text","text":{text}}}],"isError":true,"_meta":{{"decision":{data}}}}}}}"#
    ))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|_| unreachable!("strings and numbers always serialize"))
}

fn line(mut text: String) -> Bytes {
    text.push('\n');
    text.into()
}
