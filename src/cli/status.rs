//! `thoth status`: the proof of coverage. Every client and its servers, every sidecar that runs,
//! and what decides.
//!
//! The same facts as `thoth health`, without a judgement: that is for scripts, this is for people.

mod recent;
mod text;

use std::io::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use self::recent::Recent;
use super::fault::Fault;
use super::paint::Paint;
use super::{exit, health};
use crate::config;
use crate::config::variables::Env;
use crate::health::report::{
    Client, Credential, Endpoint, Friction, Managed, Peer, Policy, Report, Running,
};

/// The form of the JSON.
const SCHEMA: u32 = 1;

/// Show every client's servers, governed or not and why, and every running sidecar
///
/// Changes nothing and connects to nobody. For a judgement, `thoth health`; for drift alone,
/// `thoth wrap-config --check`.
///
/// Exit status: 0, whatever there is to tell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth status --json")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All that is told, in the form of `--json`.
#[derive(Serialize)]
struct Proof<'a> {
    schema: u32,
    version: &'a str,
    checked_at: Timestamp,
    endpoint: &'a Endpoint,
    environment: &'a str,
    governed: usize,
    ungoverned: usize,
    clients: &'a [Client],
    sidecars: &'a [Running],
    credentials: &'a [Credential],
    policy: &'a [Policy],
    enforcer: Option<&'a Peer>,
    managed: Option<&'a Managed>,
    friction: &'a Friction,
    /// The journal that was written last; `null` where there is none.
    last_session: Option<Recent>,
}

impl Args {
    /// Looks, and tells.
    ///
    /// # Errors
    ///
    /// Where the answer cannot be written.
    pub(super) fn run(
        self,
        env: &Env,
        paint: Paint,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let report = health::report(env, false);
        let proof = Proof::of(&report, recent::read(&config::home(env)));
        let told = if self.json {
            let written = serde_json::to_writer_pretty(&mut *out, &proof);
            written.map_err(Into::into).and_then(|()| writeln!(out))
        } else {
            text::print(&proof, paint, out)
        };
        told.map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::SUCCESS)
    }
}

// === impl Proof ===

impl<'a> Proof<'a> {
    fn of(report: &'a Report, last_session: Option<Recent>) -> Self {
        Self {
            schema: SCHEMA,
            version: report.version,
            checked_at: report.checked_at,
            endpoint: &report.endpoint,
            environment: report.environment,
            governed: report.governed,
            ungoverned: report.ungoverned,
            clients: &report.clients,
            sidecars: &report.sidecars,
            credentials: &report.credentials,
            policy: &report.policy,
            enforcer: report.enforcer.as_ref(),
            managed: report.managed.as_ref(),
            friction: &report.friction,
            last_session,
        }
    }
}
