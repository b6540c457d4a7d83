//! `POST /v1/enforce`, `GET /v1/enforce/hold/{token}`, `POST /v1/explain`.

use axum::Router;

use super::App;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}
