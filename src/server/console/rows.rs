//! Where the pages' rows come from: the other wings, made into what [`view`](super::view) has.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sqlx::{AssertSqlSafe, Row as _};

use super::view::{Arguments, Counts, Decision, Endpoint, Health, Hold};
use crate::approval::Answered;
use crate::server::approvals::{self, Record, Refused};
use crate::server::decisions::{self, Decided};
use crate::server::fleet::orders::Settings;
use crate::server::fleet::{self, Standing};
use crate::server::store::StoreError;
use crate::server::{App, Tenant};

/// How many decisions are listed.
const DECISIONS: u32 = 200;
/// How many machines are listed.
const ENDPOINTS: usize = 200;
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

/// Machines, those that need somebody first, and how many there are.
pub(super) async fn endpoints(
    app: &App,
    tenant: &Tenant,
) -> Result<(Vec<Endpoint>, Counts), StoreError> {
    let settings = fleet::settings(app, tenant).await?;
    let stats = fleet::stats(app, tenant).await?;
    let now = app.now();
    let listed = fleet::list(app, tenant).await?;
    let mut endpoints: Vec<_> =
        listed.into_iter().map(|endpoint| machine(endpoint, &settings, now)).collect();
    // Stable: by name within each health.
    endpoints.sort_by_key(|endpoint| endpoint.health);
    endpoints.truncate(ENDPOINTS);
    let mut servers = servers(app, tenant, &endpoints).await?;
    for endpoint in &mut endpoints {
        if let Some((governed, ungoverned)) = servers.remove(&endpoint.id) {
            (endpoint.governed, endpoint.ungoverned) = (Some(governed), Some(ungoverned));
        }
    }
    let fleet::Stats { total: all, online, stale, at_risk, quarantined, .. } = stats;
    Ok((endpoints, Counts { all, quarantined, at_risk, stale, online }))
}

fn machine(endpoint: fleet::Endpoint, settings: &Settings, now: Timestamp) -> Endpoint {
    let health = match endpoint.standing(settings, now) {
        _ if endpoint.quarantine.is_some() => Health::Quarantined,
        _ if endpoint.is_at_risk() => Health::AtRisk,
        Standing::Stale => Health::Stale,
        Standing::Online => Health::Online,
        Standing::Registered => Health::Registered,
        Standing::Stopped => Health::Stopped,
    };
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    Endpoint {
        id: endpoint.endpoint_id,
        name: said(endpoint.hostname),
        user: said(endpoint.employee_email),
        environment: said(endpoint.environment),
        health,
        version: said(endpoint.proxy_version),
        governed: None,
        ungoverned: None,
        seen_at: endpoint.last_seen,
    }
}

/// What is read of a machine's last report.
#[derive(Deserialize)]
struct Report {
    servers: Servers,
}

#[derive(Deserialize)]
struct Servers {
    #[serde(default)]
    governed: Vec<IgnoredAny>,
    #[serde(default)]
    ungoverned: Vec<IgnoredAny>,
}

/// How many MCP servers are governed, and are not, on each of these machines that has said so.
async fn servers(
    app: &App,
    tenant: &Tenant,
    endpoints: &[Endpoint],
) -> Result<HashMap<String, (usize, usize)>, StoreError> {
    if endpoints.is_empty() {
        return Ok(HashMap::new());
    }
    // Numbers only are put into the text.
    let places: Vec<_> = (2..).take(endpoints.len()).map(|place| format!("${place}")).collect();
    let statement = format!(
        "SELECT endpoint_id, report FROM endpoints WHERE tenant = $1 AND endpoint_id IN ({})",
        places.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str());
    for endpoint in endpoints {
        query = query.bind(endpoint.id.as_str());
    }
    let rows = query.fetch_all(app.store.read()).await?;
    let mut found = HashMap::new();
    for row in rows {
        let report: String = row.try_get(1)?;
        if let Ok(Report { servers }) = serde_json::from_str(&report) {
            found.insert(row.try_get(0)?, (servers.governed.len(), servers.ungoverned.len()));
        }
    }
    Ok(found)
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
