//! The enforcer on the wire, as the subcommands need it.

use crate::config::settings::Config;
use crate::enforcer::wire::AskedBy;
use crate::enforcer::{Enforcer, EnforcerError};
use crate::machine::clock;

use super::fault;

/// The configured enforcer, bound to one session with one server; `None` where none is configured.
///
/// # Errors
///
/// Where the configuration cannot be used.
pub(super) fn enforcer(
    config: &Config,
    server: &str,
    session_id: &str,
) -> Result<Option<Enforcer>, EnforcerError> {
    let Some(settings) = &config.enforcer else {
        return Ok(None);
    };
    let Config { environment, mode, step_up_wait, .. } = *config;
    let by = AskedBy { identity: &config.identity, environment, mode, server, session_id };
    Enforcer::new(settings, &config.tls, by, step_up_wait, clock::now).map(Some)
}

/// Whether the live enforcer shows what is pinned; `None` where that is not asked for.
pub(super) async fn pins(
    config: &Config,
    enforcer: Option<&Enforcer>,
) -> Option<Result<(), String>> {
    let enforcer = enforcer.filter(|_| config.preflight.probe_pins)?;
    Some(enforcer.probe().await.map_err(|error| fault::chain(&error)))
}
