//! `GET /{tenant}/thoth/approvals`, one of them, and `POST …/{id}/resolve`: paths, members and words
//! are those of the public Terraform provider.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Record, Refused, one, resolve, rows};
use crate::approval::{Answered, Assurance, State as Stands};
use crate::server::body::Sent;
use crate::server::caller::Caller;
use crate::server::{App, Fault, Tenant};

/// How many are on one page at most, and where nothing else is asked for.
const MOST: u32 = 200;
const USUAL: u32 = 50;

/// Which approvals are wanted.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    status: String,
    page: Option<u32>,
    per_page: Option<u32>,
}

/// A page of approvals.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct Page {
    data: Vec<Shown>,
    total: u64,
    page: u32,
    per_page: u32,
}

/// An answer, as the wire has it.
#[derive(Debug, Deserialize)]
pub(in crate::server) struct Answer {
    decision: String,
    note: Option<String>,
}

/// One approval on the wire.
#[derive(Serialize)]
struct Shown {
    id: String,
    status: &'static str,
    user_id: String,
    environment: String,
    agent_id: String,
    mcp_server: String,
    tool_name: String,
    /// An object, or a text where its end is missing.
    tool_args: Box<RawValue>,
    tool_args_hidden: u64,
    tool_args_truncated: bool,
    call_sha256: String,
    matched_rule_ids: Vec<String>,
    matched_control_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_version: Option<String>,
    policy_revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_approval: Option<bool>,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assurance: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/{tenant}/thoth/approvals", get(list))
        .route("/{tenant}/thoth/approvals/{id}", get(show))
        .route("/{tenant}/thoth/approvals/{id}/resolve", post(answer))
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Fault> {
    caller.must(|may| may.read, "list approvals")?;
    let tenant = all_of(&caller, &tenant)?;
    let known = ["", "pending", "approved", "denied", "spent", "withdrawn", "expired"];
    if !known.contains(&&*wanted.status) {
        let known = known[1..].join(", ");
        return Err(Fault::malformed(format!("`status` is one of {known}")));
    }
    let page = wanted.page.unwrap_or(1).max(1);
    let limit = wanted.per_page.unwrap_or(USUAL).clamp(1, MOST);
    let offset = (page - 1).saturating_mul(limit);
    let which = rows::Page { state: &wanted.status, offset, limit };
    let (records, total) = rows::page(&app.store, tenant, which, app.now()).await?;
    let data = records.into_iter().map(Shown::from).collect();
    Ok(Json(Page { data, total, page, per_page: limit }))
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<Shown>, Fault> {
    caller.must(|may| may.read, "look at approvals")?;
    let tenant = all_of(&caller, &tenant)?;
    let record = one(&app, tenant, &id).await?.ok_or(Refused::Unknown)?;
    Ok(Json(record.into()))
}

async fn answer(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
    Sent(answer): Sent<Answer>,
) -> Result<Json<Shown>, Fault> {
    caller.must(|may| may.admin, "resolve approvals")?;
    let tenant = all_of(&caller, &tenant)?;
    let approve = answer.approves()?;
    let answered = Answered {
        by: caller.key_id.clone(),
        assurance: Assurance::ApiKey,
        at: app.now(),
        note: answer.note,
    };
    Ok(Json(resolve(&app, tenant, &id, approve, answered).await?.into()))
}

/// The caller's tenant, where it is the one of the path and the key is good for all of it.
fn all_of<'a>(caller: &'a Caller, tenant: &str) -> Result<&'a Tenant, Fault> {
    let tenant = caller.at(tenant)?;
    caller.for_organization()?;
    Ok(tenant)
}

// === impl Answer ===

impl Answer {
    /// Whether it is a yes.
    ///
    /// # Errors
    ///
    /// 400 for a word that is neither.
    pub(in crate::server) fn approves(&self) -> Result<bool, Fault> {
        match self.decision.trim().to_ascii_lowercase().as_str() {
            "approve" => Ok(true),
            "deny" => Ok(false),
            _ => Err(Fault::malformed("`decision` is `approve` or `deny`")),
        }
    }
}

// === impl Refused ===

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Unknown => Self::not_found(message),
            Refused::NotPending(_) => Self::conflict("not_pending", message),
            Refused::SelfApproval => Self::new(StatusCode::FORBIDDEN, "self_approval", message),
            Refused::Store(error) => error.into(),
        }
    }
}

// === impl Shown ===

impl From<Record> for Shown {
    fn from(record: Record) -> Self {
        let status = record.approval.state.word();
        let answered = match record.approval.state {
            Stands::Approved(answered) | Stands::Denied(answered) | Stands::Spent(answered) => {
                Some(answered)
            }
            Stands::Pending | Stands::Withdrawn | Stands::Expired => None,
        };
        let (pack_id, pack_version) =
            record.policy.map(|policy| (policy.id, policy.version)).unzip();
        let text = || serde_json::value::to_raw_value(&record.arguments);
        let whole = (!record.is_cut).then(|| RawValue::from_string(record.arguments.clone()));
        let arguments = whole.and_then(Result::ok).or_else(|| text().ok()).unwrap_or_default();
        Self {
            id: record.id,
            status,
            user_id: record.user,
            environment: record.environment,
            agent_id: record.agent,
            mcp_server: record.server,
            tool_name: record.tool,
            tool_args: arguments,
            tool_args_hidden: record.hidden,
            tool_args_truncated: record.is_cut,
            call_sha256: record.call,
            matched_rule_ids: record.rule_ids,
            matched_control_ids: record.control_ids,
            reason: record.reason,
            decision_reason_code: record.reason_code,
            pack_id,
            pack_version,
            policy_revision: record.revision,
            self_approval: record.self_approval,
            created_at: record.approval.created_at,
            expires_at: record.approval.expires_at,
            resolved_by: answered.as_ref().map(|answered| answered.by.clone()),
            assurance: answered.as_ref().map(|answered| answered.assurance.word()),
            resolved_at: answered.as_ref().map(|answered| answered.at),
            note: answered.and_then(|answered| answered.note),
        }
    }
}
