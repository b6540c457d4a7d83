//! Where friction events go: standard error, files, collectors; each on its own.
//!
//! An event here is opaque: one line of scrubbed JSON with an id ([`Event`]). A sink has a queue and
//! a thread of its own, so that a slow one delays neither the others nor a call; a collector's
//! thread writes to the disk ([`crate::spool`]), and another one sends from there.
//!
//! # Invariants
//!
//! - [`Sinks::offer`] never waits: not for a sink, not for a disk.
//! - Nothing is started, made, read or connected to before the first event.
//! - What is not taken, or taken and lost, is counted ([`Sinks::standings`]).
//! - Every queue is bounded, by count and by bytes; [`Sinks::close`] ends with its deadline.
//! - Nothing here touches a call: whatever is wrong with a sink, telemetry is all that is lost.

mod collector;
mod file;
mod queue;
mod shipper;
mod stderr;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::config::settings::{Friction, SinkPlace, Tls};
use crate::credential::Credential;
use crate::profile::Unsafe;
use crate::spool::{self, Limits, Losses, Spool, Stock};
use crate::tls::TlsError;

pub use self::collector::EXCHANGE;
pub use self::file::Rotation;
pub use self::queue::{MOST_BYTES, MOST_EVENTS};
pub use crate::spool::Event;

use self::file::LogFile;
use self::shipper::Shipper;
use self::stderr::Stderr;
use self::worker::{Spooled, Worker};

/// All sinks of one process. Dropping it gives up on what is still queued; what is spooled stays.
#[derive(Debug)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

#[derive(Debug)]
struct Sink {
    /// What it is called, without anything secret.
    name: String,
    setup: Setup,
    /// Started with the first event; `None` where it could not be.
    works: OnceLock<Option<Works>>,
    /// How many events came although it could not be started.
    unstarted: AtomicU64,
}

/// What it takes to start a sink.
#[derive(Clone, Debug)]
struct Setup {
    place: SinkPlace,
    tenant: String,
    api_key: Option<Credential>,
    tls: Tls,
    home: PathBuf,
    limits: Limits,
    clock: fn() -> Timestamp,
}

/// A sink at work.
#[derive(Debug)]
struct Works {
    worker: Worker,
    /// What sends, where that is not the worker.
    shipper: Option<Shipper>,
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
}

// === impl Sinks ===

impl Sinks {
    /// Every sink that is configured. Starts no thread, touches no file and connects to nobody: each
    /// sink does so with its first event. `home` is thoth's directory.
    ///
    /// What is found wrong here keeps that sink from being made, and no other; what is found wrong
    /// later is told by its [`Standing`], and by the log.
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
            let name = place.to_string();
            if let Err(error) = collector::check(place) {
                errors.push((name, error));
                continue;
            }
            let setup = Setup {
                place: place.clone(),
                tenant: settings.tenant_id.clone(),
                api_key: settings.api_key.clone(),
                tls: tls.clone(),
                home: home.to_owned(),
                limits,
                clock,
            };
            let (works, unstarted) = Default::default();
            sinks.push(Sink { name, setup, works, unstarted });
        }
        (Self { sinks }, errors)
    }

    /// Gives events to every sink, in their order, and never waits. Where a queue is full, its oldest
    /// events go. A sink is woken once for all of them.
    ///
    /// From any thread; needs no runtime.
    pub fn offer(&self, events: &[Event]) {
        for (number, sink) in self.sinks.iter().enumerate() {
            sink.offer(events, number == 0);
        }
    }

    /// Waits until every event offered so far is written by the sinks that are files, or was lost; or
    /// until the deadline. What is waited for is settled by the call, not by the first poll.
    ///
    /// Cancel safe.
    pub fn flushed(&self, deadline: Instant) -> impl Future<Output = ()> + Send + use<> {
        let files = self.sinks.iter().filter(|sink| sink.is_file()).filter_map(Sink::works);
        let written: Vec<_> = files.map(|works| works.worker.queue().written()).collect();
        async move {
            for written in written {
                let _ = timeout_at(deadline, written).await; // late is all it can be
            }
        }
    }

    /// How each sink stands. Looks into the spools' directories: blocking.
    pub fn standings(&self) -> Vec<Standing> {
        self.sinks.iter().map(Sink::standing).collect()
    }

    /// Takes no more events, writes out what is queued and sends what it can, all sinks at once,
    /// until the deadline at the latest. What a collector did not get stays in its spool.
    pub async fn close(self, deadline: Instant) {
        let works = || self.sinks.iter().filter_map(Sink::works);
        for works in works() {
            works.worker.queue().close();
        }
        for works in works() {
            works.worker.ended(deadline).await;
        }
        for shipper in works().filter_map(|works| works.shipper.as_ref()) {
            shipper.ended(deadline).await; // its worker told it, when that had nothing more to write
        }
    }
}

// === impl Sink ===

impl Sink {
    /// The first sink's thread also looks after spools that nobody uses.
    fn offer(&self, events: &[Event], is_first: bool) {
        let works = self.works.get_or_init(|| {
            let started = self.setup.start(is_first);
            let told = started.inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::warn!(sink = self.name, error, "a friction sink has no thread");
            });
            told.ok()
        });
        match works {
            Some(works) => works.worker.queue().push(events),
            None => drop(self.unstarted.fetch_add(events.len() as u64, Ordering::Relaxed)),
        }
    }

    fn works(&self) -> Option<&Works> {
        self.works.get()?.as_ref()
    }

    fn is_file(&self) -> bool {
        matches!(self.setup.place, SinkPlace::File(_))
    }

    fn standing(&self) -> Standing {
        let tally = self.works().map(|works| works.worker.queue().tally()).unwrap_or_default();
        let shipper = self.works().and_then(|works| works.shipper.as_ref());
        Standing {
            name: self.name.clone(),
            written: tally.written,
            dropped: tally.dropped + self.unstarted.load(Ordering::Relaxed),
            collector: self.setup.spool().map(|spool| AtCollector {
                delivered: shipper.map(Shipper::delivered).unwrap_or_default(),
                trouble: shipper.and_then(Shipper::trouble),
                stock: spool.stock(),
                losses: spool.losses(),
            }),
        }
    }
}

// === impl Setup ===

impl Setup {
    fn start(&self, is_first: bool) -> std::io::Result<Works> {
        let (home, limits, clock) = (self.home.clone(), self.limits, self.clock);
        let chore = move || {
            if is_first {
                spool::expire(&home, limits, clock());
            }
        };
        let place = self.place.to_string();
        let (worker, shipper) = match &self.place {
            SinkPlace::Stderr => (Worker::start(place, Stderr, chore)?, None),
            SinkPlace::File(path) => {
                let file = LogFile::new(path.clone(), Rotation::default());
                (Worker::start(place, file, chore)?, None)
            }
            SinkPlace::Http(_) => self.start_collector(chore)?,
            #[cfg(feature = "otlp")]
            SinkPlace::Otlp(_) => self.start_collector(chore)?,
            #[cfg(feature = "s3")]
            SinkPlace::S3(_) => self.start_collector(chore)?,
        };
        Ok(Works { worker, shipper })
    }

    fn start_collector(
        &self,
        chore: impl Fn() + Send + 'static,
    ) -> std::io::Result<(Worker, Option<Shipper>)> {
        let shipper = Shipper::start(self.clone())?;
        let spooled = Spooled::new(self.clone(), shipper.bell());
        let worker = Worker::start(self.place.to_string(), spooled, chore)?;
        Ok((worker, Some(shipper)))
    }

    /// Makes the spool's directories.
    fn open_spool(&self) -> Result<Spool, Unsafe> {
        let name = collector::spool_name(&self.place, &self.tenant).unwrap_or_default();
        Spool::open(&self.home, &name, &self.place.to_string(), self.limits)
    }

    /// The spool, where there is one for this place; whether it was made yet or not.
    fn spool(&self) -> Option<Spool> {
        let name = collector::spool_name(&self.place, &self.tenant)?;
        Some(Spool::at(&self.home, &name, self.limits))
    }
}
