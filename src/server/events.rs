//! Events: taken in from SDKs (`POST /v1/events/batch`) and from Baton (`POST /v0/events`), kept for a
//! time, and sent on.
//!
//! This is no database of events: the last ones are kept so that people can look at them, and so that
//! none is taken twice. What a company wants to keep it sends on ([`Forward`]).
//!
//! # Invariants
//!
//! - What was accepted is in the store, scrubbed, under the key's tenant.
//! - Each event of a request is accepted, known already, or refused with its index and a reason.
//! - An event is counted once, however often it is sent.

mod forward;
pub mod intake;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::post;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

pub use self::forward::{Forward, ForwardError};

use self::intake::{MOST, Refused, Taken};
use super::caller::{Caller, Scope};
use super::store::{StoreError, events as rows};
use super::{App, Fault, Tenant};

/// From how many bytes on a request is read on a thread of its own: scrubbing it takes milliseconds,
/// and decisions do not wait for it.
const LONG: usize = 16 * 1024;
/// How often what is too old is forgotten, and losses are told.
const SWEEP: std::time::Duration = std::time::Duration::from_mins(1);

/// How long events are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// For this time at most.
    pub age: SignedDuration,
    /// So many of each tenant at most, give or take what came since the last sweep.
    pub most: u32,
}

/// One event as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recent {
    /// Its id.
    pub event_id: String,
    /// Whose format it has: `sdk` or `baton`.
    pub dialect: String,
    /// What happened.
    pub event_type: String,
    /// By which agent. Empty: not said, as in what follows.
    pub agent_id: String,
    /// In which session.
    pub session_id: String,
    /// To which tool.
    pub tool_name: String,
    /// When, by the clock of whoever sent it.
    pub occurred_at: Option<Timestamp>,
    /// When it came.
    pub received_at: Timestamp,
    /// The event: a JSON object, scrubbed.
    pub body: String,
}

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/events/batch", post(batch)).route("/v0/events", post(one))
}

// === For the other wings ===

/// The events of a tenant that came last, newest first.
///
/// # Errors
///
/// [`StoreError`]
pub async fn recent(app: &App, tenant: &Tenant, most: u32) -> Result<Vec<Recent>, StoreError> {
    rows::recent(&app.store, tenant, most).await
}

/// Forgets what is too old or too much. How many events. Cancel safe.
///
/// # Errors
///
/// [`StoreError`]
pub async fn sweep(app: &App, retention: &Retention) -> Result<u64, StoreError> {
    rows::sweep(&app.store, retention, app.now()).await
}

/// Forgets what is too old or too much once a minute, and tells of events that could not be sent on,
/// until it is stopped. For one task of the process.
pub async fn keep(app: App, retention: Retention, stop: CancellationToken) {
    let mut lost = 0;
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(sweep(&app, &retention)).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "old events are not forgotten yet");
        }
        let looked = app.clone();
        let standing = spawn_blocking(move || looked.forward.standing()).await;
        if let Ok(Some(standing)) = standing {
            let evicted = standing.collector.as_ref().map_or(0, |at| at.losses.evicted);
            if standing.dropped + evicted > lost {
                lost = standing.dropped + evicted;
                tracing::warn!(place = standing.name, lost, "events were not sent on");
            }
        }
    }
}

// === impl Retention ===

impl Default for Retention {
    /// A week; 100,000 events.
    fn default() -> Self {
        Self { age: SignedDuration::from_hours(7 * 24), most: 100_000 }
    }
}

// === Taking in ===

/// Whoever may send events: by key, or by the token that SDKs send beside it.
struct Sender(Caller);

async fn batch(
    State(app): State<App>,
    Sender(caller): Sender,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let read = {
        let caller = caller.clone();
        let is_long = body.len() > LONG;
        let read = move || each(&caller, &body);
        if is_long { blocking(read).await? } else { read() }
    }?;
    let (mut taken, mut places, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (index, event) in read.into_iter().enumerate() {
        match event {
            Ok(event) => {
                places.push(index);
                taken.push(event);
            }
            Err(Refused { code, message }) => {
                errors.push(json!({"index": index, "code": code, "message": message}));
            }
        }
    }
    let new = store(&app, &caller.tenant, &taken).await?;
    let known = places.iter().zip(&new).filter(|(_, new)| !**new).map(|(index, _)| index);
    let known: Vec<_> = known.collect();
    let answer = json!({
        "accepted": new.len() - known.len(),
        "duplicates": known.len(),
        "duplicate_indexes": known,
        "rejected": errors.len(),
        "errors": errors,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn one(
    State(app): State<App>,
    Sender(caller): Sender,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let read = {
        let tenant = caller.tenant.clone();
        let is_long = body.len() > LONG;
        let read = move || {
            let text = std::str::from_utf8(&body).map_err(|_| Refused::MALFORMED)?;
            intake::baton(&tenant, text)
        };
        if is_long { blocking(read).await? } else { read() }
    };
    let taken = read.map_err(|Refused { code, message }| {
        let is_consent = code == Refused::NO_CONSENT.code;
        let status = if is_consent { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        Fault::new(status, code, message)
    })?;
    let is_new = store(&app, &caller.tenant, std::slice::from_ref(&taken)).await? == [true];
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(json!({"event_id": taken.event_id}))))
}

impl FromRequestParts<App> for Sender {
    type Rejection = Fault;

    /// The token is looked for, and counted, as a key is.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let may_write = |caller: &Caller| caller.must(|may| may.write, "send events");
        let caller = Caller::from_request_parts(parts, app).await;
        let refusal = match &caller {
            Ok(caller) => may_write(caller).err(),
            Err(fault) => Some(fault.clone()),
        };
        let Some(refusal) = refusal else { return caller.map(Self) };
        let token = parts.headers.get("x-thoth-event-ingest-token");
        let Some(token) = token.and_then(|token| token.to_str().ok()) else { return Err(refusal) };
        let found = Caller::with_key(token.trim(), parts, app).await;
        let is_foreign = |found: &Caller| caller.as_ref().is_ok_and(|by| by.tenant != found.tenant);
        match found {
            Ok(found) if may_write(&found).is_ok() && !is_foreign(&found) => Ok(Self(found)),
            Err(fault) if fault.status() != StatusCode::UNAUTHORIZED => Err(fault),
            Ok(_) | Err(_) => Err(refusal),
        }
    }
}

fn each(caller: &Caller, body: &[u8]) -> Result<Vec<Result<Taken, Refused>>, Fault> {
    let wanted = "send an array of events, or an object with them as `events`";
    let events = intake::batch(body).ok_or_else(|| Fault::malformed(wanted))?;
    if events.len() > MOST {
        let message = format!("a request holds {MOST} events at most");
        return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", message));
    }
    let read = |text: &&serde_json::value::RawValue| {
        let event = intake::sdk(&caller.tenant, text.get())?;
        match &caller.scope {
            Scope::Agent(agent) if *agent != event.agent_id => Err(Refused::OUT_OF_SCOPE),
            Scope::Agent(_) | Scope::Organization | Scope::Fleet(_) | Scope::Endpoint(_) => {
                Ok(event)
            }
        }
    };
    Ok(events.iter().map(read).collect())
}

async fn store(app: &App, tenant: &Tenant, events: &[Taken]) -> Result<Vec<bool>, Fault> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let new = rows::add(&app.store, tenant, events, app.now()).await?;
    app.forward.offer(events.iter().zip(&new).filter(|(_, new)| **new).map(|(event, _)| event));
    Ok(new)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = spawn_blocking(work).await;
    done.map_err(|_| Fault::unavailable("the server is stopping; try again"))
}
