//! A credential that may change while thoth runs: the API key, the GovAPI's token and key, what is
//! shown to a server behind a URL.
//!
//! Each exchange asks [`Credential::current`] for the secret as it is then. Where the other side
//! rejects that one, [`Credential::after_rejection`] gives the next, waiting for whoever is
//! writing it: many rotators revoke before they write. A file is read at every use, so that
//! nothing has to watch it; what a command prints, or a keychain holds, is kept until it ages or is
//! rejected. Most credentials are one [`ApiKey`]; [`SecretHeaders`](crate::secret::SecretHeaders)
//! rotate the same way.
//!
//! # Invariants
//!
//! - No secret is ever replaced by nothing: what was good last stays good while its source is
//!   missing, half written, open to others or broken, and is said to be stale.
//! - What was rejected is offered again only while there is nothing else, and waited for once.
//! - A revoked secret is not given to anybody.
//! - A command runs once at a time, whoever asks, at most once a second; it ends with its time or
//!   with the last clone. A keychain is asked as rarely.
//! - Nothing here prints a secret, or anything that stood beside one.

mod command;
mod content;
mod disk;
mod file;
mod flaw;
mod headers;
mod keychain;
mod memory;
mod revocation;
mod words;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;

pub use self::command::Invocation;
pub use self::content::{Content, Secret};
pub use self::file::is_secret_place;
pub use self::flaw::Flaw;
pub use self::headers::is_reserved;
pub use self::keychain::{Entry, NotAnEntry};
pub use self::revocation::Revocations;
pub use self::words::NotWords;

use self::disk::Disk;
use self::file::Keep;
pub(crate) use self::memory::{Age, Moment};
use self::memory::{Change, Memory};
use crate::secret::{ApiKey, fingerprint_of};

/// No credential's file is longer, in bytes.
pub const MAX_FILE: u64 = 16 * 1024;
/// No command prints more, in bytes.
pub const MAX_OUTPUT: u64 = 64 * 1024;
/// How long whoever replaces a secret is waited for, where nothing else is said.
pub const GRACE: Duration = Duration::from_secs(2);
/// How often a source is looked at meanwhile.
const POLL: Duration = Duration::from_millis(50);
/// The shortest time from the end of a command to its next start.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a credential comes from. Of the settings; holds no secret but a given value.
#[derive(Clone, Debug)]
pub enum Source<S = ApiKey> {
    /// It was given as it is, in a flag or a variable: it cannot change.
    Value {
        /// The secret.
        secret: S,
        /// The flag or variable.
        from: &'static str,
        /// Its name at the issuer, where that was given (`THOTH_API_KEY_ID`).
        key_id: Option<String>,
    },
    /// A file, raw or JSON, read at every use.
    File(PathBuf),
    /// A program that prints it, without a shell.
    Command(Invocation),
    /// An entry of the system's keychain.
    Keychain(Entry),
}

/// One credential. Clones share what was loaded.
#[derive(Clone, Debug)]
pub struct Credential<S: Secret = ApiKey> {
    shared: Arc<Shared<S>>,
    /// The run of a command that is under way; ends with the last clone.
    run: Arc<Mutex<Option<AbortOnDropHandle<()>>>>,
    /// Its name at the issuer, where its source says none.
    key_id: Option<String>,
    revocations: Revocations,
    /// How long whoever replaces it is waited for.
    grace: Duration,
}

#[derive(Debug)]
struct Shared<S: Secret> {
    name: &'static str,
    supply: Supply,
    clock: fn() -> Timestamp,
    memory: Mutex<Memory<S>>,
    runs: watch::Sender<Runs>,
}

/// The source at work.
#[derive(Debug)]
enum Supply {
    Value(&'static str),
    File(Disk),
    Command(Invocation),
    Keychain(Entry),
}

/// How often a command has run, or a keychain was asked.
#[derive(Clone, Copy, Debug, Default)]
struct Runs {
    is_under_way: bool,
    last_end: Option<Instant>,
}

/// The secret as it is at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot<S = ApiKey> {
    /// The secret.
    pub secret: S,
    /// Counts up with every change.
    pub generation: u64,
    /// Its name at the issuer, where that is known.
    pub key_id: Option<String>,
}

/// Why there is no secret to send.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoCredential {
    /// There never was one, for this reason.
    #[error("there is none yet: {0}")]
    Missing(Flaw),
    /// The one there is may not be used.
    #[error("it is on a list of revoked ones{}", id(key_id.as_deref()))]
    Revoked {
        /// Its name at the issuer.
        key_id: Option<String>,
    },
}

/// How a credential stands, for people and machines. Holds no secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// Which credential: `api_key`, `govapi_bearer_token`, `govapi_api_key`, `upstream_token`,
    /// `upstream_headers`.
    pub name: String,
    /// Where it comes from: a variable's or flag's name, `file`, `command`, `keychain`.
    pub source: String,
    /// The start of its SHA-256.
    pub fingerprint: Option<String>,
    /// Its name at the issuer.
    pub key_id: Option<String>,
    /// Counts up with every change; 0 where there never was one.
    pub generation: u64,
    /// When it was last read with success.
    pub loaded_at: Option<Timestamp>,
    /// When it ends, where its source says so.
    pub expires_at: Option<Timestamp>,
    /// How it is.
    pub state: State,
}

/// How a credential is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was read, and nobody has rejected it.
    Ok,
    /// Its source cannot be read now; the last secret is used.
    Stale,
    /// The other side has rejected it, and there is no newer one.
    Rejected,
    /// Its name is on a list of revoked ones: it is not used.
    Revoked,
    /// There was never one.
    Missing,
}

// === impl Source ===

impl<S: Secret> Source<S> {
    /// What was read once and cannot be read again, such as a pipe: the secret alone, or JSON.
    ///
    /// # Errors
    ///
    /// Why there is no secret in it.
    pub fn given(bytes: &[u8], from: &'static str) -> Result<Self, Flaw> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(Flaw::TooLong);
        }
        let Content { secret, key_id, .. } = S::parse(bytes)?;
        Ok(Self::Value { secret, from, key_id })
    }
}

// === impl Credential ===

impl<S: Secret> Credential<S> {
    /// A credential by its name in reports: `api_key`. Reads nothing yet.
    pub fn new(name: &'static str, source: Source<S>, clock: fn() -> Timestamp) -> Self {
        let mut memory = Memory::default();
        let supply = match source {
            Source::Value { secret, from, key_id } => {
                let content = Content { secret, key_id, expires_at: None };
                memory.take(Ok(content), Moment { now: Instant::now(), wall: clock() });
                Supply::Value(from)
            }
            Source::File(path) => Supply::File(Disk::new(path, MAX_FILE, Keep::Secret)),
            Source::Command(invocation) => Supply::Command(invocation),
            Source::Keychain(entry) => Supply::Keychain(entry),
        };
        let (memory, runs) = (Mutex::new(memory), watch::Sender::default());
        Self {
            shared: Arc::new(Shared { name, supply, clock, memory, runs }),
            run: Arc::default(),
            key_id: None,
            revocations: Revocations::default(),
            grace: GRACE,
        }
    }

    /// The same, where whoever replaces the secret is waited for so long.
    #[must_use]
    pub fn within(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The same, called so at its issuer where its source says no name.
    #[must_use]
    pub fn called(self, key_id: Option<String>) -> Self {
        Self { key_id, ..self }
    }

    /// The same, not used where one of these lists names it.
    #[must_use]
    pub fn unless(self, revocations: Revocations) -> Self {
        Self { revocations, ..self }
    }

    /// The lists of revoked keys that it is held against.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Reads it at once, where it comes from a file: to know early what is wrong. Blocking.
    ///
    /// # Errors
    ///
    /// Why it cannot be read; then nothing has changed.
    pub fn load_now(&self) -> Result<(), Flaw> {
        let Supply::File(disk) = &self.shared.supply else { return Ok(()) };
        let read = disk.read_now().and_then(|bytes| S::parse(&bytes));
        let flaw = read.as_ref().err().copied();
        self.shared.take(read);
        flaw.map_or(Ok(()), Err)
    }

    /// The secret as it is now. Where there never was one, it is waited for, for the grace.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`NoCredential`], where there never was one, or it is revoked.
    pub async fn current(&self) -> Result<Snapshot<S>, NoCredential> {
        self.load().await;
        if self.shared.memory().generation() == 0 {
            self.other_than(0, None).await;
        }
        self.revocations.refresh().await;
        self.snapshot()
    }

    /// Told that the other side rejected the secret of this generation: a newer one, waited for
    /// until the grace or the deadline is over, whichever comes first; a command that began within
    /// the grace may end after it. `None` where there is none, so that trying again would not help.
    ///
    /// Where others have waited for a newer one in vain already, it does not wait.
    ///
    /// Cancel safe.
    pub async fn after_rejection(&self, generation: u64, deadline: Instant) -> Option<Snapshot<S>> {
        if self.shared.is_present(generation) {
            self.other_than(generation, Some(deadline)).await.then_some(())?;
        }
        self.revocations.refresh().await;
        self.snapshot().ok()
    }

    /// Told that the other side accepted the secret of this generation.
    pub fn accepted(&self, generation: u64) {
        self.shared.memory().accept(generation);
    }

    /// How it stands. Reads nothing: it is as good as the last use.
    pub fn standing(&self) -> Standing {
        let memory = self.shared.memory();
        let snapshot = memory.snapshot();
        let key_id = snapshot.and_then(|snapshot| snapshot.key_id).or(self.key_id.clone());
        let sha256 = memory.sha256();
        let state = match sha256 {
            None => State::Missing,
            Some(sha256) if self.revocations.name(key_id.as_deref(), &sha256) => State::Revoked,
            Some(_) if memory.is_rejected() => State::Rejected,
            Some(_) if memory.flaw().is_some() => State::Stale,
            Some(_) => State::Ok,
        };
        Standing {
            name: self.shared.name.to_owned(),
            source: self.shared.supply.word().to_owned(),
            fingerprint: sha256.as_ref().map(fingerprint_of),
            key_id,
            generation: memory.generation(),
            loaded_at: memory.loaded_at(),
            expires_at: memory.expires_at(),
            state,
        }
    }

    fn snapshot(&self) -> Result<Snapshot<S>, NoCredential> {
        let memory = self.shared.memory();
        let (Some(snapshot), Some(sha256)) = (memory.snapshot(), memory.sha256()) else {
            return Err(NoCredential::Missing(memory.flaw().unwrap_or(Flaw::Missing)));
        };
        let key_id = snapshot.key_id.or(self.key_id.clone());
        if self.revocations.name(key_id.as_deref(), &sha256) {
            return Err(NoCredential::Revoked { key_id });
        }
        Ok(Snapshot { key_id, ..snapshot })
    }

    /// Waits for a secret of another generation: whether there is one. It is looked for once in any
    /// case, and again until the grace is over.
    async fn other_than(&self, generation: u64, deadline: Option<Instant>) -> bool {
        let begin = Instant::now();
        let grace = self.shared.memory().doubt(begin, self.grace);
        if matches!(self.shared.supply, Supply::Value(_)) {
            return false;
        }
        let end = deadline.map_or(grace, |deadline| deadline.min(grace));
        // What others have waited for in vain is asked for, and not waited for again.
        let mut is_worth_it = begin <= grace;
        loop {
            let patience = if is_worth_it { deadline } else { Some(end) };
            match patience {
                Some(patience) => drop(timeout_at(patience, self.load()).await),
                None => self.load().await,
            }
            if self.shared.memory().generation() != generation {
                return true;
            }
            let now = Instant::now();
            if now >= end {
                return false;
            }
            sleep_until(end.min(now + POLL)).await;
            is_worth_it = Instant::now() < grace;
        }
    }

    /// Brings what is known up to date.
    async fn load(&self) {
        match &self.shared.supply {
            Supply::Value(_) => {}
            Supply::File(disk) => {
                let read = disk.read().await;
                self.shared.take(read.and_then(|bytes| S::parse(&bytes)));
            }
            Supply::Command(_) | Supply::Keychain(_) => {
                let age = self.shared.memory().age(self.shared.moment());
                let mut runs = self.shared.runs.subscribe();
                if age != Age::Fresh {
                    self.start_run();
                }
                if age == Age::Over {
                    let _ = runs.wait_for(|runs| !runs.is_under_way).await;
                }
            }
        }
    }

    /// Runs the command, or asks the keychain, in a task of its own, unless it runs already or has just ended: who asked
    /// may go away, and its time is longer than a question's.
    fn start_run(&self) {
        let now = Instant::now();
        let starts = self.shared.runs.send_if_modified(|runs| {
            let may = !runs.is_under_way && runs.last_end.is_none_or(|end| now >= end + PAUSE);
            runs.is_under_way |= may;
            may
        });
        if starts {
            let under_way = UnderWay(Arc::clone(&self.shared));
            let run = AbortOnDropHandle::new(tokio::spawn(under_way.run()));
            *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
        }
    }
}

/// A run of the command: over when this is dropped, however that came.
struct UnderWay<S: Secret>(Arc<Shared<S>>);

impl<S: Secret> UnderWay<S> {
    async fn run(self) {
        let read = match &self.0.supply {
            Supply::Value(_) | Supply::File(_) => return,
            Supply::Command(invocation) => invocation.run().await,
            Supply::Keychain(entry) => entry.read().await,
        };
        self.0.take(read.and_then(|bytes| S::parse(&bytes)));
    }
}

impl<S: Secret> Drop for UnderWay<S> {
    fn drop(&mut self) {
        self.0.runs.send_replace(Runs { is_under_way: false, last_end: Some(Instant::now()) });
    }
}

// === impl Shared ===

impl<S: Secret> Shared<S> {
    fn memory(&self) -> MutexGuard<'_, Memory<S>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { now: Instant::now(), wall: (self.clock)() }
    }

    /// Whether the secret that was rejected is the present one.
    fn is_present(&self, rejected: u64) -> bool {
        let memory = self.memory();
        if memory.generation() != rejected {
            return false;
        }
        if !memory.is_rejected() {
            tracing::warn!(credential = self.name, generation = rejected, "the secret is rejected");
        }
        true
    }

    /// Takes in an attempt to read it, and says what has changed.
    fn take(&self, read: Result<Content<S>, Flaw>) {
        let mut memory = self.memory();
        let change = memory.take(read, self.moment());
        let (credential, generation) = (self.name, memory.generation());
        match change {
            Change::Nothing => {}
            Change::Other => {
                let fingerprint = memory.sha256().as_ref().map(fingerprint_of);
                tracing::info!(credential, generation, fingerprint, "there is a new secret");
            }
            Change::Back => tracing::info!(credential, generation, "the secret can be read again"),
            Change::Lost(flaw) if generation == 0 => {
                tracing::warn!(credential, %flaw, "there is no secret");
            }
            Change::Lost(flaw) => {
                tracing::warn!(credential, %flaw, "the last secret is used");
            }
        }
    }
}

// === impl State ===

impl State {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
            Self::Missing => "missing",
        }
    }
}

// === impl Supply ===

impl Supply {
    fn word(&self) -> &'static str {
        match self {
            Self::Value(from) => from,
            Self::File(_) => "file",
            Self::Command(_) => "command",
            Self::Keychain(_) => "keychain",
        }
    }
}

// === impl NoCredential ===

fn id(key_id: Option<&str>) -> String {
    key_id.map(|id| format!(" ({id})")).unwrap_or_default()
}
