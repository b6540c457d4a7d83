//! What the holder of the endpoint's lock does: registers this machine, and checks in again and again.
//!
//! # Invariants
//!
//! - One at a time, in one task: registering anew after a 404, 409 or 410 happens once for each
//!   check-in, under the same name.
//! - What came of each attempt is remembered before the next one begins.
//! - What the GovAPI said to do holds while it is away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::wire::{
    CheckIn, JournalHead, Orders, Registration, Servers, Status, decisions, each_once,
    enforcement_mode,
};
use super::{GovApi, Trouble};
use crate::clients::coverage::Coverage;
use crate::config::settings::{Enrollment, Environment};
use crate::endpoint::departed;
use crate::endpoint::lock::Held;
use crate::endpoint::sidecar::Sidecar;
use crate::endpoint::state::{self, State};
use crate::rhythm::Rhythm;

/// What does not change about this machine while thoth runs.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it is called.
    pub endpoint_id: String,
    /// Its name in the network.
    pub hostname: Option<String>,
    /// `macos`, `windows` or `linux`.
    pub os: &'static str,
    /// The system's version.
    pub os_version: Option<String>,
    /// The person who works there, as configured.
    pub user_id: Option<String>,
    /// How it came under management.
    pub enrollment: Enrollment,
    /// Where it stands.
    pub environment: Environment,
    /// The fleet it belongs to.
    pub fleet_id: Option<String>,
}

/// What is found on this machine at one moment.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The sidecars that run.
    pub sidecars: Vec<Sidecar>,
    /// Sidecars that have ended, and were not reported yet.
    pub departed: Vec<Sidecar>,
    /// The servers of its clients.
    pub coverage: Coverage,
    /// How it is: `healthy`, `degraded` or `unhealthy`.
    pub health: &'static str,
    /// Whether a server that could be governed is not, or is not as it should be.
    pub config_drifted: bool,
}

/// The holder of the lock, and what it remembers.
#[derive(Debug)]
pub struct Heart {
    _held: Held,
    govapi: GovApi,
    machine: Machine,
    home: PathBuf,
    interval: Duration,
    state: State,
    rhythm: Rhythm,
    /// Whether this holder has to register before it checks in.
    is_new: bool,
    clock: fn() -> Timestamp,
}

// === impl Heart ===

impl Heart {
    /// Takes over with the lock. `state` is what the last holder remembered; `is_new`, where there
    /// was none before: the machine registers then.
    pub fn new(
        held: Held,
        govapi: GovApi,
        machine: Machine,
        home: &Path,
        interval: Duration,
        state: State,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            _held: held,
            govapi,
            machine,
            home: home.to_owned(),
            interval,
            state,
            rhythm: Rhythm::default(),
            is_new: true,
            clock,
        }
    }

    /// The same, where another holder was at work until now: it has registered this machine.
    #[must_use]
    pub fn taking_over(mut self) -> Self {
        let is_registered = self.state.registration_ok == Some(true)
            && self.state.endpoint_id.as_ref() == Some(&self.machine.endpoint_id);
        self.is_new = !is_registered;
        self
    }

    /// What is remembered.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How long until the first beat: what is left of the interval since the last holder's.
    pub fn first_wait(&self) -> Duration {
        let since = self.state.last_attempt.map(|last| (self.clock)().duration_since(last));
        match since.map(Duration::try_from) {
            Some(Ok(since)) if !self.is_new => self.interval().saturating_sub(since),
            _ => Duration::ZERO,
        }
    }

    /// Registers where that is due, and checks in. How long until the next beat.
    ///
    /// Cancel safe: what an attempt that is dropped came to is not remembered.
    pub async fn beat(&mut self, findings: Findings) -> Duration {
        let dice = Uuid::new_v4().as_bytes()[0];
        self.state.last_attempt = Some((self.clock)());
        self.state.endpoint_id = Some(self.machine.endpoint_id.clone());
        let done = self.report(findings, Status::Online).await;
        self.state.last_error = done.as_ref().err().map(ToString::to_string);
        let wait = match &done {
            Ok(()) => self.rhythm.after_success(self.interval(), dice),
            Err(trouble) => {
                tracing::debug!(error = %trouble, "no check-in");
                self.rhythm.after_failure(trouble.retry_after, dice)
            }
        };
        self.remember().await;
        wait
    }

    /// Says that the last sidecar ends. Once, and whatever comes of it.
    pub async fn farewell(&mut self, findings: Findings) {
        if self.state.registration_ok == Some(true) {
            self.is_new = false; // nobody registers to say goodbye
            if self.report(findings, Status::Stopping).await.is_ok() {
                self.remember().await;
            }
        }
    }

    async fn report(&mut self, findings: Findings, status: Status) -> Result<(), Trouble> {
        let departed = findings.departed.iter().map(|sidecar| sidecar.session_id.clone());
        let departed: Vec<_> = departed.collect();
        let check_in = self.check_in(findings, status);
        if self.is_new {
            self.register(&check_in.registration).await?;
        }
        let mut answer = self.govapi.check_in(&check_in).await;
        if answer.as_ref().is_err_and(|trouble| trouble.is_unknown) {
            // Until that has gone well, every beat begins with it.
            (self.state.registration_ok, self.is_new) = (Some(false), true);
            self.register(&check_in.registration).await?;
            answer = self.govapi.check_in(&check_in).await;
        }
        self.heed(answer)?;
        self.state.last_check_in = Some((self.clock)());
        if !departed.is_empty() {
            let home = self.home.clone();
            let forget = move || departed::forget(&home, departed.iter().map(String::as_str));
            let _ = spawn_blocking(forget).await; // they are reported again then
        }
        Ok(())
    }

    async fn register(&mut self, registration: &Registration) -> Result<(), Trouble> {
        let answer = self.govapi.register(registration).await;
        self.state.registration_ok = Some(answer.is_ok());
        self.heed(answer)?;
        self.state.registered_at = Some((self.clock)());
        self.is_new = false;
        Ok(())
    }

    fn heed(&mut self, answer: Result<Orders, Trouble>) -> Result<(), Trouble> {
        answer?.apply(&mut self.state.directives);
        Ok(())
    }

    fn interval(&self) -> Duration {
        let ordered = self.state.directives.heartbeat_interval_seconds;
        ordered.map_or(self.interval, |seconds| Duration::from_secs(seconds.into()))
    }

    async fn remember(&self) {
        let (home, state) = (self.home.clone(), self.state.clone());
        let written = spawn_blocking(move || state::write(&home, &state)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a check-in is not remembered"
            );
        }
    }

    fn check_in(&self, findings: Findings, status: Status) -> CheckIn {
        let Findings { sidecars, departed, coverage, health, config_drifted } = findings;
        let machine = &self.machine;
        let is_address = |user: &&String| user.contains('@');
        let heads = |of: &[Sidecar], is_over| {
            of.iter().filter_map(|sidecar| head(sidecar, is_over)).collect::<Vec<_>>()
        };
        let modes: Vec<_> = sidecars.iter().chain(&departed).collect();
        CheckIn {
            registration: Registration {
                endpoint_id: machine.endpoint_id.clone(),
                hostname: machine.hostname.clone().unwrap_or_else(|| "unknown".to_owned()),
                employee_email: machine.user_id.as_ref().filter(is_address).cloned(),
                os: machine.os,
                os_version: machine.os_version.clone(),
                enrollment: machine.enrollment.word(),
                status,
                enforcement_mode: enforcement_mode(&modes),
                environment: machine.environment.word(),
                proxy_version: env!("CARGO_PKG_VERSION"),
                fleet_id: machine.fleet_id.clone(),
                agent_ids: each_once(sidecars.iter().map(|sidecar| sidecar.agent_id.clone())),
            },
            checked_in_at: (self.clock)(),
            health,
            quarantined: self.state.directives.quarantined,
            config_drifted,
            servers: Servers::of(&coverage),
            policies: each_once(sidecars.iter().flat_map(|sidecar| sidecar.policies.clone())),
            journals: [heads(&sidecars, false), heads(&departed, true)].concat(),
            credentials: each_once(sidecars.iter().flat_map(|sidecar| sidecar.credentials.clone())),
            decisions: decisions(&sidecars),
            sidecars: sidecars.len(),
        }
    }
}

fn head(sidecar: &Sidecar, is_over: bool) -> Option<JournalHead> {
    let journal = sidecar.journal.as_ref()?;
    Some(JournalHead {
        session_id: sidecar.session_id.clone(),
        agent_id: sidecar.agent_id.clone(),
        is_over,
        records: journal.records,
        head: journal.head.clone(),
    })
}
