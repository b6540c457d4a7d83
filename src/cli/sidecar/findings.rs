//! What the holder of the endpoint's lock finds on this machine before each check-in: its sidecars, the
//! servers of its clients, and how it stands, in the words of `thoth health`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::friction;
use crate::clients::scan::{Expected, scan};
use crate::clients::table::Places;
use crate::config::settings::{Config, Environment};
use crate::endpoint::state::State;
use crate::endpoint::{departed, sidecar};
use crate::gate::decide::Outage;
use crate::govapi::beat::Findings;
use crate::health::facts::{self, Configured, Facts};
use crate::health::report::Report;
use crate::machine::{Machine, clock};

/// Where to look, and what it is held against.
#[derive(Clone, Debug)]
pub(super) struct Lookout {
    home: PathBuf,
    places: Places,
    expected: Expected,
    environment: Environment,
    enforcer: Option<Configured>,
    outage: Outage,
    govapi: Option<Configured>,
    heartbeat: Duration,
    friction: facts::Friction,
    hostname: Option<String>,
    os: &'static str,
    enrollment: &'static str,
}

impl Lookout {
    pub(super) fn new(
        config: &Config,
        machine: &Machine,
        places: Places,
        expected: Expected,
    ) -> Self {
        let configured = |url: &String| Configured { url: url.clone(), probed: None };
        Self {
            home: config.home.clone(),
            places,
            expected,
            environment: config.environment,
            enforcer: config.enforcer.as_ref().map(|enforcer| configured(&enforcer.url)),
            outage: config.enforcer.as_ref().map_or(Outage::default(), |enforcer| enforcer.outage),
            govapi: config.govapi.as_ref().map(|govapi| configured(&govapi.url)),
            heartbeat: config.govapi.as_ref().map_or(Duration::ZERO, |govapi| govapi.heartbeat),
            friction: friction::configured(config),
            hostname: machine.hostname.clone(),
            os: machine.os,
            enrollment: config.endpoint.enrollment.word(),
        }
    }

    /// Looks. `state` is what is remembered of the GovAPI; how the machine stands is said as it will be
    /// once this check-in has arrived, which is when it is read. Blocking.
    pub(super) fn look(&self, state: State) -> Findings {
        let now = clock::now();
        let state = State {
            registration_ok: Some(true),
            last_check_in: Some(now),
            last_attempt: Some(now),
            last_error: None,
            ..state
        };
        let facts = Facts {
            now,
            version: env!("CARGO_PKG_VERSION"),
            hostname: self.hostname.clone(),
            os: self.os,
            enrollment: Some(self.enrollment.to_owned()),
            endpoint_id: state.endpoint_id.clone(),
            environment: self.environment,
            troubles: Vec::new(), // this sidecar has started
            managed: None,
            policies: Vec::new(),
            enforcer: self.enforcer.clone(),
            outage: self.outage,
            govapi: self.govapi.clone(),
            heartbeat: self.heartbeat,
            friction: facts::Friction {
                spools: friction::spools(&self.home),
                ..self.friction.clone()
            },
            state,
            credentials: Vec::new(),
            sidecars: sidecar::list(&self.home),
            coverage: scan(&self.places, &self.expected),
        };
        let report = Report::of(&facts);
        Findings {
            sidecars: facts.sidecars,
            departed: departed::list(&self.home),
            coverage: facts.coverage,
            health: report.status.word(),
            config_drifted: report.config_drifted,
        }
    }
}
