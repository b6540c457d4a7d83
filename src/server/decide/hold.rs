//! `GET`, `DELETE /v1/enforce/hold/{token}` and `POST …/reply`: how a question learns what a person
//! said, gives up, or is answered inside the client.
//!
//! Bodies follow what the SDKs read (`thoth-wire` §2): what is pending carries `decision: "STEP_UP"`,
//! what is final carries its decision twice, as `resolution` and as `decision`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use super::answer::url;
use crate::approval::record::Claim as Told;
use crate::server::approvals::{self, Look};
use crate::server::body::Sent;
use crate::server::bus::{Change, Listener, Topic};
use crate::server::caller::{Caller, Scope};
use crate::server::{App, Fault, Tenant};

/// The longest a look is kept waiting (`Prefer: wait=N`).
const LONGEST: Duration = Duration::from_secs(20);
/// How often who waits looks at the store, in case a word on the bus was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many of a tenant's looks wait at once; more are answered at once.
const WAITING: usize = 1024;
/// When to come back, for clients that do not wait here.
const POLL_AFTER: u32 = 2;

/// How many looks wait, by tenant.
#[derive(Clone, Debug, Default)]
pub struct Polls(Arc<Mutex<HashMap<Tenant, usize>>>);

/// One look that waits. Makes room when it is dropped.
#[derive(Debug)]
struct Place<'a> {
    polls: &'a Polls,
    tenant: &'a Tenant,
}

/// Where a hold stands, on the wire.
#[derive(Serialize)]
struct Body<'a> {
    resolved: bool,
    resolution: Option<&'static str>,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_reason_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforcement_trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_attestation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    matched_rule_ids: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    matched_control_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assurance: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_url: Option<&'a str>,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_interval_seconds: Option<u32>,
}

/// Where a hold stands; waits for the answer where the client prefers to.
pub(super) async fn look(
    State(app): State<App>,
    caller: Caller,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    caller.must(|may| may.execute, "look at holds")?;
    if !is_within(&app, &caller, &token).await? {
        return Err(unknown());
    }
    let wait = preferred(&headers);
    let place = if wait.is_zero() { None } else { app.polls.enter(&caller.tenant) };
    let deadline = Instant::now() + place.as_ref().map_or(Duration::ZERO, |_| wait);
    // Listening before looking: what changes in between is heard.
    let mut changes = place.as_ref().map(|_| app.bus.listen());
    loop {
        let look = approvals::look(&app, &caller.tenant, &token).await?.ok_or_else(unknown)?;
        match (&look.told, &mut changes) {
            (Told::Pending, Some(changes)) if Instant::now() < deadline => {
                let until = deadline.min(Instant::now() + LOOK_AGAIN);
                // Whether it was heard or not, the store says how it is.
                let _ =
                    timeout_at(until, heard(changes, &caller.tenant, &look.claim.record.id)).await;
            }
            _ => return Ok(super::json(body(&app, &look))),
        }
    }
}

/// Gives a hold up. Nothing happens to one that nobody knows.
pub(super) async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<StatusCode, Fault> {
    caller.must(|may| may.execute, "withdraw holds")?;
    if is_within(&app, &caller, &token).await? {
        approvals::withdraw(&app, &caller.tenant, &token).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the answer of whoever made the call, where its rule lets them.
pub(super) async fn reply(
    State(app): State<App>,
    caller: Caller,
    Path(token): Path<String>,
    Sent(answer): Sent<approvals::Answer>,
) -> Result<StatusCode, Fault> {
    caller.must(|may| may.execute, "answer holds inside the client")?;
    let approve = answer.approves()?;
    if !is_within(&app, &caller, &token).await? {
        return Err(unknown());
    }
    approvals::reply(&app, &caller.tenant, &token, approve).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown() -> Fault {
    Fault::not_found("there is no such hold")
}

/// Whether the key is good for the agent of this hold. Asked first: to look at an approval uses it up.
/// Endpoints and fleets are not known of a hold.
async fn is_within(app: &App, caller: &Caller, token: &str) -> Result<bool, Fault> {
    match &caller.scope {
        Scope::Agent(agent) => {
            let record = approvals::claimed(app, &caller.tenant, token).await?;
            Ok(record.is_some_and(|record| record.agent == *agent))
        }
        Scope::Organization | Scope::Fleet(_) | Scope::Endpoint(_) => Ok(true),
    }
}

/// How long the client prefers to wait (RFC 7240), at most [`LONGEST`].
fn preferred(headers: &HeaderMap) -> Duration {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let wait = preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| value.trim().trim_matches('"').parse::<u64>().ok()).flatten()
    });
    Duration::from_secs(wait.unwrap_or(0)).min(LONGEST)
}

/// Returns when something was said about this approval, or something was missed.
///
/// Cancel safe: what was heard is a hint.
async fn heard(changes: &mut Listener, tenant: &Tenant, id: &str) {
    loop {
        match changes.recv().await {
            Ok(Change { tenant: whose, topic: Topic::Approval(which) })
                if whose == *tenant && which == id =>
            {
                return;
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn body(app: &App, look: &Look) -> Vec<u8> {
    let (claim, record) = (&look.claim, &look.claim.record);
    let (resolution, decision) = match look.told {
        Told::Pending => (None, "STEP_UP"),
        Told::Approved(_) => (Some("ALLOW"), "ALLOW"),
        Told::Denied(_) | Told::Used(_) | Told::Withdrawn | Told::Expired => {
            (Some("BLOCK"), "BLOCK")
        }
    };
    let answered = match &look.told {
        Told::Approved(answered) | Told::Denied(answered) | Told::Used(answered) => Some(answered),
        Told::Pending | Told::Withdrawn | Told::Expired => None,
    };
    let reason = look.told.reason().or_else(|| record.reason.clone());
    let address = resolution.is_none().then(|| url(app, record));
    let body = Body {
        resolved: resolution.is_some(),
        resolution,
        decision,
        reason: reason.as_deref(),
        decision_reason_code: look.told.reason_code(),
        violation_id: (decision == "BLOCK").then_some(record.id.as_str()),
        enforcement_trace_id: claim.trace.as_deref(),
        action_attestation_id: claim.attestation.as_deref(),
        matched_rule_ids: &record.rule_ids,
        matched_control_ids: &record.control_ids,
        pack_id: record.policy.as_ref().map(|policy| policy.id.as_str()),
        pack_version: record.policy.as_ref().map(|policy| policy.version.as_str()),
        resolved_by: answered.map(|answered| answered.by.as_str()),
        assurance: answered.map(|answered| answered.assurance.word()),
        approval_url: address.as_deref(),
        expires_at: record.approval.expires_at,
        poll_interval_seconds: resolution.is_none().then_some(POLL_AFTER),
    };
    serde_json::to_vec(&body).unwrap_or_else(|_| unreachable!("texts and numbers are JSON"))
}

// === impl Polls ===

impl Polls {
    /// A place to wait; none where too many of the tenant's looks wait already.
    fn enter<'a>(&'a self, tenant: &'a Tenant) -> Option<Place<'a>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(tenant.clone()).or_default();
        (*count < WAITING).then(|| {
            *count += 1;
            Place { polls: self, tenant }
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.polls.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(self.tenant) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_client_prefers_to_wait() {
        for (header, seconds) in [
            ("wait=5", 5),
            ("respond-async, wait=7", 7),
            ("WAIT = 7; x=y", 7),
            ("wait=\"3\"", 3),
            ("wait=3600", 20),
            ("wait=-1", 0),
            ("wait", 0),
            ("wait=soon", 0),
            ("", 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", header.parse().unwrap());
            assert_eq!(preferred(&headers), Duration::from_secs(seconds), "{header}");
        }
        assert_eq!(preferred(&HeaderMap::new()), Duration::ZERO);
    }

    #[test]
    fn only_so_many_looks_wait_at_once() {
        let (polls, one) = (Polls::default(), Tenant::parse("one").unwrap());
        let other = Tenant::parse("other").unwrap();
        let mut places: Vec<_> = (0..WAITING).map_while(|_| polls.enter(&one)).collect();
        assert_eq!(places.len(), WAITING);
        assert!(polls.enter(&one).is_none());
        assert!(polls.enter(&other).is_some());
        places.pop();
        assert!(polls.enter(&one).is_some());
        places.clear();
        assert!(polls.0.lock().unwrap().is_empty());
    }
}
