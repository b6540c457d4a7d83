//! Friction beside a session: what is added to it, and where what happens goes.
//!
//! Some clients start thoth only to end it: before the first happening there is no thread, no
//! directory, no certificate read and no pattern compiled.
//!
//! # Invariants
//!
//! - No call waits for anything here, and the session's end for [`DRAIN`] at most.
//! - Whatever is wrong here is a warning: telemetry is all that is lost.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::fault::chain;
use crate::config::EVENTS;
use crate::config::settings::{self, Config, SinkPlace, Tls};
use crate::emitter::{Emitter, Handle, Means};
use crate::friction::event::{Origin, Stream};
use crate::friction::inject::Live;
use crate::friction::scrub::Scrubber;
use crate::friction::tale::Tale;
use crate::machine::clock;
use crate::profile::{self, Unsafe};
use crate::sink::Sinks;
use crate::spool::Limits;

/// The longest a session's end waits for its events.
pub(super) const DRAIN: Duration = Duration::from_secs(3);

/// The friction of one session.
#[derive(Debug)]
pub(super) struct Friction {
    emitter: Emitter,
}

/// What the emitter is made of, once there is something to tell.
struct Beginning {
    settings: settings::Friction,
    tls: Tls,
    home: PathBuf,
    session: String,
}

// === impl Friction ===

impl Friction {
    /// Prepares the friction of a session; touches nothing. `None` where it is off.
    pub(super) fn of(config: &Config, session: &str) -> Option<Self> {
        let beginning = Beginning {
            settings: config.friction.clone()?,
            tls: config.tls.clone(),
            home: config.home.clone(),
            session: session.to_owned(),
        };
        Some(Self { emitter: Emitter::new(clock::now, move || beginning.means()) })
    }

    /// Where happenings are told.
    pub(super) fn handle(&self) -> Handle {
        self.emitter.handle()
    }

    /// Tells what is left and closes the sinks, until the deadline at the latest.
    pub(super) async fn end(self, deadline: Instant) {
        self.emitter.close(deadline).await;
    }
}

/// What is added to a session, where anything is.
pub(super) fn live(config: &Config) -> Option<Live> {
    let settings = config.friction.as_ref()?;
    let file = file(settings).map(|path| path.display().to_string());
    Some(Live::new(settings.additions.clone()?, file))
}

/// The first file that events go to.
fn file(settings: &settings::Friction) -> Option<&Path> {
    settings.sinks.iter().find_map(|sink| match sink {
        SinkPlace::File(path) => Some(path.as_path()),
        SinkPlace::Stderr | SinkPlace::Http(_) => None,
    })
}

// === impl Beginning ===

impl Beginning {
    /// Blocks, for directories and certificates.
    fn means(self) -> Means<crate::gate::happening::Happening> {
        let sinks = self.sinks();
        let settings = self.settings;
        let origin = Origin {
            session: self.session,
            session_minted: true,
            tenant: settings.tenant_id,
            vendor: settings.vendor_id,
            consent: settings.consent_token,
            software: concat!("thoth/", env!("CARGO_PKG_VERSION")).to_owned(),
            principal: settings.principal,
        };
        let tale = Tale::new(Stream::new(settings.wire, origin), settings.additions);
        Means::new(tale, Scrubber::new(settings.scrub), sinks)
    }

    /// One that cannot be opened does not keep the others from being.
    fn sinks(&self) -> Sinks {
        if let Err(error) = self.make_room() {
            tracing::warn!("the file of friction events has no safe place: {}", chain(&error));
        }
        let Self { settings, tls, home, .. } = self;
        let (sinks, errors) = Sinks::open(settings, tls, home, Limits::default(), clock::now);
        for (place, error) in errors {
            tracing::warn!("no friction events go to {place}: {}", chain(&error));
        }
        sinks
    }

    /// Makes the directory that events go to where no place is named: it is thoth's to make.
    fn make_room(&self) -> Result<(), Unsafe> {
        let own = self.home.join(EVENTS);
        match (file(&self.settings), own.parent()) {
            (Some(file), Some(directory)) if file == own => {
                profile::open(&self.home)?;
                profile::open_inside(directory)
            }
            _ => Ok(()),
        }
    }
}
