//! How friction stands on this machine: what is configured, and what lies in the spools.

use std::path::Path;

use crate::config::settings::{Config, Friction};
use crate::health::facts;
use crate::health::friction::{Lost, Spool};
use crate::spool::{self, Losses, Stock};

/// What is configured.
pub(super) fn configured(config: &Config) -> facts::Friction {
    let friction = config.friction.as_ref();
    let mode = match friction.map(|friction| &friction.additions) {
        None => "off",
        Some(None) => "events",
        Some(Some(_)) => "on",
    };
    let places = |friction: &Friction| friction.sinks.iter().map(ToString::to_string).collect();
    facts::Friction { mode, sinks: friction.map(places).unwrap_or_default(), spools: Vec::new() }
}

/// What lies in the spools of a home, also of collectors that are no longer configured. Blocking.
pub(super) fn spools(home: &Path) -> Vec<Spool> {
    let spools = spool::all(home).map(|(place, Stock { bytes, .. }, losses)| {
        let Losses { evicted, refused, damaged } = losses;
        Spool { place, waiting_bytes: bytes, lost: Lost { evicted, refused, damaged } }
    });
    spools.collect()
}
