//! Where friction events go: standard error, files, collectors; each on its own.
//!
//! An event here is opaque: one line of scrubbed JSON with an id ([`Event`]). A sink has a queue and
//! a thread of its own, so that a slow one delays neither the others nor a call; a collector's
//! thread writes to the disk ([`crate::spool`]), and a task sends from there.
//!
//! # Invariants
//!
//! - [`Sinks::offer`] never waits: not for a sink, not for a disk.
//! - What is not taken, or taken and lost, is counted ([`Sinks::standings`]).
//! - Every queue is bounded, by count and by bytes; [`Sinks::close`] ends with its deadline.
//! - Nothing here touches a call: whatever is wrong with a sink, telemetry is all that is lost.

mod collector;
mod file;
mod queue;
mod shipper;
mod stderr;
mod worker;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::settings::{Friction, SinkPlace, Tls};
use crate::spool::{Limits, Losses, Spool, Stock};
use crate::tls::TlsError;

pub use self::collector::EXCHANGE;
pub use self::file::Rotation;
pub use self::queue::{MOST_BYTES, MOST_EVENTS};
pub use crate::spool::Event;

use self::collector::Collector;
use self::file::LogFile;
use self::shipper::Shipper;
use self::stderr::Stderr;
use self::worker::Worker;

/// All sinks of one process. Dropping it gives up on what is still queued; what is spooled stays.
#[derive(Debug)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

#[derive(Debug)]
struct Sink {
    /// What it is called, without anything secret.
    name: String,
    worker: Worker,
    /// What sends, where that is not the worker.
    shipper: Option<(Shipper, Spool)>,
}

/// How one sink stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// What it is called: `stderr:`, `file:///path`, a collector's base address.
    pub name: String,
    /// How many events it has written: to its file, or to its spool.
    pub written: u64,
    /// How many events it could not take: the queue was full, or writing failed.
    pub dropped: u64,
    /// A collector's part.
    pub collector: Option<AtCollector>,
}

/// How things stand between a spool and its collector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AtCollector {
    /// How many events this process has delivered, those of others among them.
    pub delivered: u64,
    /// Why the last attempt failed, where it did: one sentence without a secret.
    pub trouble: Option<String>,
    /// What lies in the spool.
    pub stock: Stock,
    /// What the spool has lost, by all processes so far.
    pub losses: Losses,
}

/// Why a sink cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The collector cannot be asked as configured.
    #[error("the collector cannot be reached as configured")]
    Address(#[source] crate::https::BadAddress),
    /// The roots cannot be loaded.
    #[error("cannot set up TLS to the collector")]
    Tls(#[source] TlsError),
    /// There is no place for the spool.
    #[error("the collector's spool has no safe place")]
    Spool(#[source] crate::profile::Unsafe),
    /// There is no thread to be had.
    #[error("a sink cannot start its thread")]
    Thread(#[source] std::io::Error),
}

// === impl Sinks ===

impl Sinks {
    /// Starts every sink that is configured. Touches no file but the spools' directories, and
    /// connects to nobody before there is an event to send; events that others have spooled count.
    /// Needs a runtime. `home` is thoth's directory.
    ///
    /// One sink that cannot be made does not keep the others from being made.
    pub fn open(
        settings: &Friction,
        tls: &Tls,
        home: &Path,
        limits: Limits,
        clock: fn() -> Timestamp,
    ) -> (Self, Vec<(String, SinkError)>) {
        let mut errors = Vec::new();
        let mut sinks = Vec::new();
        for place in &settings.sinks {
            match Sink::open(place, settings, tls, home, limits, clock) {
                Ok(sink) => sinks.push(sink),
                Err(error) => errors.push((place.to_string(), error)),
            }
        }
        (Self { sinks }, errors)
    }

    /// Gives an event to every sink, and never waits. Where a queue is full, its oldest event goes.
    pub fn offer(&self, event: &Event) {
        for sink in &self.sinks {
            sink.worker.queue().push(event.clone());
        }
    }

    /// How each sink stands. Looks into the spools' directories: blocking.
    pub fn standings(&self) -> Vec<Standing> {
        self.sinks.iter().map(Sink::standing).collect()
    }

    /// Takes no more events, writes out what is queued and sends what it can, all sinks at once,
    /// until the deadline at the latest. What a collector did not get stays in its spool.
    pub async fn close(self, deadline: Instant) {
        for sink in &self.sinks {
            sink.worker.queue().close();
        }
        let closing = self.sinks.into_iter().map(|sink| tokio::spawn(sink.close(deadline)));
        for closing in closing.collect::<Vec<_>>() {
            let _ = closing.await; // a panic there costs telemetry only
        }
    }
}

// === impl Sink ===

impl Sink {
    fn open(
        place: &SinkPlace,
        settings: &Friction,
        tls: &Tls,
        home: &Path,
        limits: Limits,
        clock: fn() -> Timestamp,
    ) -> Result<Self, SinkError> {
        let name = place.to_string();
        let (worker, shipper) = match place {
            SinkPlace::Stderr => (Worker::start(Stderr, || ()), None),
            SinkPlace::File(path) => {
                (Worker::start(LogFile::new(path.clone(), Rotation::default()), || ()), None)
            }
            SinkPlace::Http(url) => {
                let collector = Collector::new(url, settings.api_key.clone(), tls, clock)?;
                let spool = collector.spool_name(&settings.tenant_id);
                let spool = Spool::open(home, &spool, &name, limits).map_err(SinkError::Spool)?;
                let shipper = Shipper::start(spool.clone(), Arc::new(collector), clock);
                let medium = worker::Spooled::new(spool.clone(), clock);
                (Worker::start(medium, shipper.bell()), Some((shipper, spool)))
            }
        };
        Ok(Self { name, worker: worker.map_err(SinkError::Thread)?, shipper })
    }

    fn standing(&self) -> Standing {
        let tally = self.worker.queue().tally();
        Standing {
            name: self.name.clone(),
            written: tally.written,
            dropped: tally.dropped,
            collector: self.shipper.as_ref().map(|(shipper, spool)| AtCollector {
                delivered: shipper.delivered(),
                trouble: shipper.trouble(),
                stock: spool.stock(),
                losses: spool.losses(),
            }),
        }
    }

    async fn close(self, deadline: Instant) {
        self.worker.join(deadline).await;
        if let Some((shipper, _)) = self.shipper {
            shipper.close(deadline).await;
        }
    }
}
