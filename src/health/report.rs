//! The report, in the form of `--json`: `docs/health.schema.json`.
//!
//! Every member is always there; what is not known or not configured is `null`. A member may be
//! added without a new `schema`; none changes its meaning or goes away without one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::credentials;
use super::facts::{Facts, Trouble, Unsound};
use super::friction;
use super::peer;
use super::plain;
use super::problem::{Code, Problem, Severity};
use super::servers;
use crate::endpoint::sidecar::{self, Decisions, Sidecar};

pub use super::credentials::{Credential, Held};
pub use super::friction::Friction;
pub use super::peer::{Peer, Source};
pub use super::servers::{Client, Server};

/// The form of this report.
const SCHEMA: u32 = 1;

/// After so many intervals without a check-in, it is overdue.
const OVERDUE: i32 = 3;

/// How a machine stands.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The form of this report: 1.
    pub schema: u32,
    /// The whole in one word.
    pub status: Status,
    /// The version of the thoth that looked.
    pub version: &'static str,
    /// When it looked.
    pub checked_at: Timestamp,
    /// The machine.
    pub endpoint: Endpoint,
    /// `dev`, `staging` or `prod`.
    pub environment: &'static str,
    /// Whether the machine is registered at the GovAPI; `null` where that was never tried.
    pub registration_ok: Option<bool>,
    /// When it last checked in with success.
    pub last_check_in: Option<Timestamp>,
    /// Whether a server that could be governed is not, or is not as it should be.
    pub config_drifted: bool,
    /// The enforcer; `null` where there is none.
    pub enforcer: Option<Peer>,
    /// The GovAPI; `null` where there is none.
    pub govapi: Option<Peer>,
    /// The key for the enforcer; `null` where none is configured.
    pub api_key: Option<Held>,
    /// Every credential, the one above included.
    pub credentials: Vec<Credential>,
    /// Every configuration file of every client that was found.
    pub clients: Vec<Client>,
    /// How many servers are governed.
    pub governed: usize,
    /// How many are not. A file that cannot be read counts as one.
    pub ungoverned: usize,
    /// The sidecars that run, the oldest first.
    pub sidecars: Vec<Running>,
    /// The policies that `thoth run` would start with.
    pub policy: Vec<Policy>,
    /// The managed file; `null` where this system has no place for one.
    pub managed: Option<Managed>,
    /// What the GovAPI said to do.
    pub directives: Directives,
    /// Friction events.
    pub friction: Friction,
    /// Everything that is wrong, errors first.
    pub problems: Vec<Problem>,
}

/// The whole in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing is wrong.
    Healthy,
    /// There are warnings.
    Degraded,
    /// There are errors.
    Unhealthy,
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub struct Endpoint {
    /// What it is called at the GovAPI.
    pub id: Option<String>,
    /// Its name in the network.
    pub hostname: Option<String>,
    /// `linux`, `macos` or `windows`.
    pub os: &'static str,
    /// How it came under management: `jamf`, `intune`, `manual`, `unmanaged`.
    pub enrollment: Option<String>,
}

/// One running sidecar.
#[derive(Clone, Debug, Serialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Its session.
    pub session_id: String,
    /// The agent, which is the name of the wrapped server's entry.
    pub agent_id: String,
    /// The server's command.
    pub server: String,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// `dev`, `staging` or `prod`.
    pub environment: String,
    /// How verdicts are enforced.
    pub enforcement_mode: String,
    /// What it decided so far.
    pub decisions: Decisions,
    /// When it last decided.
    pub last_decision_at: Option<Timestamp>,
    /// The policies in force.
    pub policies: Vec<Policy>,
    /// Its friction events; `null` where there are none.
    pub friction: Option<sidecar::Friction>,
}

/// One policy.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of its file.
    pub sha256: Option<String>,
    /// Where it comes from: a path, or `built-in`; `null` where a sidecar says no more.
    pub source: Option<String>,
}

/// The managed file.
#[derive(Clone, Debug, Serialize)]
pub struct Managed {
    /// Where it is, or would be.
    pub path: String,
    /// Whether it is there.
    pub present: bool,
    /// The settings it locks.
    pub locked: Vec<String>,
}

/// What the GovAPI said to do.
#[derive(Clone, Debug, Serialize)]
pub struct Directives {
    /// Whether every call is blocked.
    pub quarantined: bool,
    /// Why, in its words.
    pub quarantine_reason: Option<String>,
    /// The oldest version that is good enough.
    pub minimum_version: Option<String>,
    /// The names of keys that are not to be used.
    pub revoked: Vec<String>,
}

// === impl Report ===

impl Report {
    /// What the facts come to.
    pub fn of(facts: &Facts) -> Self {
        let mut problems: Vec<_> = facts.troubles.iter().map(of_trouble).collect();
        problems.extend(of_directives(facts));
        let enforcer = peer::enforcer(facts, &mut problems);
        let govapi = peer::govapi(facts, &mut problems);
        let (api_key, credentials) = credentials::judge(facts, &mut problems);
        let clients = servers::judge(&facts.coverage, &mut problems);
        let friction = friction::judge(facts, &mut problems);
        problems.extend(of_registration(facts));
        problems.extend(of_versions(facts));
        problems.sort_by_key(|problem| problem.code);

        let counts = facts.coverage.counts();
        let is_drift =
            |problem: &Problem| matches!(problem.code, Code::ConfigDrifted | Code::ServerTampered);
        let (state, directives) = (&facts.state, &facts.state.directives);
        Self {
            schema: SCHEMA,
            status: Status::of(&problems),
            version: facts.version,
            checked_at: facts.now,
            endpoint: Endpoint {
                id: state.endpoint_id.clone().or_else(|| facts.endpoint_id.clone()),
                hostname: facts.hostname.clone(),
                os: facts.os,
                enrollment: facts.enrollment.clone(),
            },
            environment: facts.environment.word(),
            registration_ok: state.registration_ok,
            last_check_in: state.last_check_in,
            config_drifted: problems.iter().any(is_drift),
            enforcer,
            govapi,
            api_key,
            credentials,
            clients,
            governed: counts.governed,
            ungoverned: counts.ungoverned,
            sidecars: facts.sidecars.iter().map(Running::of).collect(),
            policy: policies(facts),
            managed: facts.managed.as_ref().map(|managed| Managed {
                path: managed.path.to_string_lossy().into_owned(),
                present: managed.present,
                locked: managed.locked.clone(),
            }),
            directives: Directives {
                quarantined: directives.quarantined,
                quarantine_reason: directives.quarantine_reason.as_deref().map(plain),
                minimum_version: directives.minimum_version.clone(),
                revoked: directives.revoked_key_ids.clone(),
            },
            friction,
            problems,
        }
    }
}

fn policies(facts: &Facts) -> Vec<Policy> {
    let policies = facts.policies.iter();
    let policies = policies.map(|(policy, source)| Policy {
        id: policy.id.clone(),
        version: policy.version.clone(),
        sha256: policy.sha256.clone(),
        source: Some(source.clone()),
    });
    policies.collect()
}

fn of_trouble(trouble: &Trouble) -> Problem {
    let code = match trouble.kind {
        Unsound::Configuration => Code::ConfigurationInvalid,
        Unsound::Managed => Code::ManagedInvalid,
        Unsound::ManagedFile => Code::ManagedUnsafe,
        Unsound::Override => Code::LockedOverride,
        Unsound::Policy => Code::PolicyInvalid,
        Unsound::Preflight => Code::PreflightRefused,
        Unsound::State => Code::StateUnreadable,
        Unsound::Homeless => Code::ClientUnreadable,
    };
    Problem::new(code, plain(&trouble.text), trouble.fix.clone())
}

fn of_directives(facts: &Facts) -> Vec<Problem> {
    let directives = &facts.state.directives;
    let mut problems = Vec::new();
    if directives.quarantined {
        let why = directives.quarantine_reason.as_deref().map(plain);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        problems.push(Problem::new(
            Code::Quarantined,
            format!("this machine is under quarantine, and every call is blocked{why}"),
            "ask whoever runs the GovAPI",
        ));
    }
    if let Some(minimum) = &directives.minimum_version
        && directives.is_outdated(facts.version)
    {
        problems.push(Problem::new(
            Code::VersionBelowMinimum,
            format!("this is thoth {}, and the GovAPI asks for {minimum}", facts.version),
            "install a newer thoth, and restart the clients",
        ));
    }
    problems
}

fn of_registration(facts: &Facts) -> Option<Problem> {
    let state = &facts.state;
    if facts.govapi.is_none() && state.registration_ok.is_none() {
        return None;
    }
    match state.registration_ok {
        None => Some(Problem::new(
            Code::NotRegistered,
            "this machine has never registered at the GovAPI",
            "start a wrapped server: its sidecar registers this machine",
        )),
        Some(false) => {
            let why = state.last_error.as_deref().map(plain);
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            Some(Problem::new(
                Code::RegistrationFailed,
                format!("the last registration at the GovAPI failed{why}"),
                "check the GovAPI's address, the tenant, the credential and the network; \
                 sidecars try again by themselves",
            ))
        }
        Some(true) => overdue(facts),
    }
}

/// A machine on which no sidecar runs does not check in.
fn overdue(facts: &Facts) -> Option<Problem> {
    let ago = |time: Timestamp| facts.now.duration_since(time);
    let directed = facts.state.directives.heartbeat_interval_seconds;
    let interval = directed.map_or(facts.heartbeat, |seconds| Duration::from_secs(seconds.into()));
    let limit = SignedDuration::try_from(interval).ok()?.checked_mul(OVERDUE)?;
    let is_running_long = facts.sidecars.iter().any(|sidecar| ago(sidecar.started_at) > limit);
    let last = facts.state.last_check_in.or(facts.state.registered_at);
    let is_overdue = last.is_none_or(|last| ago(last) > limit);
    (is_running_long && is_overdue).then(|| {
        let since = last.map_or_else(|| "never".to_owned(), |last| format!("at {last}"));
        let why = facts.state.last_error.as_deref().map(plain);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        Problem::new(
            Code::CheckInOverdue,
            format!("a sidecar runs, and this machine last checked in {since}{why}"),
            "check the GovAPI's address and the network; sidecars try again by themselves",
        )
    })
}

fn of_versions(facts: &Facts) -> Option<Problem> {
    let others: Vec<_> = facts
        .sidecars
        .iter()
        .filter(|sidecar| sidecar.version != facts.version)
        .map(|sidecar| format!("{} ({})", plain(&sidecar.agent_id), sidecar.version))
        .collect();
    (!others.is_empty()).then(|| {
        Problem::new(
            Code::MixedVersions,
            format!("not of version {}: {}", facts.version, servers::some(&others)),
            "restart the clients: they start the thoth that is installed now",
        )
    })
}

// === impl Status ===

impl Status {
    fn of(problems: &[Problem]) -> Self {
        match problems.iter().map(|problem| problem.severity).max() {
            None => Self::Healthy,
            Some(Severity::Warning) => Self::Degraded,
            Some(Severity::Error) => Self::Unhealthy,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

// === impl Running ===

impl Running {
    fn of(sidecar: &Sidecar) -> Self {
        let policies = sidecar.policies.iter().map(|policy| Policy {
            id: policy.id.clone(),
            version: policy.version.to_string(),
            sha256: policy.sha256.clone(),
            source: None,
        });
        Self {
            pid: sidecar.pid,
            session_id: sidecar.session_id.clone(),
            agent_id: plain(&sidecar.agent_id),
            server: sidecar.server.clone(),
            version: sidecar.version.clone(),
            started_at: sidecar.started_at,
            environment: sidecar.environment.clone(),
            enforcement_mode: sidecar.enforcement_mode.clone(),
            decisions: sidecar.decisions,
            last_decision_at: sidecar.last_decision_at,
            policies: policies.collect(),
            friction: sidecar.friction.clone().map(shown),
        }
    }
}

fn shown(mut friction: sidecar::Friction) -> sidecar::Friction {
    for sink in &mut friction.sinks {
        sink.place = plain(&sink.place);
        sink.trouble = sink.trouble.as_deref().map(plain);
    }
    friction
}
