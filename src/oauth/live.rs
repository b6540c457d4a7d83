//! A login in use: the token as it is now, refreshed before it ends and where it was rejected.
//!
//! The same questions and answers as of [`crate::credential::Credential`]. What differs: a token is used up by
//! its refresh, everywhere at once, so that one process at a time refreshes, under the lock of
//! the login's file, after another look at it.
//!
//! # Invariants
//!
//! - A refresh that has begun is not cut off by whoever asked for it: [`Login::settle`] waits for it.
//! - What the authorization server gave last is on the disk before it is used; where the disk refuses,
//!   it is used and kept in memory, and the disk is tried again.
//! - Nobody's newer token is cleared: a refusal is written down beside the tokens it was for.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use oauth2::url::Url;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::memory::{Memory, Print, age, print};
use super::net::Net;
use super::reach::{OutOfReach, Reach};
use super::record::Record;
use super::store::{BadName, Name, Store, StoreError, Turn};
use super::token::{self, NotGranted};
use super::view::again;
use crate::config::settings::Tls;
use crate::credential::{Age, Moment, Snapshot, Standing, State};
use crate::secret::{ApiKey, fingerprint_of};

/// How long another process that refreshes the same login is waited for: longer than that may take.
const TURN: Duration = Duration::from_secs(20);

/// One login, in use for one server. Clones share what is known.
#[derive(Clone, Debug)]
pub struct Login(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Name,
    url: Url,
    store: Store,
    net: Net,
    clock: fn() -> Timestamp,
    memory: Mutex<Memory>,
    /// Whether a refresh is under way.
    under_way: watch::Sender<bool>,
}

/// Why there is no token to send. A sentence for people, with what to type.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoginError {
    /// The name cannot be one.
    #[error("the login's name cannot be one: {0}")]
    Name(#[from] BadName),
    /// The server's address cannot be one.
    #[error(transparent)]
    Address(#[from] OutOfReach),
    /// There is no login of this name.
    #[error("there is no login {name}; type: thoth auth login {name} --url {url}")]
    None {
        /// Its name.
        name: String,
        /// The server that it was wanted for.
        url: String,
    },
    /// It is for another server.
    #[error("the login {name} is for {its}, not for {url}; its token is not sent there")]
    OtherServer {
        /// Its name.
        name: String,
        /// The server it is for.
        its: String,
        /// The server that it was wanted for.
        url: String,
    },
    /// A person must log in again.
    #[error("the login {name} is over{why}; type: {command}")]
    Required {
        /// Its name.
        name: String,
        /// What the authorization server said, in brackets.
        why: String,
        /// What to type.
        command: String,
    },
    /// It cannot be read now.
    #[error("{0}")]
    Store(String),
}

// === impl LoginError ===

impl LoginError {
    /// Whether what was known before is not to be used either.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::Store(_))
    }
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        use std::error::Error as _;

        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::Store(format!("{error}{cause}"))
    }
}

// === impl Login ===

impl Login {
    /// Takes a login into use for the server at `url`. Looks at its file, and takes note of what is wrong with
    /// it: a person may still log in. Connects to nobody. Blocking.
    ///
    /// # Errors
    ///
    /// [`LoginError::Name`] and [`LoginError::Address`].
    pub fn open(
        home: &Path,
        name: &str,
        url: &str,
        tls: &Tls,
        is_proxied: bool,
        clock: fn() -> Timestamp,
    ) -> Result<Self, LoginError> {
        let name = Name::parse(name)?;
        let (_, url) = Reach::from(url)?;
        let shared = Shared {
            name,
            url,
            store: Store::of(home),
            net: Net::new(tls.clone(), is_proxied),
            clock,
            memory: Mutex::default(),
            under_way: watch::Sender::new(false),
        };
        let look = shared.look();
        shared.take(look);
        Ok(Self(Arc::new(shared)))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// The token as it is now. One that is about to end is refreshed meanwhile; one that has ended, or was
    /// rejected, is waited for.
    ///
    /// Cancel safe: a refresh goes on.
    ///
    /// # Errors
    ///
    /// [`LoginError`], where a person must log in.
    pub async fn current(&self) -> Result<Snapshot, LoginError> {
        let shared = &self.0;
        let wants_look = shared.memory().wants_look(shared.moment());
        if wants_look {
            shared.look_again().await;
        }
        let age = shared.memory().age(shared.moment().wall);
        if age != Age::Fresh {
            shared.start_refresh();
        }
        if age == Age::Over {
            self.settle().await;
        }
        shared.snapshot()
    }

    /// Told that the server rejected the token of this generation: another one, which somebody else has got
    /// meanwhile or which a refresh gives, until the deadline at the latest. `None` where there is none,
    /// so that trying again would not help.
    ///
    /// Cancel safe: a refresh goes on.
    pub async fn after_rejection(&self, generation: u64, deadline: Instant) -> Option<Snapshot> {
        let shared = &self.0;
        let is_present = shared.memory().reject(generation, Instant::now());
        if is_present {
            tracing::warn!(login = self.name(), generation, "the token is rejected");
            timeout_at(deadline, shared.look_again()).await.ok()?;
            if shared.memory().generation() == generation {
                shared.start_refresh();
                timeout_at(deadline, self.settle()).await.ok()?;
            }
            if shared.memory().generation() == generation {
                return None;
            }
        }
        shared.snapshot().ok()
    }

    /// Told that the server accepted the token of this generation.
    pub fn accepted(&self, generation: u64) {
        self.0.memory().accept(generation);
    }

    /// Waits for a refresh that is under way: 30 s at the longest. To be called before the process ends: a refresh
    /// that is cut off may have used up the refresh token.
    ///
    /// Cancel safe.
    pub async fn settle(&self) {
        let mut under_way = self.0.under_way.subscribe();
        let _ = under_way.wait_for(|under_way| !under_way).await;
    }

    /// How it stands. Reads nothing: it is as good as the last use.
    pub fn standing(&self) -> Standing {
        let shared = &self.0;
        let memory = shared.memory();
        let record = memory.record();
        let state = match (record, memory.lack()) {
            (None, _) => State::Missing,
            (Some(_), _) if memory.is_rejected() => State::Rejected,
            (Some(record), _) if shared.is_over(record) => State::Rejected,
            (Some(_), Some(_)) => State::Stale,
            (Some(_), None) => State::Ok,
        };
        Standing {
            name: "upstream_login".to_owned(),
            source: "login".to_owned(),
            fingerprint: memory.print().as_ref().map(fingerprint_of),
            key_id: Some(shared.name.as_str().to_owned()),
            generation: memory.generation(),
            loaded_at: memory.loaded_at(),
            expires_at: record.and_then(|record| record.tokens.expires_at),
            state,
        }
    }

    /// What a person must type, where one must: the same sentence as of the error.
    pub fn advice(&self) -> Option<String> {
        match self.0.snapshot() {
            Err(error) => Some(error.to_string()),
            Ok(_) if self.0.memory().is_rejected() => Some(self.0.required("").to_string()),
            Ok(_) => None,
        }
    }
}

// === impl Shared ===

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { now: Instant::now(), wall: (self.clock)() }
    }

    /// Reads the file. Blocking.
    fn look(&self) -> Result<Record, LoginError> {
        let (name, url) = (self.name.as_str().to_owned(), self.url.to_string());
        match self.store.read(&self.name)? {
            None => Err(LoginError::None { name, url }),
            Some(record) if record.is_for(&self.url) => Ok(record),
            Some(record) => Err(LoginError::OtherServer { name, its: record.resource, url }),
        }
    }

    fn take(&self, look: Result<Record, LoginError>) {
        let trouble = look.as_ref().err().map(LoginError::to_string);
        let (is_other, generation) = {
            let mut memory = self.memory();
            let known = memory.lack().map(LoginError::to_string);
            let is_other = memory.take(look, self.moment());
            if let Some(trouble) = trouble.filter(|trouble| known.as_ref() != Some(trouble)) {
                tracing::warn!(login = self.name.as_str(), "{trouble}");
            }
            (is_other, memory.generation())
        };
        if is_other {
            tracing::info!(login = self.name.as_str(), generation, "there is a new token");
        }
    }

    /// Reads the file, and does not block.
    async fn look_again(self: &Arc<Self>) {
        let look = self.looked().await;
        self.take(look);
    }

    async fn looked(self: &Arc<Self>) -> Result<Record, LoginError> {
        let shared = Arc::clone(self);
        let look = spawn_blocking(move || shared.look()).await;
        look.unwrap_or_else(|_| Err(LoginError::Store("it cannot be read".to_owned())))
    }

    /// The login as it is, under its lock: on the disk, or here where the disk did not take it.
    async fn present(self: &Arc<Self>) -> Result<Record, LoginError> {
        let record = self.looked().await?;
        Ok(self.memory().unkept(&record).cloned().unwrap_or(record))
    }

    fn snapshot(&self) -> Result<Snapshot, LoginError> {
        let memory = self.memory();
        let Some(record) = memory.record() else {
            return Err(memory.lack().cloned().unwrap_or_else(|| self.required("")));
        };
        // A token that was refused a successor is used until it ends, and one that has ended while there is
        // nobody to ask is tried: the server's word counts, not the clock.
        if let Some(why) = &record.refused
            && (memory.is_rejected() || age(record, self.moment().wall) == Age::Over)
        {
            return Err(self.required(why));
        }
        let secret = ApiKey::parse(record.tokens.access.secret())
            .map_err(|_| LoginError::Store("the login's token cannot be sent".to_owned()))?;
        Ok(Snapshot { secret, generation: memory.generation(), key_id: None })
    }

    fn required(&self, why: &str) -> LoginError {
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        let name = self.name.as_str().to_owned();
        LoginError::Required { name, why, command: again(&self.name) }
    }

    fn is_over(&self, record: &Record) -> bool {
        let is_refreshed = record.tokens.refresh.is_some() && record.refused.is_none();
        !is_refreshed && age(record, self.moment().wall) == Age::Over
    }

    /// Refreshes in a task of its own, unless that is under way, or too soon: who asked may go away.
    fn start_refresh(self: &Arc<Self>) {
        let stale = {
            let memory = self.memory();
            memory.print().filter(|_| memory.may_refresh(Instant::now()))
        };
        let Some(stale) = stale else { return };
        let starts =
            self.under_way.send_if_modified(|under_way| !std::mem::replace(under_way, true));
        if starts {
            let task = UnderWay(Arc::clone(self));
            tokio::spawn(async move { task.0.refresh(stale).await });
        }
    }

    /// Looks at what others have done, under the lock, and refreshes where they have not.
    async fn refresh(self: &Arc<Self>, stale: Print) {
        let turn = match self.store.turn(&self.name, Instant::now() + TURN).await {
            Ok(turn) => turn,
            Err(error) => return self.trouble(&LoginError::from(error).to_string(), None),
        };
        let record = match self.present().await {
            Ok(record) => record,
            Err(error) => return self.take(Err(error)),
        };
        let is_others = print(&record) != stale && age(&record, (self.clock)()) == Age::Fresh;
        let token = record.tokens.refresh.as_ref();
        let Some(token) = token.filter(|_| !is_others && record.refused.is_none()) else {
            return self.take_present(record);
        };
        let (endpoint, client) = (&record.token_endpoint, &record.client);
        match token::refresh(&self.net, endpoint, client, token, &record.resource).await {
            Ok(granted) => {
                let record = record.refreshed(granted, (self.clock)());
                self.memory().succeed();
                self.keep(record, turn).await;
            }
            Err(NotGranted::Refused(why)) => match self.present().await {
                // Nobody changes it without the lock; but nothing newer is ever written over.
                Ok(found) if print(&found) != print(&record) => self.take_present(found),
                Ok(_) | Err(_) => {
                    tracing::warn!("{}", self.required(&why));
                    self.keep(record.refused(why), turn).await;
                }
            },
            Err(NotGranted::Trouble { why, retry_after }) => self.trouble(&why, retry_after),
            Err(unusable @ NotGranted::Unusable(_)) => self.trouble(&unusable.to_string(), None),
        }
    }

    /// Takes what is on the disk, or here already.
    fn take_present(&self, record: Record) {
        if self.memory().print() != Some(print(&record)) {
            self.take(Ok(record));
        }
    }

    /// Writes a login, lets go of its lock, and takes it into use.
    async fn keep(self: &Arc<Self>, record: Record, turn: Turn) {
        let (shared, written) = (Arc::clone(self), record.clone());
        let writing = spawn_blocking(move || shared.store.write(&shared.name, &written, &turn));
        let why = match writing.await {
            Ok(Ok(())) => return self.take(Ok(record)),
            Ok(Err(error)) => LoginError::from(error).to_string(),
            Err(_) => "it was not written".to_owned(),
        };
        tracing::error!(
            login = self.name.as_str(),
            "the new token cannot be kept, and ends with this process: {why}"
        );
        let moment = self.moment();
        self.memory().take_unkept(record, moment);
    }

    fn trouble(&self, why: &str, retry_after: Option<Duration>) {
        tracing::warn!(login = self.name.as_str(), "the token is not refreshed now: {why}");
        self.memory().fail(Instant::now(), retry_after);
    }
}

/// A refresh that is under way: over when this is dropped, however that came.
struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_replace(false);
    }
}
