//! The enforcer on the wire, as the subcommands need it.

use crate::config::settings::Config;
use crate::enforcer::{Enforcer, EnforcerError};
use crate::machine::clock;

use super::fault;

/// The configured enforcer, bound to one session; `None` where none is configured.
///
/// # Errors
///
/// Where the configuration cannot be used.
pub(super) fn enforcer(config: &Config, session: &str) -> Result<Option<Enforcer>, EnforcerError> {
    let Some(settings) = &config.enforcer else {
        return Ok(None);
    };
    let (tls, identity) = (&config.tls, &config.identity);
    let (environment, mode) = (config.environment, config.mode);
    Enforcer::new(settings, tls, identity, environment, mode, session, clock::now).map(Some)
}

/// Whether the live enforcer shows what is pinned; `None` where that is not asked for.
pub(super) async fn pins(
    config: &Config,
    enforcer: Option<&Enforcer>,
) -> Option<Result<(), String>> {
    let enforcer = enforcer.filter(|_| config.preflight.probe_pins)?;
    Some(enforcer.probe().await.map_err(|error| fault::chain(&error)))
}
