//! Listening to the server: the GET stream of a session, and the rest of a stream that broke off
//! before its answer (MCP 2025-03-26 to 2025-11-25).
//!
//! # Invariants
//!
//! - What was received is not asked for again: the mark of the last event goes with each GET.
//! - The server is left alone as long as it asks for, within bounds, and longer and longer while it
//!   fails.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::body::{Bounds, Stream};
use super::delivery::RENEWAL;
use super::exchange::is_events;
use super::fault::Fault;
use super::headers;
use super::remote::Remote;
use super::session::Seen;
use crate::rhythm::Rhythm;

/// How long a server is left alone that says nothing about it.
const PAUSE: Duration = Duration::from_secs(1);

/// The bounds of what it may ask for.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_mins(15);

/// How often in a row a broken stream is asked for in vain.
const FAILURES: u32 = 4;

/// Why there is no stream.
enum NoStream {
    /// Not now.
    Trouble(Fault),
    /// Not here: it is not offered, or not to us.
    Refused(StatusCode),
}

impl Remote {
    /// Listens in each session that is under way, until dropped.
    pub(super) async fn listen(self: Arc<Self>) {
        let mut live = self.session.live();
        loop {
            let epoch = *live.borrow_and_update();
            let has_stream = epoch > 0 && !self.older.is_known();
            let _listening = has_stream
                .then(|| AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self).listen_in(epoch))));
            if !has_stream {
                self.session.hear(epoch);
            }
            if live.changed().await.is_err() {
                return;
            }
        }
    }

    /// Listens in one session, until it is gone or the server does not offer it.
    async fn listen_in(self: Arc<Self>, epoch: u64) {
        let mut rhythm = Rhythm::default();
        let mut before: Option<Stream> = None;
        loop {
            let seen = self.session.seen();
            if seen.epoch != epoch {
                return;
            }
            let mark = before.as_ref().and_then(|stream| stream.parser.last_id());
            let mut wait = rhythm.after_failure(None, 0);
            let opened = self.open_stream(mark, &seen).await;
            self.session.hear(epoch);
            match opened {
                Ok(response) => {
                    let mut stream = self.follow(before.take(), response.into_body());
                    if self.pass_on(&mut stream).await {
                        rhythm = Rhythm::default();
                        wait = PAUSE;
                    }
                    wait = stream.parser.retry().unwrap_or(wait);
                    before = Some(stream);
                }
                Err(NoStream::Refused(status)) => {
                    tracing::debug!(status = status.as_u16(), "the server offers no stream");
                    return;
                }
                Err(NoStream::Trouble(fault)) => tracing::debug!(%fault, "not listening now"),
            }
            sleep(wait.clamp(SHORTEST, LONGEST)).await;
        }
    }

    /// A stream in a body, after what was read of it before.
    fn follow(&self, before: Option<Stream>, body: Incoming) -> Stream {
        match before {
            Some(stream) => stream.resumed(body),
            // Nothing is waited for in particular.
            None => Stream::new(body, Bounds { silence: None, ..self.bounds() }),
        }
    }

    /// Passes on what comes, until the stream ends. Says whether anything came.
    async fn pass_on(&self, stream: &mut Stream) -> bool {
        let mut any = false;
        loop {
            match stream.next().await {
                Ok(Some(event)) => self.pass(&event).await,
                Err(Fault::TooLong(bytes)) => {
                    tracing::warn!(bytes, "dropped a message of the server: too long");
                }
                Ok(None) | Err(_) => return any,
            }
            any = true;
        }
    }

    /// The rest of a stream that ended before its answer: `None` where it cannot be had, so that
    /// what became of the request is not known. `since` is when something came last.
    pub(super) async fn resume(
        &self,
        stream: &Stream,
        since: Instant,
        seen: &Seen,
    ) -> Option<Stream> {
        let mut rhythm = Rhythm::default();
        let mut wait = stream.parser.retry().unwrap_or(PAUSE);
        for _ in 0..FAILURES {
            sleep(wait.clamp(SHORTEST, LONGEST)).await;
            if since.elapsed() >= self.silence {
                return None;
            }
            match self.open_stream(stream.parser.last_id(), seen).await {
                Ok(response) => return Some(stream.resumed(response.into_body())),
                Err(NoStream::Refused(_)) => return None,
                Err(NoStream::Trouble(_)) => {
                    wait = rhythm.after_failure(stream.parser.retry(), 0);
                }
            }
        }
        None
    }

    /// Asks for a stream of events, with a newer credential where the first is rejected.
    async fn open_stream(
        &self,
        mark: Option<&str>,
        seen: &Seen,
    ) -> Result<Response<Incoming>, NoStream> {
        let trouble = |error: &super::authority::Refused| {
            NoStream::Trouble(Fault::NoCredential(crate::https::root(error)))
        };
        let mut presented = self.authority.present().await.map_err(|error| trouble(&error))?;
        let mut is_first = true;
        loop {
            let mut headers = self.session_headers(&presented, seen);
            if let Some(mark) = mark.and_then(|mark| HeaderValue::try_from(mark).ok()) {
                headers.insert(headers::LAST_EVENT_ID, mark);
            }
            let sent = self.send(Method::GET, &self.url, headers, Bytes::new()).await;
            let response = sent.map_err(|failed| NoStream::Trouble(failed.says.into_fault()))?;
            let status = response.status();
            self.note(status, &presented);
            if status.is_success() {
                let is_stream = is_events(response.headers());
                return if is_stream { Ok(response) } else { Err(NoStream::Refused(status)) };
            }
            let is_rejected = status == StatusCode::UNAUTHORIZED;
            if is_rejected && std::mem::take(&mut is_first) {
                let (old, deadline) = (presented.generation, Instant::now() + RENEWAL);
                if let Some(newer) = self.authority.after_rejection(old, deadline).await {
                    presented = newer;
                    continue;
                }
            }
            let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(if passes || is_rejected {
                NoStream::Trouble(Fault::Status(status))
            } else {
                NoStream::Refused(status)
            });
        }
    }
}
