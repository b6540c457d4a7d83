//! One machine of the fleet, and all of them counted. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use super::orders::{Settings, numbers};
use super::report::Head;

/// One machine, as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name; the same for ever.
    pub endpoint_id: String,
    /// Its name in the network.
    pub hostname: String,
    /// Who works there. Empty: not said, as in what follows.
    pub employee_email: String,
    /// The fleet it belongs to.
    pub fleet_id: String,
    /// `dev`, `staging` or `prod`.
    pub environment: String,
    /// `jamf`, `intune`, `manual` or `unmanaged`.
    pub enrollment: String,
    /// The version of thoth that it runs.
    pub proxy_version: String,
    /// What it says of itself: `os`, `os_version`, `enforcement_mode`, `agent_ids`.
    pub details: Map<String, Value>,
    /// What people say of it: `employee_name`, `department`, `provider`, `risk_score` and the like.
    pub labels: Map<String, Value>,
    /// Whether it said goodbye in its last check-in.
    pub is_stopping: bool,
    /// `healthy`, `degraded` or `unhealthy`, by its last check-in.
    pub health: String,
    /// Whether a server of its is not governed as it should be.
    pub config_drifted: bool,
    /// Whether it says that it blocks every call.
    pub blocks_calls: bool,
    /// When it checked in last.
    pub last_seen: Option<Timestamp>,
    /// The key that it came with last.
    pub key_id: String,
    /// Whether it was ordered to block every call.
    pub quarantine: Option<Quarantine>,
    /// Whether a journal's head did not follow the one before.
    pub journal_conflict: Option<JournalConflict>,
    /// When it was registered first.
    pub created_at: Timestamp,
    /// When it was registered last.
    pub updated_at: Timestamp,
}

/// The order to block every call.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Quarantine {
    /// When it was given.
    pub at: Timestamp,
    /// Why; may be empty.
    pub reason: String,
    /// Who gave it: a key's id, or a person's name.
    pub by: String,
}

/// A journal whose head went backwards, or changed without a record more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalConflict {
    /// When the first was noticed.
    pub at: Timestamp,
    /// The session, the head that is kept and the one that was reported.
    pub what: Value,
}

/// Whether a machine is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was registered, and has never checked in.
    Registered,
    /// It checks in.
    Online,
    /// It has not checked in for too long, and has not said goodbye.
    Stale,
    /// It said goodbye.
    Stopped,
}

/// All machines, counted.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Stats {
    /// All.
    pub total: i64,
    /// Those that check in.
    pub online: i64,
    /// Those that are silent without a goodbye.
    pub stale: i64,
    /// Those with a journal conflict, an unhealthy sidecar, or a configuration that has drifted.
    pub at_risk: i64,
    /// Those ordered to block every call.
    pub quarantined: i64,
    /// Those under some management.
    pub managed: i64,
    /// The others.
    pub unmanaged: i64,
    /// Those older than the minimum version, or else than the latest.
    pub proxy_outdated: i64,
    /// The newest version that is known: of a machine, or of this server.
    pub latest_version: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether it is there.
    pub fn standing(&self, settings: &Settings, now: Timestamp) -> Standing {
        let patience = SignedDuration::from_secs(settings.patience());
        match self.last_seen {
            None => Standing::Registered,
            Some(_) if self.is_stopping => Standing::Stopped,
            Some(seen) if now.duration_since(seen) <= patience => Standing::Online,
            Some(_) => Standing::Stale,
        }
    }

    /// Whether somebody should look at it.
    pub fn is_at_risk(&self) -> bool {
        self.journal_conflict.is_some() || self.health == "unhealthy" || self.config_drifted
    }

    /// As the wire has it: what is not known is left out.
    pub fn to_json(&self, settings: &Settings, now: Timestamp) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, text) in [
            ("endpoint_id", &self.endpoint_id),
            ("hostname", &self.hostname),
            ("employee_email", &self.employee_email),
            ("fleet_id", &self.fleet_id),
            ("environment", &self.environment),
            ("enrollment", &self.enrollment),
            ("proxy_version", &self.proxy_version),
            ("health", &self.health),
            ("managed_runtime_key_id", &self.key_id),
        ] {
            if !text.is_empty() {
                members.insert(name.to_owned(), Value::from(text.as_str()));
            }
        }
        members.extend(self.details.clone());
        members.extend(self.labels.clone());
        for (name, value) in [
            ("status", told(self.standing(settings, now))),
            ("at_risk", Value::from(self.is_at_risk())),
            ("quarantined", Value::from(self.quarantine.is_some())),
            ("blocks_calls", Value::from(self.blocks_calls)),
            ("config_drifted", Value::from(self.config_drifted)),
            ("created_at", told(self.created_at)),
            ("updated_at", told(self.updated_at)),
            ("last_seen", told(self.last_seen)),
            ("quarantine_order", told(&self.quarantine)),
            ("journal_conflict", told(&self.journal_conflict)),
        ] {
            if !value.is_null() {
                members.insert(name.to_owned(), value);
            }
        }
        members
    }
}

fn told(what: impl Serialize) -> Value {
    serde_json::to_value(what).unwrap_or_else(|_| unreachable!("it has text for names"))
}

// === impl Stats ===

impl Stats {
    /// Counts those of one version.
    pub(in crate::server) fn add(&mut self, one: &Self) {
        self.total += one.total;
        self.online += one.online;
        self.stale += one.stale;
        self.at_risk += one.at_risk;
        self.quarantined += one.quarantined;
        self.unmanaged += one.unmanaged;
        self.managed = self.total - self.unmanaged;
    }

    /// Judges versions: how many machines run each.
    pub(in crate::server) fn judge(&mut self, versions: &[(String, i64)], minimum: Option<&str>) {
        let own = env!("CARGO_PKG_VERSION");
        let all = versions.iter().map(|(version, _)| version.as_str()).chain([own]);
        let latest = all.filter(|version| numbers(version).is_some()).max_by_key(|v| numbers(v));
        let latest = latest.unwrap_or(own);
        let demanded = numbers(minimum.unwrap_or(latest));
        let outdated = versions.iter().filter(|(version, _)| numbers(version) < demanded);
        self.proxy_outdated = outdated.map(|(_, count)| count).sum();
        latest.clone_into(&mut self.latest_version);
    }
}

/// What follows from a head that was reported, beside the one that is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::server) enum Sequel {
    /// It comes after it, or is the same.
    Follows,
    /// The journal went backwards, or has another past.
    Conflicts,
}

/// Judges a head that is not older than the one that is kept.
pub(in crate::server) fn sequel(kept: (i64, &str), reported: &Head) -> Sequel {
    let (records, head) = kept;
    if reported.records > records || (reported.records == records && reported.head == head) {
        Sequel::Follows
    } else {
        Sequel::Conflicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_judged_by_their_numbers() {
        let own = env!("CARGO_PKG_VERSION");
        let versions = [("0.0.9".to_owned(), 2), (own.to_owned(), 3), (String::new(), 1)];
        for (minimum, outdated, extra, latest) in [
            (None, 3, None, own),
            (Some("0.0.9"), 1, None, own),
            (Some("99.0.0"), 6, None, own),
            (None, 6, Some(("10.0.0", 4)), "10.0.0"),
            (Some("0.0.1"), 1, Some(("10.0.0", 4)), "10.0.0"),
        ] {
            let extra = extra.map(|(version, count)| (version.to_owned(), count));
            let all: Vec<_> = versions.iter().cloned().chain(extra).collect();
            let mut stats = Stats::default();
            stats.judge(&all, minimum);
            assert_eq!(stats.proxy_outdated, outdated, "{minimum:?} {latest}");
            assert_eq!(stats.latest_version, latest);
        }
    }

    #[test]
    fn a_head_follows_or_conflicts() {
        let head = |records, head: &str| Head {
            session_id: "s".to_owned(),
            agent_id: "a".to_owned(),
            records,
            head: head.to_owned(),
            is_over: false,
        };
        for (reported, expected) in [
            (head(5, "aa"), Sequel::Follows),
            (head(6, "bb"), Sequel::Follows),
            (head(5, "bb"), Sequel::Conflicts),
            (head(4, "aa"), Sequel::Conflicts),
        ] {
            assert_eq!(sequel((5, "aa"), &reported), expected, "{reported:?}");
        }
    }
}
