//! What the servers of agents offer, as SDKs and sidecars report it.

use axum::Router;

use super::App;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}
