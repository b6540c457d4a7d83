//! Holds that the fake keeps, as an enforcer does: looked at, waited for, replied to, withdrawn.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

/// What has become of the holds, by token; what is not in here is pending.
pub(super) struct Holds(watch::Sender<BTreeMap<String, &'static str>>);

impl Holds {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }

    /// Answers it, unless it was before.
    pub(super) fn resolve(&self, token: &str, resolution: &'static str) {
        self.0.send_modify(|holds| {
            holds.entry(token.to_owned()).or_insert(resolution);
        });
    }

    /// Does what a request about a hold asks for: the status and the body of its answer.
    pub(super) async fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &Value,
    ) -> (u16, String) {
        let (_, rest) = path.split_once("/v1/enforce/hold/").unwrap();
        let (token, way) = rest.split_once('/').unwrap_or((rest, ""));
        match (method, way) {
            ("GET", "") => (200, self.look(token, wanted(headers)).await),
            ("DELETE", "") => {
                self.resolve(token, "BLOCK");
                (204, String::new())
            }
            ("POST", "reply") => {
                let approved = body["decision"] == "approve";
                self.resolve(token, if approved { "ALLOW" } else { "BLOCK" });
                (200, "{}".to_owned())
            }
            _ => (405, String::new()),
        }
    }

    /// How a hold stands; where it is pending, once that has changed, or after so long.
    async fn look(&self, token: &str, wait: Duration) -> String {
        let mut holds = self.0.subscribe();
        let resolved = timeout(wait, holds.wait_for(|holds| holds.contains_key(token))).await;
        drop(resolved);
        match self.0.borrow().get(token) {
            None => json!({"resolved": false, "resolution": null, "decision": "STEP_UP"}),
            Some(how) => json!({"resolved": true, "resolution": how, "decision": how}),
        }
        .to_string()
    }
}

/// `Prefer: wait=N`
fn wanted(headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|prefer| prefer.to_str().ok());
    let seconds = prefer.and_then(|prefer| prefer.strip_prefix("wait=")?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}
