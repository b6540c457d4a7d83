//! The console: pages for people. Server-rendered, no foreign origin.

use axum::Router;

use super::App;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}
