//! The answer to a question: one decision, and everything clients of enforcers read beside it.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::question::Question;
use super::ruling::Ruling;
use crate::approval::record::Claim as Told;
use crate::gate::verdict::{Effect, Grounds};
use crate::server::approvals::{Asked, Record};
use crate::server::decisions::{Decided, Word};
use crate::server::{App, Tenant};

/// The version of what is answered.
const VERSION: &str = "1";

/// One decision.
#[derive(Debug)]
pub(super) struct Answer {
    decision: Word,
    authorization: Word,
    grounds: Grounds,
    effect: Effect,
    violation: Option<String>,
    trace: Option<String>,
    attestation: Option<String>,
    approval: Option<String>,
    hold: Option<Hold>,
}

/// What a step-up is waited for by.
#[derive(Debug)]
struct Hold {
    token: String,
    url: String,
    expires_at: Timestamp,
    seconds: u64,
}

/// The body. Names as in the REST reference and the SDKs; `approval_url`, `expires_at` and
/// `self_approval` are ours.
#[derive(Serialize)]
struct Body<'a> {
    decision: &'static str,
    authorization_decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_reason_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_id: Option<&'a str>,
    /// How strict the decision is, from 0 to 1: nothing is estimated here.
    risk_score: f64,
    latency_ms: f64,
    decision_envelope_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforcement_trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_attestation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policy_references: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    matched_rule_ids: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    matched_control_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_tool_args: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modification_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    defer_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    defer_timeout_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_up_timeout_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_approval: Option<bool>,
}

/// What a block of this question is called: the same question has the same name.
pub(super) fn violation(tenant: &Tenant, question: &Question<'_>) -> String {
    let mut hash = Sha256::new();
    let arguments = question.arguments.as_str();
    let attestation = question.attestation.as_deref().unwrap_or_default();
    let parts = [tenant.as_str(), &question.session, attestation, &question.tool, arguments];
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("vio_{}", hex::encode(&hash.finalize()[..16]))
}

/// Where a person answers.
pub(super) fn url(app: &App, record: &Record) -> String {
    format!("{}/console/approvals/{}", app.public_url, record.id)
}

// === impl Answer ===

impl Answer {
    /// What the rules decided by themselves.
    pub(super) fn decided(tenant: &Tenant, question: &Question<'_>, ruling: Ruling) -> Self {
        let decision = Word::of(&ruling.effect);
        let blocks = ruling.authorization == Word::Block;
        Self {
            decision,
            authorization: ruling.authorization,
            grounds: ruling.grounds,
            effect: ruling.effect,
            violation: blocks.then(|| violation(tenant, question)),
            trace: question.trace.clone(),
            attestation: question.attestation.clone(),
            approval: None,
            hold: None,
        }
    }

    /// What became of asking a person.
    pub(super) fn asked(
        app: &App,
        tenant: &Tenant,
        question: &Question<'_>,
        ruling: Ruling,
        asked: Asked,
    ) -> Self {
        let with = |effect: Effect, code: &str, reason: String| {
            let authorization = Word::of(&effect);
            let grounds = Grounds {
                reason: Some(reason),
                reason_code: Some(code.to_owned()),
                self_approval: None,
                ..ruling.grounds.clone()
            };
            Self::decided(tenant, question, Ruling { effect, authorization, grounds })
        };
        match asked {
            Asked::Answered(record, told) => {
                let effect = match told {
                    Told::Approved(_) => Effect::Allow,
                    Told::Pending
                    | Told::Denied(_)
                    | Told::Used(_)
                    | Told::Withdrawn
                    | Told::Expired => Effect::Block,
                };
                let code = told.reason_code().unwrap_or_default();
                let answer = with(effect, code, told.reason().unwrap_or_default());
                Self { approval: Some(record.id), ..answer }
            }
            Asked::TooMany => {
                let reason = "too many calls wait for a person already".to_owned();
                with(Effect::Block, "too_many_approvals", reason)
            }
            Asked::Held(record, token) => {
                let hold = Hold {
                    token,
                    url: url(app, &record),
                    expires_at: record.approval.expires_at,
                    seconds: record.seconds_left(app.now()),
                };
                let answer = Self::decided(tenant, question, ruling);
                Self { approval: Some(record.id), hold: Some(hold), ..answer }
            }
        }
    }

    /// What is answered.
    pub(super) fn decision(&self) -> Word {
        self.decision
    }

    /// What is kept of it for people to look at.
    pub(super) fn record(&self, at: Timestamp, question: &Question<'_>, took: Duration) -> Decided {
        let who = &question.who;
        Decided {
            at,
            agent: who.agent.clone(),
            server: who.server.clone(),
            tool: question.tool.clone(),
            user: who.user.clone(),
            environment: who.environment.clone(),
            session: question.session.clone(),
            mode: question.mode,
            decision: self.decision,
            authorization: self.authorization,
            rule_ids: self.grounds.rule_ids.clone(),
            reason: self.grounds.reason.clone(),
            reason_code: self.grounds.reason_code.clone(),
            violation_id: self.violation.clone(),
            approval: self.approval.clone(),
            took,
        }
    }

    /// The answer's text.
    pub(super) fn body(&self, took: Duration) -> Vec<u8> {
        let grounds = &self.grounds;
        let reason = grounds.reason.as_deref();
        let arguments = self.effect.arguments();
        let modified =
            arguments.and_then(|arguments| serde_json::from_str(arguments.as_str()).ok());
        let (is_deferred, retry_after) = match self.effect {
            Effect::Defer(after) => (true, after),
            Effect::Allow | Effect::Modify(_) | Effect::StepUp(_) | Effect::Block => (false, None),
        };
        let policy = grounds.policy.as_ref();
        let body = Body {
            decision: self.decision.as_str(),
            authorization_decision: self.authorization.as_str(),
            reason,
            decision_reason_code: grounds.reason_code.as_deref(),
            violation_id: self.violation.as_deref(),
            risk_score: f64::from(self.effect.strictness()) / 4.0,
            latency_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
            decision_envelope_version: VERSION,
            enforcement_trace_id: self.trace.as_deref(),
            action_attestation_id: self.attestation.as_deref(),
            pack_id: policy.map(|policy| policy.id.as_str()),
            pack_version: policy.map(|policy| policy.version.as_str()),
            policy_references: policy
                .and_then(|policy| policy.sha256.as_ref())
                .map(|sha256| format!("sha256:{sha256}"))
                .into_iter()
                .collect(),
            matched_rule_ids: &grounds.rule_ids,
            matched_control_ids: &grounds.control_ids,
            modified_tool_args: modified,
            modification_reason: reason.filter(|_| modified.is_some()),
            defer_reason: reason.filter(|_| is_deferred),
            // A whole number, and late rather than early.
            defer_timeout_seconds: retry_after
                .map(|after| after.as_secs() + u64::from(after.subsec_nanos() > 0)),
            hold_token: self.hold.as_ref().map(|hold| hold.token.as_str()),
            approval_url: self.hold.as_ref().map(|hold| hold.url.as_str()),
            expires_at: self.hold.as_ref().map(|hold| hold.expires_at),
            step_up_timeout_seconds: self.hold.as_ref().map(|hold| hold.seconds),
            self_approval: grounds.self_approval.filter(|_| self.hold.is_some()),
        };
        serde_json::to_vec(&body).unwrap_or_else(|_| unreachable!("texts and numbers are JSON"))
    }
}
