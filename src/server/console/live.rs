//! `GET /console/live`: server-sent events that say on which topics something has changed.
//!
//! A word is a hint to ask for the page again; it holds nothing of what has changed.
//!
//! # Invariants
//!
//! - At most [`STREAMS`] streams are open; each ends with its session, at logout at once, and says
//!   nothing after its end.
//! - A burst of changes is one word in [`PAUSE`], whatever it consists of.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::FutureExt as _;
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{Instant, interval, sleep_until};

use super::session::Session;
use crate::server::bus::{Bus, Change, Topic};
use crate::server::{App, Tenant};

/// How many streams are open at once, all sessions together.
pub const STREAMS: usize = 256;

/// How often a stream says that it is there; it looks then whether its session still is.
const BEAT: Duration = Duration::from_secs(15);
/// The shortest time between two words of change.
const PAUSE: Duration = Duration::from_millis(400);
/// How many logouts a stream may be behind before it looks for itself.
const LOGOUTS: usize = 64;

/// The streams that are open.
#[derive(Debug)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    /// Ids of sessions that have ended.
    ended: broadcast::Sender<String>,
}

/// The topics of the pages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Topics {
    approvals: bool,
    decisions: bool,
    endpoints: bool,
}

/// What a stream wakes up for.
#[derive(Clone, Copy, Debug)]
enum Word {
    Changed(Topics),
    Beat,
    Ended,
}

type Words = Pin<Box<dyn Stream<Item = Word> + Send>>;

// === impl Streams ===

impl Default for Streams {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(STREAMS)), ended: broadcast::Sender::new(LOGOUTS) }
    }
}

impl Streams {
    /// Opens a stream; `None` where too many are open.
    pub(super) fn open(&self, app: &App, session: Session) -> Option<Body> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let words = stream::select(
            changes(&app.bus, session.tenant.clone()),
            stream::select(beats(), endings(self.ended.subscribe(), session.id())),
        );
        let open = Open { app: app.clone(), session, words: Box::pin(words), _place: place };
        let begin = stream::once(std::future::ready(Bytes::from_static(b"retry: 2000\n\n")));
        let frames = begin.chain(stream::unfold(Some(open), next));
        Some(Body::from_stream(frames.map(Ok::<_, Infallible>)))
    }

    /// Ends the streams of a session.
    pub(super) fn end(&self, session: &Session) {
        // Nobody listening is no failure.
        let _ = self.ended.send(session.id());
    }
}

/// One stream.
struct Open {
    app: App,
    session: Session,
    words: Words,
    _place: OwnedSemaphorePermit,
}

/// The next frame; after the last one, nothing is left that could make another.
async fn next(open: Option<Open>) -> Option<(Bytes, Option<Open>)> {
    let mut open = open?;
    let frame = match open.words.next().await? {
        Word::Changed(topics) => Some(format!("event: changed\ndata: {}\n\n", topics.words())),
        Word::Beat => Some(": here\n\n".to_owned()),
        Word::Ended => None,
    };
    // A store that is away ends nothing.
    let is_good = open.session.is_good(&open.app.store, open.app.now()).await;
    match frame {
        Some(frame) if is_good.unwrap_or(true) => Some((frame.into(), Some(open))),
        _ => Some((Bytes::from_static(b"event: ended\ndata: \n\n"), None)),
    }
}

/// What changes for a tenant.
fn changes(bus: &Bus, tenant: Tenant) -> impl Stream<Item = Word> + Send + use<> {
    let begin = (bus.listen(), tenant, Instant::now());
    stream::unfold(begin, |(mut listener, tenant, not_before)| async move {
        let mut topics = Topics::default();
        while topics == Topics::default() {
            match listener.recv().await {
                Ok(change) => topics.add(&change, &tenant),
                Err(RecvError::Lagged(_)) => topics = Topics::ALL,
                Err(RecvError::Closed) => return None,
            }
        }
        sleep_until(not_before).await;
        while let Some(more) = listener.recv().now_or_never() {
            match more {
                Ok(change) => topics.add(&change, &tenant),
                Err(RecvError::Lagged(_)) => topics = Topics::ALL,
                Err(RecvError::Closed) => break,
            }
        }
        Some((Word::Changed(topics), (listener, tenant, Instant::now() + PAUSE)))
    })
}

fn beats() -> impl Stream<Item = Word> + Send {
    stream::unfold(interval(BEAT), |mut interval| async move {
        interval.tick().await;
        Some((Word::Beat, interval))
    })
}

/// The end of this session; and a beat where it may have been missed.
fn endings(receiver: broadcast::Receiver<String>, id: String) -> impl Stream<Item = Word> + Send {
    stream::unfold((receiver, id), |(mut receiver, id)| async move {
        loop {
            match receiver.recv().await {
                Ok(ended) if ended == id => return Some((Word::Ended, (receiver, id))),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Some((Word::Beat, (receiver, id))),
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

// === impl Topics ===

impl Topics {
    const ALL: Self = Self { approvals: true, decisions: true, endpoints: true };

    fn add(&mut self, change: &Change, tenant: &Tenant) {
        if change.tenant != *tenant {
            return;
        }
        match change.topic {
            Topic::Approval(_) => self.approvals = true,
            Topic::Decisions => self.decisions = true,
            Topic::Endpoint(_) => self.endpoints = true,
            Topic::Key(_) => {}
        }
    }

    /// As pages name them in `data-live`.
    fn words(self) -> String {
        let all = [
            ("approvals", self.approvals),
            ("decisions", self.decisions),
            ("endpoints", self.endpoints),
        ];
        let changed: Vec<_> = all.iter().filter(|(_, is)| *is).map(|(word, _)| *word).collect();
        changed.join(" ")
    }
}
