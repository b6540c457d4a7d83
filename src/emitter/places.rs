//! Opens the places that events go to, and makes room for the one that is thoth's own.

use std::path::Path;

use crate::config::EVENTS;
use crate::config::settings::{Friction, SinkPlace, Tls};
use crate::machine::clock;
use crate::profile::{self, Unsafe};
use crate::sink::Sinks;
use crate::spool::Limits;

/// Opens every sink. What is wrong with one is a warning, and keeps no other from
/// being opened. Blocks, for directories and certificates.
pub fn open(settings: &Friction, tls: &Tls, home: &Path) -> Sinks {
    if let Err(error) = make_room(settings, home) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the file of friction events has no safe place"
        );
    }
    let (sinks, errors) = Sinks::open(settings, tls, home, Limits::default(), clock::now);
    for (place, error) in errors {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "no friction events go to {place}"
        );
    }
    sinks
}

/// Makes the directory that events go to where no place is named: it is thoth's to make.
fn make_room(settings: &Friction, home: &Path) -> Result<(), Unsafe> {
    let own = home.join(EVENTS);
    let is_used = settings.sinks.iter().any(|place| *place == SinkPlace::File(own.clone()));
    match own.parent() {
        Some(directory) if is_used => {
            profile::open(home)?;
            profile::open_inside(directory)
        }
        _ => Ok(()),
    }
}
