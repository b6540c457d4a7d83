//! Sends events on to the company's own collector: OTLP logs over HTTP.
//!
//! It is a friction sink like those of a sidecar ([`crate::sink`]): a bounded queue, a spool on disk, a
//! thread of its own. It is offered what is in the store already, and nobody waits for it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio::time::Instant;

use super::intake::Taken;
use crate::config::ambient::Ambient;
use crate::config::settings::Tls;
use crate::sink::{Sinks, Standing};

/// Where events go on to: nowhere, or to one collector.
#[derive(Debug, Default)]
pub struct Forward(Mutex<Option<Sinks>>);

/// Why events cannot be sent on.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// This program cannot.
    #[error("this build of thoth cannot send events on: use one with --features otlp")]
    NotBuilt,
    /// The collector cannot be asked as configured.
    #[error("events cannot be sent on")]
    Sink(#[source] crate::sink::SinkError),
}

// === impl Forward ===

impl Forward {
    /// Sends on to where logs are posted: `https://collector.example/v1/logs`, or `http` to a loopback
    /// address. `ambient` is what headers are read from (`OTEL_EXPORTER_OTLP_HEADERS`); `home` is
    /// where the spool is made, a directory that is nobody else's.
    ///
    /// # Errors
    ///
    /// [`ForwardError`]
    #[cfg(feature = "otlp")]
    pub fn open(
        url: &str,
        ambient: Ambient,
        tls: &Tls,
        home: &Path,
        clock: fn() -> Timestamp,
    ) -> Result<Self, ForwardError> {
        use crate::config::settings::{Friction, OtlpPlace, SinkPlace};
        use crate::friction::event::Wire;
        use crate::spool::Limits;

        let friction = Friction {
            sinks: vec![SinkPlace::Otlp(OtlpPlace { url: url.to_owned(), ambient })],
            tenant_id: "enforcer".to_owned(), // whose spool it is; each event says whose it is itself
            vendor_id: String::new(),
            consent_token: String::new(),
            api_key: None,
            wire: Wire::default(),
            principal: None,
            scrub: Default::default(),
            additions: None,
        };
        let (sinks, wrong) = Sinks::open(&friction, tls, home, Limits::default(), clock);
        match wrong.into_iter().next() {
            Some((_, error)) => Err(ForwardError::Sink(error)),
            None => Ok(Self(Mutex::new(Some(sinks)))),
        }
    }

    /// See the other one.
    ///
    /// # Errors
    ///
    /// [`ForwardError::NotBuilt`]
    #[cfg(not(feature = "otlp"))]
    pub fn open(
        _url: &str,
        _ambient: Ambient,
        _tls: &Tls,
        _home: &Path,
        _clock: fn() -> Timestamp,
    ) -> Result<Self, ForwardError> {
        Err(ForwardError::NotBuilt)
    }

    /// Gives events to the collector's queue, and never waits.
    pub(super) fn offer<'a>(&self, events: impl IntoIterator<Item = &'a Taken>) {
        if let Some(sinks) = &*self.sinks() {
            let events = events.into_iter().filter_map(|taken| {
                crate::sink::Event::new(taken.uuid(), taken.sent_on().into()).ok()
            });
            sinks.offer(&events.collect::<Vec<_>>());
        }
    }

    /// How it stands; `None` where events are not sent on. Looks into the spool's directory: blocking.
    pub fn standing(&self) -> Option<Standing> {
        self.sinks().as_ref()?.standings().into_iter().next()
    }

    /// Takes no more events and sends what it can, until the deadline. What the collector did not get
    /// stays in the spool.
    pub async fn close(&self, deadline: Instant) {
        let sinks = self.sinks().take();
        if let Some(sinks) = sinks {
            sinks.close(deadline).await;
        }
    }

    fn sinks(&self) -> std::sync::MutexGuard<'_, Option<Sinks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
