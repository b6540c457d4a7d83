//! Approvals: what people are asked to agree to, listed and answered; and the claims that questions
//! have on them.
//!
//! ```text
//!  question ─▶ ask ─▶ opens, or attaches to, a record ─▶ token ─▶ look … look ─▶ allow, once
//!                                   ▲                               withdraw
//!              console, API, reply ─┘ resolve
//! ```
//!
//! # Invariants
//!
//! - An approval lets one call through: the first claim that looks, or the first identical question.
//! - Whoever made a call never answers where the rule forbids it, and answers inside the client only
//!   where the rule allows it: [`resolve`] is the only way to answer.
//! - What approvers see, and what is stored, is scrubbed and bounded; the hash is that of the call as
//!   it would be made.
//! - A token is a secret of whoever asked: only its SHA-256 is stored.

mod api;
mod claim;

use std::time::Duration;

use axum::Router;
use jiff::{SignedDuration, Timestamp};

pub(super) use self::api::Answer;
pub(super) use self::claim::{Asked, Look, Wanted, ask, claimed, look, reply, withdraw};

use super::bus::{Change, Topic};
use super::store::{StoreError, approvals as rows};
use super::{App, Tenant, decisions};
use crate::approval::{Answered, Approval, Assurance};
use crate::gate::verdict::PolicyRef;

/// How long a person has to answer, and an answer is good for.
pub const LASTS: SignedDuration = SignedDuration::from_mins(15);

/// How long ended approvals can be looked up.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often what has ended is swept.
const SWEPT: Duration = Duration::from_secs(5);

/// How many pending approvals are listed at once.
const LISTED: u32 = 500;

/// One approval, with what approvers need to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its name. Not secret: knowing it allows nothing.
    pub id: String,
    /// Whose call it is.
    pub user: String,
    /// `dev`, `staging`, `prod`, or what the caller calls it.
    pub environment: String,
    /// SHA-256 of the canonical call, hexadecimal.
    pub call: String,
    /// The agent that makes the call.
    pub agent: String,
    /// The server that is called; empty where the caller does not say.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The call's arguments, scrubbed: the text of one JSON object, or the beginning of it.
    pub arguments: String,
    /// How many places were scrubbed.
    pub hidden: u64,
    /// Whether the end of the arguments is missing.
    pub is_cut: bool,
    /// The rules that ask for a person.
    pub rule_ids: Vec<String>,
    /// The controls those rules serve.
    pub control_ids: Vec<String>,
    /// Why a person is asked.
    pub reason: Option<String>,
    /// The same for programs.
    pub reason_code: Option<String>,
    /// The policy the rules stand in.
    pub policy: Option<PolicyRef>,
    /// The revision of the rulebook.
    pub revision: String,
    /// Whether whoever makes the call may approve it; `None` where the rule does not say.
    pub self_approval: Option<bool>,
    /// Where it stands, since when and until when.
    pub approval: Approval,
    /// Which claim has used it up: the hash of its token.
    pub(super) spent_by: Option<String>,
}

/// One question's claim on an approval.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claim {
    pub(super) token_hash: String,
    pub(super) record: Record,
    pub(super) session: String,
    pub(super) trace: Option<String>,
    pub(super) attestation: Option<String>,
    pub(super) is_withdrawn: bool,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such approval of this tenant.
    #[error("there is no such approval")]
    Unknown,
    /// It is not pending any more; this is where it stands.
    #[error("the approval is not pending any more: it is {}", .0.approval.state.word())]
    NotPending(Box<Record>),
    /// The rule does not let whoever made the call answer, or not in this way.
    #[error("the rule does not let whoever made the call approve it")]
    SelfApproval,
    /// The store failed.
    #[error("the answer could not be written")]
    Store(#[from] StoreError),
}

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    api::routes()
}

/// The pending approvals of a tenant, the newest first, at most 500.
///
/// # Errors
///
/// [`StoreError`]
pub async fn pending(app: &App, tenant: &Tenant) -> Result<Vec<Record>, StoreError> {
    let page = rows::Page { state: "pending", offset: 0, limit: LISTED };
    Ok(rows::page(&app.store, tenant, page, app.now()).await?.0)
}

/// One approval of a tenant.
///
/// # Errors
///
/// [`StoreError`]
pub async fn one(app: &App, tenant: &Tenant, id: &str) -> Result<Option<Record>, StoreError> {
    rows::one(&app.store, tenant, id, app.now()).await
}

/// Takes a person's answer. `answered.at` is the time it counts from. The one way to answer.
///
/// # Errors
///
/// [`Refused`]: of several answers, the first stands.
pub async fn resolve(
    app: &App,
    tenant: &Tenant,
    id: &str,
    approve: bool,
    answered: Answered,
) -> Result<Record, Refused> {
    let find = || rows::one(&app.store, tenant, id, answered.at);
    let record = find().await?.ok_or(Refused::Unknown)?;
    if !may_answer(&record, approve, &answered) {
        return Err(Refused::SelfApproval);
    }
    let answered = Answered {
        by: plain(&answered.by),
        note: answered.note.as_deref().map(plain).filter(|note| !note.is_empty()),
        ..answered
    };
    let written = rows::answer(&app.store, tenant, id, approve, &answered).await?;
    let record = find().await?.ok_or(Refused::Unknown)?;
    if !written {
        return Err(Refused::NotPending(Box::new(record)));
    }
    app.metrics.approvals(if approve { "approved" } else { "denied" }, 1);
    tell(app, tenant, id);
    Ok(record)
}

/// Ends what is past its end and forgets what ended long ago. Nothing is answered differently where
/// this is late. How many have ended.
///
/// # Errors
///
/// [`StoreError`]
pub async fn sweep(app: &App) -> Result<usize, StoreError> {
    let ended = rows::expire(&app.store, app.now()).await?;
    app.metrics.approvals("expired", ended.len());
    for (tenant, id) in &ended {
        tell(app, tenant, id);
    }
    if let Ok(before) = app.now().checked_sub(KEPT) {
        rows::prune(&app.store, before).await?;
    }
    Ok(ended.len())
}

/// Sweeps approvals and recent decisions every few seconds, until the enforcer is to end.
pub async fn keep_swept(app: &App) {
    while app.stop.run_until_cancelled(tokio::time::sleep(SWEPT)).await.is_some() {
        let swept = async {
            sweep(app).await?;
            decisions::sweep(app).await
        };
        if let Some(Err(error)) = app.stop.run_until_cancelled(swept).await {
            app.metrics.store_failed();
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what has ended could not be swept");
        }
    }
}

/// Whether this answer may be given by this person in this way.
fn may_answer(record: &Record, approve: bool, answered: &Answered) -> bool {
    let said = record.self_approval;
    if answered.assurance == Assurance::Elicitation {
        return said == Some(true);
    }
    // To refuse one's own call is nobody's business.
    let is_own = answered.by.trim().eq_ignore_ascii_case(record.user.trim());
    !(approve && is_own && said == Some(false))
}

fn tell(app: &App, tenant: &Tenant, id: &str) {
    app.bus.tell(Change { tenant: tenant.clone(), topic: Topic::Approval(id.to_owned()) });
}

/// At most 500 characters on one line: what people write is shown to others.
fn plain(text: &str) -> String {
    let line = text.trim().chars().take(500);
    line.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

// === impl Record ===

impl Record {
    /// What is left of its time, in whole seconds.
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        let left = self.approval.expires_at.duration_since(now).as_secs();
        u64::try_from(left).unwrap_or(0)
    }
}
