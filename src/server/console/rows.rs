//! Where the pages' rows come from: the other wings, made into what [`view`](super::view) has.

use super::view::{Arguments, Decision, Endpoint, Health, Hold};
use crate::approval::Answered;
use crate::server::approvals::{self, Record, Refused};
use crate::server::decisions::{self, Decided};
use crate::server::store::StoreError;
use crate::server::{App, Tenant};

/// How many decisions are listed.
const DECISIONS: u32 = 200;
/// How many pending approvals the other wing lists at most.
const PENDING: usize = 500;

/// What waits for a person, the oldest first, and whether that is all.
pub(super) async fn holds(app: &App, tenant: &Tenant) -> Result<(Vec<Hold>, bool), StoreError> {
    let records = approvals::pending(app, tenant).await?;
    let is_all = records.len() < PENDING;
    Ok((records.into_iter().rev().map(Hold::from).collect(), is_all))
}

/// One approval.
pub(super) async fn hold(app: &App, tenant: &Tenant, id: &str) -> Result<Option<Hold>, StoreError> {
    Ok(approvals::one(app, tenant, id).await?.map(Hold::from))
}

/// Gives a person's answer.
pub(super) async fn answer(
    app: &App,
    tenant: &Tenant,
    id: &str,
    approve: bool,
    answered: Answered,
) -> Result<(), Refused> {
    approvals::resolve(app, tenant, id, approve, answered).await.map(drop)
}

/// The newest decisions, newest first.
pub(super) async fn decisions(app: &App, tenant: &Tenant) -> Result<Vec<Decision>, StoreError> {
    let decided = decisions::recent(app, tenant, DECISIONS).await?;
    Ok(decided.into_iter().map(Decision::from).collect())
}

/// Machines, those that need somebody first, and how many there are of each health.
pub(super) async fn endpoints(
    app: &App,
    tenant: &Tenant,
) -> Result<(Vec<Endpoint>, Vec<(Health, u64)>), StoreError> {
    let _ = (app, tenant);
    std::future::ready(Ok((Vec::new(), Vec::new()))).await
}

impl From<Record> for Hold {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            tool: record.tool,
            server: Some(record.server).filter(|server| !server.is_empty()),
            agent: record.agent,
            user: record.user,
            environment: record.environment,
            arguments: Arguments::of(&record.arguments, record.hidden, record.is_cut),
            rules: record.rule_ids,
            reason: record.reason,
            policy: record.policy.map(|policy| format!("{} {}", policy.id, policy.version)),
            self_approval: record.self_approval,
            asked_at: record.approval.created_at,
            expires_at: record.approval.expires_at,
            state: record.approval.state,
        }
    }
}

impl From<Decided> for Decision {
    fn from(decided: Decided) -> Self {
        Self {
            at: decided.at,
            word: decided.decision,
            instead_of: (decided.authorization != decided.decision)
                .then_some(decided.authorization),
            tool: decided.tool,
            server: Some(decided.server).filter(|server| !server.is_empty()),
            agent: decided.agent,
            user: decided.user,
            environment: decided.environment,
            rules: decided.rule_ids,
            reason: decided.reason,
            approval: decided.approval,
        }
    }
}
