//! What the servers of agents offer, as SDKs and sidecars report it: `POST` and `GET`
//! `/{tenant}/thoth/tool-inventory`, and the same without a tenant for SDKs that know none.
//!
//! A report is a part of a list, and replaces the tools it names. A tool that nobody names any more
//! stays, with the time it was named last.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::caller::{Caller, Scope};
use super::fleet::report::{line, read};
use super::fleet::{Wanted, page};
use super::store::{StoreError, tools as rows};
use super::{App, Fault, Tenant};

/// How many tools one report holds.
const AT_ONCE: usize = 100;
/// How many tools one page of the list holds at most: each may have a schema of [`LONGEST_SCHEMA`].
const LISTED: i64 = 100;
/// How many tools are kept for one tenant.
const MOST: i64 = 50_000;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 512;
/// The longest description, in characters; a longer one is cut.
const LONGEST_DESCRIPTION: usize = 4096;
/// The longest schema, in bytes; a longer one is left out.
const LONGEST_SCHEMA: usize = 64 * 1024;

/// A part of a list of tools, as it is sent.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(alias = "agentId")]
    agent_id: String,
    #[serde(default)]
    source: String,
    tools: Vec<Said>,
}

#[derive(Debug, Deserialize)]
struct Said {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, alias = "inputSchema")]
    input_schema: Option<Box<RawValue>>,
}

/// One tool as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tool {
    /// The agent, which is the name of the wrapped server's entry where a sidecar reports.
    pub agent_id: String,
    /// Its name.
    pub name: String,
    /// Who reported it: `thoth`, `python_sdk` and the like.
    pub source: String,
    /// What it is for, in its server's words.
    pub description: String,
    /// The schema of its arguments; `null` where it was left out.
    pub input_schema: Value,
    /// When it was reported first.
    pub first_seen: Timestamp,
    /// When it was reported last.
    pub last_seen: Timestamp,
}

/// One tool as it is written.
pub(super) struct Row<'a> {
    pub(super) agent_id: &'a str,
    pub(super) name: &'a str,
    pub(super) source: &'a str,
    pub(super) description: &'a str,
    pub(super) input_schema: &'a str,
}

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/{tenant}/thoth/tool-inventory", get(show).post(report))
        .route("/tool-inventory", get(show_own).post(report_own))
}

/// The tools of a tenant, by agent and name; of one agent where it is named. At most `most` after
/// `offset`, and how many there are in all.
///
/// # Errors
///
/// [`StoreError`]
pub async fn list(
    app: &App,
    tenant: &Tenant,
    agent: Option<&str>,
    offset: i64,
    most: i64,
) -> Result<(Vec<Tool>, i64), StoreError> {
    rows::list(&app.store, tenant, agent.unwrap_or_default(), offset, most).await
}

async fn report(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.write, "report tools")?;
    caller.at(&tenant)?;
    take(&app, &caller, &body).await
}

async fn report_own(
    State(app): State<App>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.write, "report tools")?;
    take(&app, &caller, &body).await
}

async fn take(app: &App, caller: &Caller, body: &[u8]) -> Result<Json<Value>, Fault> {
    let report: Report = read(body)?;
    let (agent_id, source) = (line(&report.agent_id), line(&report.source));
    if agent_id.is_empty() {
        return Err(Fault::malformed("a report names its agent as agent_id"));
    }
    if matches!(&caller.scope, Scope::Agent(agent) if *agent != agent_id) {
        return Err(Fault::forbidden("this key is good for another agent only"));
    }
    if report.tools.len() > AT_ONCE {
        return Err(Fault::malformed(format!("a report holds {AT_ONCE} tools at most")));
    }
    let is_named = |tool: &&Said| (1..=LONGEST_NAME).contains(&tool.name.len());
    let cut: Vec<_> = report.tools.iter().filter(is_named).map(Said::cut).collect();
    let tools: Vec<_> = cut
        .iter()
        .map(|(name, description, input_schema)| Row {
            agent_id: &agent_id,
            name,
            source: &source,
            description,
            input_schema,
        })
        .collect();
    if !rows::add(&app.store, &caller.tenant, &tools, MOST, app.now()).await? {
        let full = format!("{MOST} tools are known already, which is all that are kept");
        return Err(Fault::conflict("inventory_full", full));
    }
    let left_out = report.tools.len() - tools.len();
    Ok(Json(json!({"accepted": tools.len(), "rejected": left_out})))
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.read, "look at tools")?;
    caller.at(&tenant)?;
    shown(&app, &caller, wanted).await
}

async fn show_own(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.read, "look at tools")?;
    shown(&app, &caller, wanted).await
}

async fn shown(app: &App, caller: &Caller, wanted: Wanted) -> Result<Json<Value>, Fault> {
    let (page, per_page) = page(wanted.page, wanted.per_page)?;
    let per_page = per_page.min(LISTED);
    let agent = match &caller.scope {
        Scope::Agent(agent) => Some(agent.as_str()),
        Scope::Organization | Scope::Fleet(_) | Scope::Endpoint(_) => wanted.agent_id.as_deref(),
    };
    let offset = (page - 1) * per_page;
    let (data, total) = list(app, &caller.tenant, agent, offset, per_page).await?;
    Ok(Json(json!({"data": data, "total": total, "page": page, "per_page": per_page})))
}

// === impl Said ===

impl Said {
    /// Its name, its description and its schema, within their bounds.
    fn cut(&self) -> (String, String, &str) {
        let description = self.description.as_deref().unwrap_or_default();
        let schema = self.input_schema.as_deref().map_or("null", RawValue::get);
        let schema = if schema.len() > LONGEST_SCHEMA { "null" } else { schema };
        let plain = |character: char| if character == '\0' { ' ' } else { character };
        (
            self.name.chars().map(plain).collect(),
            description.chars().take(LONGEST_DESCRIPTION).map(plain).collect(),
            schema,
        )
    }
}
