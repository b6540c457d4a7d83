//! The GovAPI: endpoints register and check in, and take orders back. `docs/govapi.md` describes the
//! client's side; the wire is one.
//!
//! A registration is in the store when it is answered. A check-in is answered before ([`beats`]): the
//! orders in its answer are read from the store each time, so an order counts from the next check-in.
//!
//! # Invariants
//!
//! - Every answer says every order, also that it does not hold: what was lifted is lifted.
//! - No registration and no check-in changes an order.
//! - A journal's head is never replaced by one that does not follow it; the endpoint is marked.

pub mod beats;
pub mod endpoint;
pub mod orders;
pub mod reach;
pub mod report;

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

pub use self::endpoint::{Endpoint, Quarantine, Standing, Stats};

use self::beats::Beat;
use self::orders::{Amendment, LONGEST_REASON, Orders, Settings};
use self::reach::Reach;
use self::report::{CheckIn, EndpointId, Registration, line, read};
use super::bus::{Change, Topic};
use super::caller::Caller;
use super::store::{StoreError, fleet as rows};
use super::{App, Fault, Tenant};

/// How many endpoints one page of the list holds.
const PAGE: i64 = 1000;
/// How long a check-in may wait to be written.
const BEAT: Duration = Duration::from_secs(1);
/// How many beats go by between two sweeps.
const SWEEP: u32 = 3600;
/// How long the head of a journal is kept after it was reported last.
const HEADS_KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/{tenant}/thoth/endpoints", post(register).get(show_all))
        .route("/{tenant}/thoth/endpoints/stats", get(show_stats))
        .route("/{tenant}/thoth/endpoints/{id}", get(show_one))
        .route("/{tenant}/thoth/endpoints/{id}/checkin", post(check_in))
        .route("/{tenant}/thoth/endpoints/{id}/quarantine", post(impose).delete(lift))
        .route("/{tenant}/thoth/settings", get(show_settings).put(change_settings))
}

// === For the other wings ===

/// All endpoints of a tenant, by name; at most a thousand.
///
/// # Errors
///
/// [`StoreError`]
pub async fn list(app: &App, tenant: &Tenant) -> Result<Vec<Endpoint>, StoreError> {
    settle(app).await?;
    let filter = rows::Filter { limit: PAGE, ..rows::Filter::default() };
    Ok(rows::list(&app.store, &Reach::whole(tenant), &filter).await?.0)
}

/// All endpoints of a tenant, counted.
///
/// # Errors
///
/// [`StoreError`]
pub async fn stats(app: &App, tenant: &Tenant) -> Result<Stats, StoreError> {
    count(app, &Reach::whole(tenant)).await
}

/// What holds for all endpoints of a tenant: with it [`Endpoint::standing`] is told.
///
/// # Errors
///
/// [`StoreError`]
pub async fn settings(app: &App, tenant: &Tenant) -> Result<Settings, StoreError> {
    rows::settings(&app.store, tenant).await
}

/// Orders an endpoint to block every call (`Some`: why, and who says so), or no longer to (`None`).
/// `false` where there is none of that name. It is told with the endpoint's next check-in.
///
/// # Errors
///
/// [`StoreError`]
pub async fn quarantine(
    app: &App,
    reach: &Reach,
    id: &EndpointId,
    order: Option<(&str, &str)>,
) -> Result<bool, StoreError> {
    let order = order.map(|(reason, by)| {
        let reason = line(reason).chars().take(LONGEST_REASON).collect();
        Quarantine { at: app.now(), reason, by: line(by) }
    });
    let is_known = rows::quarantine(&app.store, reach, id, order.as_ref()).await?;
    if is_known {
        tell(app, &reach.tenant, id.as_str());
    }
    Ok(is_known)
}

/// Writes check-ins once a second, and forgets old journals' heads, until it is stopped; then writes
/// what is left. For one task of the process, to be stopped once the last request was answered.
pub async fn keep(app: App, stop: CancellationToken) {
    let mut beats = 0_u32;
    loop {
        let is_over = stop.run_until_cancelled(tokio::time::sleep(BEAT)).await.is_none();
        if let Err(error) = settle(&app).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "check-ins are not written yet");
        }
        if is_over {
            return;
        }
        if beats.is_multiple_of(SWEEP)
            && let Err(error) = sweep(&app).await
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "old journals' heads are not forgotten yet");
        }
        beats = beats.wrapping_add(1);
    }
}

/// Forgets what was not heard of for too long. How many heads.
///
/// # Errors
///
/// [`StoreError`]
pub async fn sweep(app: &App) -> Result<u64, StoreError> {
    let before = app.now().checked_sub(HEADS_KEPT).unwrap_or(Timestamp::MIN);
    rows::sweep(&app.store, before).await
}

/// Writes the check-ins that wait here.
async fn settle(app: &App) -> Result<(), StoreError> {
    for (tenant, id) in app.beats.write(&app.store).await? {
        tracing::warn!(tenant = tenant.as_str(), endpoint = id, "a journal does not follow itself");
        tell(app, &tenant, &id);
    }
    Ok(())
}

fn tell(app: &App, tenant: &Tenant, id: &str) {
    app.bus.tell(Change { tenant: tenant.clone(), topic: Topic::Endpoint(id.to_owned()) });
}

async fn count(app: &App, reach: &Reach) -> Result<Stats, StoreError> {
    settle(app).await?;
    let settings = rows::settings(&app.store, &reach.tenant).await?;
    let patience = SignedDuration::from_secs(settings.patience());
    let stale = app.now().checked_sub(patience).unwrap_or(Timestamp::MIN);
    rows::stats(&app.store, reach, &settings, stale).await
}

// === Machines ===

async fn register(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.write, "register endpoints")?;
    let reach = Reach::of(&caller, &tenant)?;
    let registration = Registration::read(&body)?;
    let id = &registration.endpoint_id;
    let fleet = registration.facts.fleet_id.as_deref().unwrap_or_default();
    let beyond = || Fault::forbidden("this key is not good for this endpoint");
    if !reach.covers(id.as_str(), fleet)
        || !rows::register(&app.store, &reach, &registration, &caller.key_id, app.now()).await?
    {
        return Err(beyond());
    }
    tell(&app, &reach.tenant, id.as_str());
    let orders = rows::orders(&app.store, &reach, id).await?.ok_or_else(beyond)?;
    let mut answer = shown(&app, &reach, id).await?;
    answer.insert("directives".to_owned(), orders.directives());
    Ok(Json(Value::Object(answer)))
}

async fn check_in(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.write, "check endpoints in")?;
    let reach = Reach::of(&caller, &tenant)?;
    let endpoint = EndpointId::parse(&id).map_err(|_| unknown())?;
    let check_in = CheckIn::read(&endpoint, &body)?;
    let fleet = check_in.facts.fleet_id.as_deref();
    if fleet.is_some_and(|fleet| !reach.covers(endpoint.as_str(), fleet)) {
        return Err(Fault::forbidden("this key is not good for this fleet"));
    }
    let orders: Orders = rows::orders(&app.store, &reach, &endpoint).await?.ok_or_else(unknown)?;
    let answer = json!({"endpoint_id": endpoint.as_str(), "directives": orders.directives()});
    let (tenant, key_id, at) = (reach.tenant, caller.key_id, app.now().as_microsecond());
    if app.beats.push(Beat { tenant, endpoint, key_id, at, check_in }) {
        settle(&app).await?;
    }
    Ok(Json(answer))
}

/// The client registers anew when it is told this.
fn unknown() -> Fault {
    Fault::not_found("no endpoint of this name is registered; register it first")
}

// === People ===

/// Which part of a list is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    env: Option<String>,
    fleet_id: Option<String>,
    pub(super) agent_id: Option<String>,
    pub(super) page: Option<i64>,
    pub(super) per_page: Option<i64>,
}

async fn show_all(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.read, "look at endpoints")?;
    let reach = Reach::of(&caller, &tenant)?;
    settle(&app).await?;
    let (page, per_page) = page(wanted.page, wanted.per_page)?;
    let filter = rows::Filter {
        environment: wanted.env.filter(|env| !env.is_empty()),
        fleet: wanted.fleet_id.filter(|fleet| !fleet.is_empty()),
        offset: (page - 1) * per_page,
        limit: per_page,
    };
    let (endpoints, total) = rows::list(&app.store, &reach, &filter).await?;
    let settings = rows::settings(&app.store, &reach.tenant).await?;
    let now = app.now();
    let data: Vec<_> = endpoints.iter().map(|one| one.to_json(&settings, now)).collect();
    Ok(Json(json!({"data": data, "total": total, "page": page, "per_page": per_page})))
}

/// A page's number, from 1, and how many a page holds.
///
/// # Errors
///
/// 400
pub(super) fn page(page: Option<i64>, per_page: Option<i64>) -> Result<(i64, i64), Fault> {
    let (page, per_page) = (page.unwrap_or(1), per_page.unwrap_or(PAGE));
    if (1..=1_000_000).contains(&page) && (1..=PAGE).contains(&per_page) {
        Ok((page, per_page))
    } else {
        Err(Fault::malformed(format!("page is 1 or more, per_page 1 to {PAGE}")))
    }
}

async fn show_stats(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Stats>, Fault> {
    caller.must(|may| may.read, "look at endpoints")?;
    Ok(Json(count(&app, &Reach::of(&caller, &tenant)?).await?))
}

async fn show_one(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.read, "look at endpoints")?;
    let reach = Reach::of(&caller, &tenant)?;
    let id = EndpointId::parse(&id).map_err(|_| unknown())?;
    Ok(Json(Value::Object(shown(&app, &reach, &id).await?)))
}

async fn shown(app: &App, reach: &Reach, id: &EndpointId) -> Result<Map<String, Value>, Fault> {
    settle(app).await?;
    let (one, report, heads) = rows::one(&app.store, reach, id).await?.ok_or_else(unknown)?;
    let settings = rows::settings(&app.store, &reach.tenant).await?;
    let heads: Vec<_> = heads.iter().map(|head| {
        let report::Head { session_id, agent_id, records, head, is_over } = head;
        json!({"session_id": session_id, "agent_id": agent_id, "records": records, "head": head, "is_over": is_over})
    }).collect();
    let mut members = one.to_json(&settings, app.now());
    members.insert("report".to_owned(), report);
    members.insert("journals".to_owned(), Value::from(heads));
    Ok(members)
}

/// Why an endpoint is quarantined.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Why {
    reason: String,
}

async fn impose(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let why = || if body.trim_ascii().is_empty() { Ok(Why::default()) } else { read(&body) };
    order(&app, &caller, &tenant, &id, || why().map(|why: Why| Some(why.reason))).await
}

async fn lift(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Json<Value>, Fault> {
    order(&app, &caller, &tenant, &id, || Ok(None)).await
}

async fn order(
    app: &App,
    caller: &Caller,
    tenant: &str,
    id: &str,
    reason: impl FnOnce() -> Result<Option<String>, Fault>,
) -> Result<Json<Value>, Fault> {
    caller.must(|may| may.admin, "quarantine endpoints")?;
    let reach = Reach::of(caller, tenant)?;
    let id = EndpointId::parse(id).map_err(|_| unknown())?;
    let reason = reason()?;
    let order = reason.as_deref().map(|reason| (reason, caller.key_id.as_str()));
    if !quarantine(app, &reach, &id, order).await? {
        return Err(unknown());
    }
    Ok(Json(Value::Object(shown(app, &reach, &id).await?)))
}

async fn show_settings(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Fault> {
    let reach = whole(&caller, &tenant)?;
    Ok(Json(said(&rows::settings(&app.store, &reach.tenant).await?)))
}

async fn change_settings(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let reach = whole(&caller, &tenant)?;
    let amendment = read::<Amendment>(&body)?.check()?;
    rows::amend(&app.store, &reach.tenant, &amendment, &caller.key_id, app.now()).await?;
    Ok(Json(said(&rows::settings(&app.store, &reach.tenant).await?)))
}

/// What all endpoints share is for keys that are good for all.
fn whole(caller: &Caller, tenant: &str) -> Result<Reach, Fault> {
    caller.must(|may| may.admin, "look at and change the fleet's settings")?;
    let reach = Reach::of(caller, tenant)?;
    if reach == Reach::whole(&caller.tenant) {
        Ok(reach)
    } else {
        Err(Fault::forbidden("this key is good for a part of the fleet only"))
    }
}

fn said(settings: &Settings) -> Value {
    let Settings { minimum_version, heartbeat_interval_seconds, revoked_key_ids } = settings;
    json!({
        "minimum_version": minimum_version,
        "heartbeat_interval_seconds": heartbeat_interval_seconds,
        "revoked_key_ids": revoked_key_ids,
    })
}
