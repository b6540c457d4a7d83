//! The reference enforcer: decides for many sidecars, keeps holds until people have answered, and
//! shows both.
//!
//! ```text
//!  listen ─TLS─▶ router ─▶ caller (key → tenant) ─┬▶ decide ─▶ rules ─▶ verdict ─▶ approvals ─┐
//!                                                 ├▶ fleet, events, keys                      ├▶ store
//!                                                 └▶ console (session) ─▶ approvals ──────────┘    │
//!                                                        ▲───────── bus ◀─── NOTIFY ◀──────────────┘
//! ```
//!
//! # Invariants
//!
//! - Every row belongs to one tenant, and is read and written through a [`Tenant`] that came from a
//!   key or a login, never from a request's words.
//! - What was acknowledged (a hold, an answer to it, a key) is in the store, on disk.
//! - A decision needs the rules and the caller; where either is missing there is none, and the answer
//!   is an error, which the sidecar takes for a block.
//! - Every request is bounded in size and time, every queue in length.

pub mod approvals;
pub mod body;
pub mod bus;
pub mod caller;
pub mod console;
pub mod decide;
pub mod decisions;
pub mod events;
pub mod fault;
pub mod fleet;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod openapi;
pub mod outset;
pub mod rulebook;
pub mod settings;
pub mod store;
pub mod tenant;
pub mod tools;

use std::sync::Arc;

use axum::Router;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::fault::Fault;
pub use self::tenant::Tenant;

use self::bus::Bus;
use self::caller::Callers;
use self::events::Forward;
use self::fleet::beats::Beats;
use self::limits::Limits;
use self::metrics::Metrics;
use self::rulebook::Rulebook;
use self::settings::Settings;
use self::store::Store;

/// What every handler may use. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// Everything that outlives the process.
    pub store: Store,
    /// The policies in force.
    pub rules: Rulebook,
    /// Tells what has changed to whoever looks on, in this process and in other replicas.
    pub bus: Bus,
    /// Whose keys are known.
    pub callers: Callers,
    /// How often who may ask.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// The rules as they are bound to who asks.
    pub judges: decide::Judges,
    /// Who waits for a person's answer.
    pub polls: decide::Polls,
    /// Takes decisions for people to look at.
    pub decisions: decisions::Recorder,
    /// Check-ins on their way to the store.
    pub beats: Beats,
    /// Where events go on to.
    pub forward: Forward,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// Where people reach the console, without a trailing slash: `https://127.0.0.1:8443`.
    pub public_url: String,
    /// What else the command line says.
    pub settings: Settings,
    /// Told when the enforcer is to end: whoever waits for long stops waiting.
    pub stop: CancellationToken,
    /// What runs beside requests. Each task ends soon after [`Parts::stop`] is told; the enforcer
    /// waits for them before it ends.
    pub tasks: TaskTracker,
}

// === impl Parts ===

impl Parts {
    /// A store and rules, and everything else as it is where nothing is said: no limits on how
    /// often, a bus of this process alone, nothing recorded and nothing sent on.
    pub fn of(store: Store, rules: Rulebook) -> Self {
        let bus = Bus::default();
        Self {
            store,
            rules,
            callers: Callers::new(&bus),
            bus,
            limits: Limits::off(),
            metrics: Metrics::default(),
            judges: decide::Judges::default(),
            polls: decide::Polls::default(),
            decisions: decisions::Recorder::default(),
            beats: Beats::default(),
            forward: Forward::default(),
            clock: crate::machine::clock::now,
            public_url: "https://127.0.0.1:8443".to_owned(),
            settings: Settings::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

// === impl App ===

impl App {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Now, by the wall clock.
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// All routes. Bounds on size, time and frequency are put around it by [`listen`].
pub fn router(app: App) -> Router {
    Router::new()
        .merge(approvals::routes())
        .merge(console::routes())
        .merge(decide::routes())
        .merge(events::routes())
        .merge(fleet::routes())
        .merge(keys::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
        .merge(tools::routes())
        .fallback(|| async { Fault::not_found("there is nothing at this address") })
        .with_state(app)
}
