//! What is known of the session with the server (MCP 2025-03-26 to 2025-11-25), and what a new one
//! needs to take its place.
//!
//! Sessions are counted by their epoch: whoever meets the end of one says which, so that it is
//! replaced once, however many meet it. Nothing is sent here.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::HeaderValue;
use tokio::sync::watch;
use tokio::time::timeout;

use super::headers;
use super::letter::Letter;
use super::renewal::Digest;
use crate::mirror::Listed;

/// How many subscriptions are remembered.
const SUBSCRIPTIONS: usize = 256;

/// How long a session's first requests wait for the server's stream: servers drop what they say unasked,
/// their own requests too, while there is none. Some do not answer before they have something to say.
const LISTENING: Duration = Duration::from_millis(250);

/// No line is remembered that is longer, in bytes; `initialize` is.
const LONGEST: usize = 16 * 1024;

/// The session, as those know it who send in it.
#[derive(Debug)]
pub(super) struct Session {
    state: Mutex<State>,
    live: watch::Sender<u64>,
    heard: watch::Sender<u64>,
}

/// The session as it is at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Which one: from 1; 0 before the first.
    pub(super) epoch: u64,
    /// Its id, where the server gave one.
    pub(super) id: Option<HeaderValue>,
    /// The revision that is said in each exchange.
    pub(super) version: Option<HeaderValue>,
}

/// What the client has said that a new session must be told again.
#[derive(Clone, Debug, Default)]
pub(super) struct Keepsakes {
    /// `initialize`
    pub(super) greeting: Option<Letter>,
    /// `notifications/initialized`
    pub(super) initialized: Option<Letter>,
    /// The last `logging/setLevel`.
    pub(super) level: Option<Letter>,
    /// `resources/subscribe`, by the resource.
    pub(super) subscriptions: BTreeMap<Box<str>, Letter>,
    /// What the server's list of tools was, all pages of it, where the client has read them.
    pub(super) tools: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    kept: Keepsakes,
    /// The list of tools that the client is reading, as far as it came.
    reading: Option<Digest>,
}

// === impl Session ===

impl Session {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), live: watch::Sender::new(0), heard: watch::Sender::new(0) }
    }

    /// The session as it is now.
    pub(super) fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    /// What a new session would have to be told.
    pub(super) fn kept(&self) -> Keepsakes {
        self.lock().kept.clone()
    }

    /// The client has begun a session.
    pub(super) fn begin(&self, greeting: Letter, id: Option<HeaderValue>, version: Option<&str>) {
        let mut state = self.lock();
        state.kept = Keepsakes { greeting: Some(greeting), ..Keepsakes::default() };
        state.seen = Seen::next(&state.seen, id, version);
    }

    /// The session was lost, and this is the new one.
    pub(super) fn renew(&self, seen: Seen) {
        let epoch = seen.epoch;
        let mut state = self.lock();
        state.seen = seen;
        let is_live = state.kept.initialized.is_some();
        drop(state);
        if is_live {
            self.live.send_replace(epoch);
        }
    }

    /// The client has said, and the server has taken in, that the session is under way.
    pub(super) fn initialized(&self, letter: Letter) {
        let mut state = self.lock();
        state.kept.initialized = Some(letter);
        let epoch = state.seen.epoch;
        drop(state);
        self.live.send_replace(epoch);
    }

    /// The epoch whose session is under way; changes with each.
    pub(super) fn live(&self) -> watch::Receiver<u64> {
        self.live.subscribe()
    }

    /// The server has said whether it speaks unasked in the session of this epoch, or cannot be asked.
    pub(super) fn hear(&self, epoch: u64) {
        self.heard.send_replace(epoch);
    }

    /// Waits until that is known of the session that is under way: 250 ms at the longest.
    ///
    /// Cancel safe.
    pub(super) async fn heard(&self) {
        let epoch = *self.live.borrow();
        let mut known = self.heard.subscribe();
        let _ = timeout(LISTENING, known.wait_for(|heard| *heard >= epoch)).await;
    }

    /// Remembers a request that the server has granted, where it must hold in a new session, too.
    pub(super) fn remember(&self, letter: &Letter) {
        if letter.is_modern() || letter.body.len() > LONGEST {
            return;
        }
        let mut state = self.lock();
        let kept = &mut state.kept;
        match &*letter.method {
            "logging/setLevel" => kept.level = Some(letter.clone()),
            "resources/subscribe" if kept.subscriptions.len() < SUBSCRIPTIONS => {
                if let Some(uri) = letter.uri() {
                    kept.subscriptions.insert(uri, letter.clone());
                }
            }
            "resources/unsubscribe" => {
                if let Some(uri) = letter.uri() {
                    kept.subscriptions.remove(&uri);
                }
            }
            _ => {}
        }
    }

    /// The client has read a page of the list of tools: a further one, or the first.
    pub(super) fn listed(&self, is_further: bool, result: &[u8], fresh: impl FnOnce() -> Digest) {
        let Some(listed) = Listed::read(result) else { return };
        let mut state = self.lock();
        let before = state.reading.take().filter(|_| is_further);
        if is_further && before.is_none() {
            return;
        }
        let mut digest = before.unwrap_or_else(fresh);
        digest.add(&listed, result);
        if listed.next().is_some() {
            state.reading = Some(digest);
        } else {
            state.kept.tools = Some(digest.finish());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seen ===

impl Seen {
    /// The session after this one, with the id and the revision that the server has given.
    pub(super) fn next(&self, id: Option<HeaderValue>, version: Option<&str>) -> Self {
        let id = id.map(|mut id| {
            id.set_sensitive(true);
            id
        });
        Self { epoch: self.epoch + 1, id, version: version.and_then(headers::version) }
    }

    /// The same, for a message that belongs to no session.
    pub(super) fn outside(&self) -> Self {
        Self { epoch: self.epoch, id: None, version: None }
    }
}
