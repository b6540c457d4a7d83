//! `/healthz`, `/readyz` and `/metrics`.
//!
//! The first two are open to everybody, say nothing secret, and cost little however often they are
//! asked for. The third needs a key that may read, unless only this machine can reach the enforcer:
//! its figures are those of all tenants together.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::time::timeout;

use crate::server::caller::Caller;
use crate::server::store::micros;
use crate::server::{App, Fault};

/// How long the store may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whoever may see the figures.
struct Onlooker;

/// The routes of this wing.
pub(in crate::server) fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(app): State<App>) -> Response {
    let ping = sqlx::query("SELECT 1").execute(app.store.read());
    let store = timeout(PATIENCE, ping).await.is_ok_and(|pinged| pinged.is_ok());
    if !store {
        app.metrics.store_failed();
    }
    let is_ready = store && !app.stop.is_cancelled();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if is_ready { "ready" } else { "not_ready" },
        "store": if store { "ok" } else { "away" },
        "ending": app.stop.is_cancelled(),
        "policies": {
            "revision": app.rules.current().revision,
            // What is wrong with them is in the log: who asks here has shown no key.
            "outdated": app.rules.problem().is_some(),
        },
    });
    (status, Json(body)).into_response()
}

async fn metrics(State(app): State<App>, _: Onlooker) -> impl IntoResponse {
    // Counted where it is asked for: the holds of all replicas are in the store.
    match timeout(PATIENCE, pending(&app)).await {
        Ok(Ok(holds)) => app.metrics.pending(holds),
        Ok(Err(_)) | Err(_) => app.metrics.store_failed(),
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text())
}

async fn pending(app: &App) -> Result<i64, sqlx::Error> {
    // What is pending is live: said so that what ended long ago is not read.
    let statement = "SELECT COUNT(*) FROM approvals \
         WHERE live = 1 AND expires_at > $1 AND state = 'pending'";
    let query = sqlx::query_scalar(statement).bind(micros(app.now()));
    query.fetch_one(app.store.read()).await
}

impl FromRequestParts<App> for Onlooker {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        if !app.settings.are_metrics_open {
            let caller = Caller::from_request_parts(parts, app).await?;
            caller.must(|may| may.read, "read the metrics")?;
            caller.for_organization()?;
        }
        Ok(Self)
    }
}
