//! Approvals: what people are asked to agree to, listed and answered.

use axum::Router;

use super::App;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}
