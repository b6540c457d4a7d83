//! Events: `POST /v1/events/batch` and `POST /v0/events`.

use axum::Router;

use super::App;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}

/// Where events go on to.
#[derive(Debug, Default)]
pub struct Forward {}
