//! Friction beside a session: what is added to it, and where what happens goes.
//!
//! Some clients start thoth only to end it: before the first happening there is no thread, no
//! directory, no certificate read and no pattern compiled.
//!
//! # Invariants
//!
//! - No call waits for anything here, and the session's end for [`DRAIN`](super::DRAIN) at most.
//! - Whatever is wrong here is a warning: telemetry is all that is lost.

use std::path::{Path, PathBuf};

use tokio::time::Instant;

use crate::config::settings::{self, Config, SinkPlace, Tls};
use crate::emitter::{Emitter, Handle, Means, Telling, open_sinks};
use crate::endpoint::sidecar;
use crate::friction::event::{Origin, Stream};
use crate::friction::inject::Live;
use crate::friction::scrub::Scrubber;
use crate::friction::tale::Tale;
use crate::gate::happening::Happening;
use crate::machine::clock;
use crate::sink::Standing;

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

/// How it stands, for whoever asks about this sidecar. Blocking.
pub(super) fn standing(handle: &Handle) -> sidecar::Friction {
    let Telling { events, dropped, sinks, .. } = handle.telling();
    let sink = |Standing { name, written, dropped, collector }: Standing| {
        let (delivered, trouble) =
            collector.map_or((None, None), |it| (Some(it.delivered), it.trouble));
        sidecar::Sink { place: name, written, dropped, delivered, trouble }
    };
    sidecar::Friction { events, dropped, sinks: sinks.into_iter().map(sink).collect() }
}

/// The first file that events go to.
pub(super) fn file(settings: &settings::Friction) -> Option<&Path> {
    settings
        .sinks
        .iter()
        .find_map(|sink| if let SinkPlace::File(path) = sink { Some(path.as_path()) } else { None })
}

// === impl Beginning ===

impl Beginning {
    /// Blocks, for directories and certificates.
    fn means(self) -> Means<Happening> {
        let sinks = open_sinks(&self.settings, &self.tls, &self.home);
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
}
