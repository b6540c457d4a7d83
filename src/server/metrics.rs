//! `/healthz`, `/readyz`, and `/metrics` for Prometheus.

use axum::Router;

use super::App;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Metrics {}

// === impl Metrics ===

impl Metrics {
    /// Counts one decision: its word, and how long it took.
    pub fn decided(&self, word: &'static str, took: std::time::Duration) {
        let _ = (word, took);
    }
}
