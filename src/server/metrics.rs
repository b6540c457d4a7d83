//! What is counted, for Prometheus; and whether the enforcer lives and is ready.
//!
//! Labels are words of this program: routes by their patterns, decisions and outcomes by their
//! words. Nothing that a request holds becomes one, neither a tenant nor a tool.

mod pages;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub(super) use self::pages::routes;

/// From a fifth of a millisecond to two and a half seconds.
const LATENCIES: [f64; 13] =
    [0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5];

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<Decision, Counter>,
    latency: Histogram,
    pending: Gauge,
    approvals: Family<Outcome, Counter>,
    requests: Family<Request, Counter>,
    connections: Gauge,
    refused_connections: Counter,
    store_errors: Counter,
    reloads: Family<Outcome, Counter>,
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub struct Open(Gauge);

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Decision {
    decision: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("thoth");
        let latency = Histogram::new(LATENCIES);
        let metrics = Self {
            decisions: registered(&mut registry, "decisions", "Decisions, by their word"),
            pending: registered(&mut registry, "holds_pending", "Holds that wait for a person"),
            approvals: registered(&mut registry, "approvals", "Approvals, by what came of them"),
            requests: registered(&mut registry, "requests", "Requests, by route and status"),
            connections: registered(&mut registry, "connections", "Connections that are open"),
            refused_connections: registered(
                &mut registry,
                "connections_refused",
                "Connections for which there was no room",
            ),
            store_errors: registered(&mut registry, "store_errors", "Failures of the store"),
            reloads: registered(&mut registry, "policy_reloads", "Attempts to read the policies"),
            latency: latency.clone(),
            registry,
        };
        let mut metrics = metrics;
        let help = "How long decisions took";
        metrics.registry.register_with_unit("decision_duration", help, Unit::Seconds, latency);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        metrics.registry.register("build", "What runs", build);
        metrics
    }
}

fn registered<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: Clone + Default + prometheus_client::registry::Metric,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Counts one decision: its word, and how long it took.
    pub fn decided(&self, word: &'static str, took: Duration) {
        self.decisions.get_or_create(&Decision { decision: word }).inc();
        self.latency.observe(took.as_secs_f64());
    }

    /// Counts what came of approvals: `approved`, `denied`, `expired`, `spent`, `withdrawn`.
    pub fn approvals(&self, outcome: &'static str, count: usize) {
        self.approvals.get_or_create(&Outcome { outcome }).inc_by(count as u64);
    }

    /// Says how many holds wait for a person, in all tenants.
    pub fn pending(&self, holds: i64) {
        self.pending.set(holds);
    }

    /// Counts one answer, by the pattern of its route.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode) {
        let request =
            Request { method: word_of(method), route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&request).inc();
    }

    /// Counts a connection until the answer is dropped.
    pub fn connection(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }

    /// Counts a connection for which there was no room.
    pub fn refused_connection(&self) {
        self.refused_connections.inc();
    }

    /// Counts a failure of the store.
    pub fn store_failed(&self) {
        self.store_errors.inc();
    }

    /// Counts an attempt to read the policies anew.
    pub fn reloaded(&self, is_in_force: bool) {
        let outcome = if is_in_force { "ok" } else { "failed" };
        self.reloads.get_or_create(&Outcome { outcome }).inc();
    }

    /// All of it in the text format of Prometheus (`OpenMetrics` 1.0).
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry)
            .unwrap_or_else(|_| unreachable!("writing to a string does not fail"));
        text
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A method's word; one that nobody serves has none of its own, so that no caller can make many.
fn word_of(method: &Method) -> &'static str {
    match method.as_str() {
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::default();
        metrics.decided("BLOCK", Duration::from_millis(4));
        metrics.decided("BLOCK", Duration::from_millis(4));
        metrics.approvals("denied", 1);
        metrics.pending(3);
        metrics.answered(&Method::GET, "/{tenant}/thoth/approvals", StatusCode::OK);
        let strange = Method::from_bytes(b"STRANGE").unwrap();
        metrics.answered(&strange, "unmatched", StatusCode::NOT_FOUND);
        metrics.reloaded(false);
        let open = metrics.connection();
        drop(metrics.connection());
        let text = metrics.text();
        for line in [
            "thoth_decisions_total{decision=\"BLOCK\"} 2",
            "thoth_decision_duration_seconds_bucket{le=\"0.005\"} 2",
            "thoth_decision_duration_seconds_bucket{le=\"0.003\"} 0",
            "thoth_holds_pending 3",
            "thoth_approvals_total{outcome=\"denied\"} 1",
            "thoth_requests_total{method=\"GET\",route=\"/{tenant}/thoth/approvals\",status=\"200\"} 1",
            "thoth_requests_total{method=\"other\",route=\"unmatched\",status=\"404\"} 1",
            "thoth_connections 1",
            "thoth_policy_reloads_total{outcome=\"failed\"} 1",
            concat!("thoth_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        drop(open);
    }
}
