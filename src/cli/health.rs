//! `thoth health`: how this machine stands, for people, scripts and MDMs.
//!
//! Wiring: the facts are gathered here, judged by [`crate::health`], and told. Nothing is written
//! to disk, and without `--probe` nothing is sent.

mod gather;
mod probe;
pub(super) mod text;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use self::gather::Setup;
use super::exit;
use super::fault::Fault;
use super::paint::Paint;
use crate::config::layers::MANAGED;
use crate::config::variables::Env;
use crate::health::{Report, Status, mdm};

/// Tell how this machine stands: governed servers, enforcer, keys, registration
///
/// Takes what is recorded and what the clients' files say; with `--probe`, connects as well.
/// Changes nothing.
///
/// Exit status: 0 healthy, 1 degraded, 2 unhealthy; always 0 with `--jamf` and `--intune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth health --json --probe")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct Args {
    /// Print JSON, as docs/health.schema.json says
    #[arg(long)]
    json: bool,

    /// Print `<result>...</result>` for an extension attribute of Jamf Pro
    #[arg(long, conflicts_with_all = ["json", "intune"])]
    jamf: bool,

    /// Print one line of JSON for custom compliance of Microsoft Intune
    #[arg(long, conflicts_with = "json")]
    intune: bool,

    /// Connect to the enforcer and the GovAPI, for 3 seconds at most; nothing but the handshake is sent
    #[arg(long)]
    probe: bool,
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
        let report = report(env, self.probe);
        let code = self.tell(&report, paint, out).map_err(Fault::of(exit::UNHEALTHY))?;
        Ok(ExitCode::from(code))
    }

    fn tell(&self, report: &Report, paint: Paint, out: &mut impl Write) -> io::Result<u8> {
        if self.jamf {
            writeln!(out, "{}", mdm::jamf(report))?;
            return Ok(exit::OK);
        }
        if self.intune {
            writeln!(out, "{}", mdm::intune(report))?;
            return Ok(exit::OK);
        }
        if self.json {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)?;
        } else {
            text::print(report, paint, out)?;
        }
        Ok(match report.status {
            Status::Healthy => exit::OK,
            Status::Degraded => exit::NO,
            Status::Unhealthy => exit::UNHEALTHY,
        })
    }
}

/// How this machine stands. There is always an answer. Blocking; with `probe`, for up to
/// [`probe::LIMIT`].
pub(super) fn report(env: &Env, probe: bool) -> Report {
    let setup = Setup::read(env, Path::new(MANAGED));
    let probed = if probe { probe::both(&setup) } else { probe::Probed::default() };
    Report::of(&setup.facts(probed))
}
