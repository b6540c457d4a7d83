//! The `OpenAPI` document: what this server answers to, for programs. `docs/openapi.json`, as it is.
//!
//! Written by hand. A test holds it against the routes in the source, and tries each of its operations
//! with keys that must not do.

use axum::Router;
use axum::http::header;
use axum::routing::get;

use super::App;

/// The document.
pub const DOCUMENT: &str = include_str!("../../docs/openapi.json");

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    let document = || async { ([(header::CONTENT_TYPE, "application/json")], DOCUMENT) };
    Router::new().route("/openapi.json", get(document))
}
