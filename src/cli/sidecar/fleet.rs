//! What a sidecar does beside its session: it says in `~/.thoth/run` that it runs, heeds what the GovAPI has
//! ordered, and does what is done once per machine while it holds the lock on that.
//!
//! One task, owned by the run, which ends and joins it; another one in [`super::tools`] reports
//! lists of tools. All file work is done on the blocking threads: nothing here stands on a line's
//! path.
//!
//! # Invariants
//!
//! - No call waits for anything here, and the session's end for [`FAREWELL`] at most.
//! - Without a GovAPI, nothing is written but this sidecar's own entry; what was ordered before is
//!   still heeded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::findings::Lookout;
use super::friction;
use super::record::Tally;
use super::tools;
use crate::clients::scan::Expected;
use crate::clients::table::Places;
use crate::config;
use crate::config::settings::{self, Config, Tls};
use crate::credential::{Credential, Revocations};
use crate::emitter::Handle;
use crate::endpoint::departed;
use crate::endpoint::identity;
use crate::endpoint::lock;
use crate::endpoint::quarantine::{Quarantine, Watch};
use crate::endpoint::sidecar::{self, Entry, Journal, Sidecar};
use crate::endpoint::state::{self, Directives, State};
use crate::govapi::GovApi;
use crate::govapi::beat::{Findings, Heart, Machine};
use crate::machine::clock;
use crate::upstream::authority::Authority;

/// How often a sidecar looks for new orders, and whether the lock has become free.
const TICK: Duration = Duration::from_secs(2);

/// How long a sidecar runs before it does anything visible: some clients start one only to end it.
const START: Duration = Duration::from_millis(250);

/// The longest a session's end waits for what is said about it.
const FAREWELL: Duration = Duration::from_millis(500);

/// How many lists of tools may wait to be reported.
const LISTS: usize = 16;

/// What goes on beside the session, until it is told to end.
#[derive(Debug)]
pub(super) struct Fleet {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    lists: Option<mpsc::Sender<Vec<u8>>>,
}

/// What the task is given.
#[derive(Debug)]
pub(super) struct Beginning {
    /// What does not change in this sidecar's entry.
    pub(super) sidecar: Sidecar,
    /// What was done so far.
    pub(super) tally: Tally,
    /// Where the journal is, or will be.
    pub(super) journal: PathBuf,
    /// The enforcer's key, where it has one.
    pub(super) api_key: Option<Credential>,
    /// What a server behind a URL is shown, where it is one.
    pub(super) upstream: Option<Authority>,
    /// What is known of the machine.
    pub(super) machine: crate::machine::Machine,
    /// Where its clients keep their files.
    pub(super) places: Places,
    /// What their entries are held against.
    pub(super) expected: Expected,
    /// The orders that hold.
    pub(super) orders: Orders,
    /// The way to its friction, where there is any.
    pub(super) friction: Option<Handle>,
}

/// The orders of the GovAPI, as this sidecar knows them.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) quarantine: Quarantine,
    revocations: Revocations,
    watch: Watch,
}

/// The GovAPI, once somebody needs it: making it reads certificates from disk.
#[derive(Debug)]
pub(super) struct Lazy {
    settings: settings::GovApi,
    tls: Tls,
    made: OnceCell<Option<GovApi>>,
}

#[derive(Debug)]
struct Task {
    begun: Beginning,
    home: PathBuf,
    interval: Duration,
    machine: Machine,
    endpoint: settings::Endpoint,
    lookout: Lookout,
    govapi: Option<Arc<Lazy>>,
    entry: Option<Arc<Entry>>,
    /// What the entry says, and when it says it anew even so.
    written: Option<(Sidecar, Instant)>,
    heart: Option<Heart>,
    /// Whether another sidecar has held the lock since this one began.
    has_waited: bool,
    next_beat: Instant,
}

// === impl Orders ===

impl Orders {
    /// Reads what was ordered before. Blocks for one small file.
    pub(super) fn known(home: &Path, revocations: Revocations) -> Self {
        let mut orders =
            Self { quarantine: Quarantine::default(), revocations, watch: Watch::new(home) };
        if let Some(directives) = look(&mut orders.watch) {
            orders.heed(&directives);
        }
        orders
    }

    fn heed(&self, directives: &Directives) {
        if directives.quarantined && !self.quarantine.is_on() {
            let reason = directives.quarantine_reason.as_deref();
            tracing::warn!(reason, "this machine is quarantined: every call is blocked");
        } else if !directives.quarantined && self.quarantine.is_on() {
            tracing::warn!("the quarantine of this machine is lifted");
        }
        self.quarantine.heed(directives);
        self.revocations.set(directives.revoked_key_ids.clone());
    }
}

/// What was ordered, where that has changed.
fn look(watch: &mut Watch) -> Option<Directives> {
    match watch.look() {
        Ok(changed) => changed.map(|state| state.directives),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what the GovAPI has ordered cannot be read");
            None
        }
    }
}

// === impl Lazy ===

impl Lazy {
    /// `None` where it cannot be made, which was told.
    pub(super) async fn get(&self) -> Option<&GovApi> {
        let made = self.made.get_or_init(|| async {
            let (settings, tls) = (self.settings.clone(), self.tls.clone());
            let made = spawn_blocking(move || GovApi::new(&settings, &tls, clock::now)).await;
            match made {
                Ok(Ok(govapi)) => Some(govapi),
                Ok(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "this machine reports nowhere");
                    None
                }
                Err(_) => None, // the runtime ends
            }
        });
        made.await.as_ref()
    }
}

// === impl Fleet ===

impl Fleet {
    /// Begins; returns at once.
    pub(super) fn begin(config: &Config, begun: Beginning) -> Self {
        let stop = CancellationToken::new();
        let govapi = config.govapi.clone().map(|settings| {
            Arc::new(Lazy { settings, tls: config.tls.clone(), made: OnceCell::new() })
        });
        let mut tasks = Vec::new();
        let mut lists = None;
        if let Some(govapi) = govapi.as_ref().filter(|govapi| govapi.settings.tool_inventory) {
            let (sender, receiver) = mpsc::channel(LISTS);
            lists = Some(sender);
            let agent = begun.sidecar.agent_id.clone();
            let reporting = tools::report(receiver, Arc::clone(govapi), config.home.clone(), agent);
            let stop = stop.clone();
            tasks.push(tokio::spawn(async move {
                stop.run_until_cancelled(reporting).await;
            }));
        }
        let task = Task::new(config, begun, govapi);
        tasks.push(tokio::spawn(task.run(stop.clone())));
        Self { stop, tasks, lists }
    }

    /// Where lists of tools go, where they are reported.
    pub(super) fn lists(&self) -> Option<mpsc::Sender<Vec<u8>>> {
        self.lists.clone()
    }

    /// Ends it all, with a word to the GovAPI where this was the last sidecar.
    pub(super) async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            let abort = task.abort_handle();
            // Only a file system that hangs takes longer; were it to panic, the session is over.
            if timeout(2 * FAREWELL, task).await.is_err() {
                abort.abort();
            }
        }
    }
}

// === impl Task ===

impl Task {
    fn new(config: &Config, begun: Beginning, govapi: Option<Arc<Lazy>>) -> Self {
        let machine = Machine {
            endpoint_id: String::new(), // looked up by whoever holds the lock
            hostname: begun.machine.hostname.clone(),
            os: begun.machine.os,
            os_version: begun.machine.os_version.clone(),
            user_id: config.identity.user_id.clone(),
            enrollment: config.endpoint.enrollment,
            environment: config.environment,
            fleet_id: config.endpoint.fleet_id.clone(),
        };
        let lookout =
            Lookout::new(config, &begun.machine, begun.places.clone(), begun.expected.clone());
        Self {
            lookout,
            begun,
            home: config.home.clone(),
            interval: config.govapi.as_ref().map_or(config::HEARTBEAT, |govapi| govapi.heartbeat),
            machine,
            endpoint: config.endpoint.clone(),
            govapi,
            entry: None,
            written: None,
            heart: None,
            has_waited: false,
            next_beat: Instant::now(),
        }
    }

    async fn run(mut self, stop: CancellationToken) {
        self.live(&stop).await;
        if timeout(FAREWELL, self.leave()).await.is_err() {
            tracing::debug!("the GovAPI was not told in time that this was the last sidecar");
        }
    }

    /// Does what is due, again and again. File work that has begun is finished, so that nothing is
    /// written any more once this has returned; the network is not waited for.
    async fn live(&mut self, stop: &CancellationToken) {
        if stop.run_until_cancelled(sleep(START)).await.is_none() {
            return;
        }
        self.enter().await;
        while !stop.is_cancelled() {
            self.write().await;
            self.heed().await;
            let tick = Instant::now() + TICK.min(self.interval);
            let Some(next) = stop.run_until_cancelled(self.beat()).await else { return };
            let wake = next.map_or(tick, |next| next.min(tick));
            stop.run_until_cancelled(sleep_until(wake)).await;
        }
    }

    async fn enter(&mut self) {
        let (home, session) = (self.home.clone(), self.begun.sidecar.session_id.clone());
        match spawn_blocking(move || Entry::open(&home, &session)).await {
            Ok(Ok(entry)) => self.entry = Some(Arc::new(entry)),
            Ok(Err(error)) => tell(&error),
            Err(_) => {} // the runtime ends
        }
    }

    /// Says how this sidecar is doing, where that has changed; once an interval anyway.
    async fn write(&mut self) {
        let Some(entry) = self.entry.clone() else { return };
        let friction = self.friction().await;
        let (now, sidecar) = (Instant::now(), Sidecar { friction, ..self.sidecar() });
        let is_known = self.written.as_ref().is_some_and(|(written, until)| {
            now < *until
                && Sidecar { updated_at: written.updated_at, ..sidecar.clone() } == *written
        });
        if is_known {
            return;
        }
        self.written = Some((sidecar.clone(), now + self.interval));
        if let Ok(Err(error)) = spawn_blocking(move || entry.write(&sidecar)).await {
            tell(&error);
        }
    }

    async fn friction(&self) -> Option<sidecar::Friction> {
        let handle = self.begun.friction.clone()?;
        spawn_blocking(move || friction::standing(&handle)).await.ok()
    }

    fn sidecar(&self) -> Sidecar {
        let count = self.begun.tally.lock().clone();
        let made = self.govapi.as_ref().and_then(|govapi| govapi.made.get()?.as_ref());
        let mut credentials: Vec<_> = self.begun.api_key.iter().map(Credential::standing).collect();
        credentials.extend(self.begun.upstream.iter().flat_map(Authority::standings));
        for standing in made.map(GovApi::standings).unwrap_or_default() {
            if !credentials.contains(&standing) {
                credentials.push(standing);
            }
        }
        Sidecar {
            updated_at: clock::now(),
            decisions: count.decisions,
            last_decision_at: count.last_decision_at,
            enforcer: count.contact,
            credentials,
            journal: count.head.map(|head| Journal {
                path: self.begun.journal.clone(),
                records: head.seq,
                head: head.seal.to_string(),
            }),
            ..self.begun.sidecar.clone()
        }
    }

    /// Does as it was ordered, where that has changed. Whoever holds the lock wrote it down.
    async fn heed(&mut self) {
        let orders = &mut self.begun.orders;
        let mut watch = std::mem::replace(&mut orders.watch, Watch::new(&self.home));
        let looked = spawn_blocking(move || (look(&mut watch), watch)).await;
        if let Ok((directives, watch)) = looked {
            orders.watch = watch;
            if let Some(directives) = directives {
                orders.heed(&directives);
            }
        }
    }

    /// Checks in where that is this sidecar's to do, and due. When it is due again.
    async fn beat(&mut self) -> Option<Instant> {
        if self.heart.is_none() {
            let heart = self.take_over().await?;
            self.next_beat = Instant::now() + heart.first_wait();
            self.heart = Some(heart);
        }
        if Instant::now() >= self.next_beat {
            let findings = self.findings().await;
            let heart = self.heart.as_mut()?;
            self.next_beat = Instant::now() + heart.beat(findings).await;
            self.begun.orders.heed(&heart.state().directives);
        }
        Some(self.next_beat)
    }

    /// Takes the lock, where it is free and there is a GovAPI.
    async fn take_over(&mut self) -> Option<Heart> {
        let lazy = Arc::clone(self.govapi.as_ref()?);
        let home = self.home.clone();
        let held = match spawn_blocking(move || lock::try_hold(&home)).await.ok()? {
            Ok(Some(held)) => held,
            Ok(None) => {
                self.has_waited = true;
                return None;
            }
            Err(error) => {
                tell(&error);
                return None;
            }
        };
        let govapi = lazy.get().await?.clone();
        let state = self.state().await;
        self.machine.endpoint_id = identity::look_up(
            &self.endpoint,
            self.machine.hostname.as_deref(),
            state.endpoint_id.as_deref(),
        )
        .await;
        let (machine, home) = (self.machine.clone(), &self.home);
        let heart = Heart::new(held, govapi, machine, home, self.interval, state, clock::now);
        Some(if self.has_waited { heart.taking_over() } else { heart })
    }

    /// What the last holder remembered. Where that cannot be read, an order that is known holds.
    async fn state(&self) -> State {
        let home = self.home.clone();
        let known = spawn_blocking(move || state::load(&home)).await;
        if let Ok(Ok(state)) = known {
            return state.unwrap_or_default();
        }
        let quarantine = &self.begun.orders.quarantine;
        let directives = Directives {
            quarantined: quarantine.is_on(),
            quarantine_reason: quarantine.reason(),
            ..Directives::default()
        };
        State { directives, ..State::default() }
    }

    async fn findings(&self) -> Findings {
        let lookout = self.lookout.clone();
        let state = self.heart.as_ref().map(|heart| heart.state().clone()).unwrap_or_default();
        spawn_blocking(move || lookout.look(state)).await.unwrap_or_default()
    }

    /// Leaves the list; whoever leaves it last says so to the GovAPI. Two that end at once: each has
    /// left before it looks, and lets go of the lock before it looks again, so that one of them
    /// finds itself alone and the lock free.
    async fn leave(&mut self) {
        if self.govapi.is_some() {
            self.leave_word().await;
        }
        let was_listed = self.entry.take().is_some();
        if self.govapi.is_none() || !was_listed {
            return;
        }
        if !self.is_alone().await {
            self.heart = None;
            if !self.is_alone().await {
                return;
            }
        }
        if self.heart.is_none() {
            self.heart = self.take_over().await;
        }
        let findings = self.findings().await;
        if let Some(heart) = &mut self.heart {
            heart.farewell(findings).await;
        }
    }

    /// Where its journal ends, for whoever checks in next.
    async fn leave_word(&self) {
        let (home, sidecar) = (self.home.clone(), self.sidecar());
        if sidecar.journal.is_some() {
            let left = spawn_blocking(move || departed::leave(&home, &sidecar)).await;
            if let Ok(Err(error)) = left {
                tell(&error);
            }
        }
    }

    async fn is_alone(&self) -> bool {
        let home = self.home.clone();
        spawn_blocking(move || sidecar::list(&home).is_empty()).await.unwrap_or(false)
    }
}

fn tell(error: &(dyn std::error::Error + 'static)) {
    tracing::debug!(error, "this sidecar keeps to itself");
}
