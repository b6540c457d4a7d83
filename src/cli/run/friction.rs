//! Friction beside a session: what happens is told as events, and goes to the sinks.
//!
//! Lazy, since some clients start thoth only to end it: before the first happening there is no
//! thread, no directory, no certificate read and no pattern compiled.
//!
//! # Invariants
//!
//! - No call waits for anything here, and the session's end for [`DRAIN`] at most.
//! - Whatever is wrong here is a warning: telemetry is all that is lost.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::fault::chain;
use crate::config::settings::{self, Config, SinkPlace, Tls};
use crate::emitter::{Emitter, Handle};
use crate::friction::event::{Origin, Stream};
use crate::friction::inject::Live;
use crate::friction::scrub::Scrubber;
use crate::friction::tale::Tale;
use crate::gate::happening::Happening;
use crate::machine::clock;
use crate::profile::{self, Unsafe};
use crate::sink::Sinks;
use crate::spool::Limits;

/// The longest a session's end waits for its events.
const DRAIN: Duration = Duration::from_secs(3);

/// The friction of one session. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Friction(Arc<Mutex<State>>);

/// Where happenings are told. The first one starts the emitter.
#[derive(Debug)]
pub(super) struct Teller {
    friction: Friction,
    way: Way,
}

/// The way to the emitter, so that telling takes no lock once there is one.
#[derive(Debug)]
enum Way {
    Unknown,
    To(Handle),
    /// It could not be started, which was told.
    Nowhere,
}

enum State {
    /// Nothing happened yet.
    Waiting(Box<Beginning>),
    Telling(Emitter),
    /// There is nobody to tell, or the session is over.
    Over,
}

/// What the emitter is made of.
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
        let settings = config.friction.clone()?;
        let (tls, home) = (config.tls.clone(), config.home.clone());
        let beginning = Beginning { settings, tls, home, session: session.to_owned() };
        Some(Self(Arc::new(Mutex::new(State::Waiting(Box::new(beginning))))))
    }

    /// Where happenings are told.
    pub(super) fn teller(&self) -> Teller {
        Teller { friction: self.clone(), way: Way::Unknown }
    }

    /// Tells what is left and closes the sinks, within [`DRAIN`].
    pub(super) async fn end(&self) {
        let state = std::mem::replace(&mut *self.lock(), State::Over);
        if let State::Telling(emitter) = state {
            emitter.close(Instant::now() + DRAIN).await;
        }
    }

    /// The way to the emitter, which is started where it is not yet.
    fn handle(&self) -> Option<Handle> {
        let mut state = self.lock();
        *state = match std::mem::replace(&mut *state, State::Over) {
            State::Waiting(beginning) => match beginning.start() {
                Ok(emitter) => State::Telling(emitter),
                Err(error) => {
                    tracing::warn!("there are no friction events: {}", chain(&error));
                    State::Over
                }
            },
            other @ (State::Telling(_) | State::Over) => other,
        };
        match &*state {
            State::Telling(emitter) => Some(emitter.handle()),
            State::Waiting(_) | State::Over => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is added to a session, where anything is.
pub(super) fn live(settings: &settings::Friction) -> Option<Live> {
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

// === impl Teller ===

impl Teller {
    /// Tells what happened. Never waits, but for the first one, which starts a thread.
    pub(super) fn happened(&mut self, happening: Happening) {
        if let Way::Unknown = self.way {
            self.way = self.friction.handle().map_or(Way::Nowhere, Way::To);
        }
        if let Way::To(handle) = &self.way {
            handle.happened(happening);
        }
    }
}

// === impl Beginning ===

impl Beginning {
    fn start(self) -> std::io::Result<Emitter> {
        let Self { settings, tls, home, session } = self;
        let origin = Origin {
            session,
            session_minted: true,
            tenant: settings.tenant_id.clone(),
            vendor: settings.vendor_id.clone(),
            consent: settings.consent_token.clone(),
            software: concat!("thoth/", env!("CARGO_PKG_VERSION")).to_owned(),
            principal: settings.principal.clone(),
        };
        let stream = Stream::new(settings.wire, origin);
        let tale = Tale::new(stream, settings.additions.clone());
        let scrubber = Scrubber::new(settings.scrub.clone());
        Emitter::start(tale, scrubber, sinks(&settings, &tls, &home), clock::now)
    }
}

/// Opens the sinks. One that cannot be opened does not keep the others from being.
fn sinks(settings: &settings::Friction, tls: &Tls, home: &Path) -> Sinks {
    if let Err(error) = make_room(settings, home) {
        tracing::warn!("the file of friction events has no safe place: {}", chain(&error));
    }
    let (sinks, errors) = Sinks::open(settings, tls, home, Limits::default(), clock::now);
    for (place, error) in errors {
        tracing::warn!("no friction events go to {place}: {}", chain(&error));
    }
    sinks
}

/// Makes the directory that events go to where no place is named: it is thoth's to make.
fn make_room(settings: &settings::Friction, home: &Path) -> Result<(), Unsafe> {
    let own = home.join(crate::config::EVENTS);
    match (file(settings), own.parent()) {
        (Some(file), Some(directory)) if file == own => {
            profile::open(home)?;
            profile::open_inside(directory)
        }
        _ => Ok(()),
    }
}

// === impl State ===

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting",
            Self::Telling(_) => "Telling",
            Self::Over => "Over",
        })
    }
}
