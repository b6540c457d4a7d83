//! The GovAPI: endpoints, check-ins, directives, tool inventory.

use axum::Router;

use super::App;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}
