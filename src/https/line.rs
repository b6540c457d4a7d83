//! The line to one peer: one request there, one outcome back.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::connector::{Connector, NotConnected};
use crate::tls::{self, Distrust};

/// An idle connection is closed after this time: before the 60 s after which common load balancers
/// close theirs, so that a question seldom meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(50);

/// What an exchange may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest one exchange may take in all.
    pub time: Duration,
    /// The longest connecting may take.
    pub connect: Duration,
    /// The longest answer that is read, in bytes.
    pub answer: usize,
    /// How many exchanges are under way at once; further ones wait for a place.
    pub in_flight: usize,
}

/// The pooled connections to one peer.
#[derive(Debug)]
pub struct Line {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    /// What the peer is called in complaints, such as `the enforcer`.
    peer: &'static str,
    url: Uri,
    headers: HeaderMap,
    limits: Limits,
    places: Semaphore,
    clock: fn() -> Timestamp,
}

/// A place among the exchanges that are under way, for one of them.
#[derive(Debug)]
pub struct Place<'a> {
    _permit: SemaphorePermit<'a>,
}

/// How one exchange ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The peer answered, or began to.
    Answered(Reply),
    /// Its certificate was not accepted; nothing was sent.
    Distrusted {
        /// What is wrong with it.
        why: Distrust,
        /// The same with names, times and fingerprints.
        detail: String,
    },
    /// There was no answer, for this reason.
    Lost(String),
}

/// What the peer answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// `Retry-After`, from now.
    pub retry_after: Option<Duration>,
    /// The body, whole.
    pub body: Result<Bytes, Cut>,
}

/// Why a body is not there in full.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Cut {
    /// The connection ended before the body.
    #[error("the answer broke off")]
    Broken,
    /// The time was over before the body.
    #[error("the answer did not end in time")]
    Late,
    /// The body is longer than this many bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

// === impl Line ===

impl Line {
    /// A line to `url`, which `peer` is called in complaints. Connects to nobody yet. `clock` is
    /// what the date of a `Retry-After` is held against.
    pub fn new(
        peer: &'static str,
        url: Uri,
        tls: tls::ClientConfig,
        limits: Limits,
        clock: fn() -> Timestamp,
    ) -> Self {
        let connector = Connector::new(tls, limits.connect);
        Self {
            client: client(connector.clone(), limits),
            connector,
            peer,
            url,
            headers: headers(),
            limits,
            places: Semaphore::new(limits.in_flight),
            clock,
        }
    }

    /// The longest one exchange takes.
    pub fn timeout(&self) -> Duration {
        self.limits.time
    }

    /// Makes a connection ahead of need: see `Connector::prepare`.
    pub fn prepare(&self) -> Option<impl Future<Output = Result<(), NotConnected>> + Send + use<>> {
        self.connector.prepare(self.url.clone())
    }

    /// Makes a connection, and so verifies the peer; it is kept for the first exchange.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub async fn probe(&self) -> Result<(), NotConnected> {
        self.connector.probe(self.url.clone()).await
    }

    /// Waits for a place, until the deadline at the latest. What may change meanwhile, such as a
    /// key, is better looked up once there is one.
    ///
    /// Cancel safe: dropping the future gives up its turn.
    ///
    /// # Errors
    ///
    /// How the exchange ended, which never began.
    pub async fn place(&self, deadline: Instant) -> Result<Place<'_>, Outcome> {
        match timeout_at(deadline, self.places.acquire()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(self.late()),
        }
    }

    /// Sends one request and takes in what comes back. Waits for a connection, for the answer and
    /// for its end, until the deadline at the latest. `headers` are added to those that every
    /// request carries.
    ///
    /// Cancel safe: dropping the future drops the request, which may have been received.
    pub async fn exchange(
        &self,
        _place: Place<'_>,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
    ) -> Outcome {
        let request = match self.request(method, path, headers, body) {
            Ok(request) => request,
            Err(error) => return Outcome::Lost(error.to_string()),
        };
        let response = match timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return self.lost(&error),
            Err(_) => return self.late(),
        };
        let (head, body) = response.into_parts();
        let body = match timeout_at(deadline, read(body, self.limits.answer)).await {
            Ok(body) => body,
            Err(_) => Err(Cut::Late),
        };
        Outcome::Answered(Reply {
            status: head.status,
            retry_after: retry_after(&head.headers, (self.clock)()),
            body,
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let base = self.url.to_string();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", base.trim_end_matches('/')))
            .body(Full::from(body))?;
        request.headers_mut().clone_from(&self.headers);
        request.headers_mut().extend(headers);
        Ok(request)
    }

    fn late(&self) -> Outcome {
        let (peer, limit) = (self.peer, self.limits.time.as_secs_f32());
        Outcome::Lost(format!("{peer} did not answer within {limit} s"))
    }

    fn lost(&self, error: &(dyn StdError + 'static)) -> Outcome {
        match tls::distrust(error) {
            Some((why, detail)) => Outcome::Distrusted { why, detail },
            None => Outcome::Lost(format!("{} cannot be reached: {}", self.peer, root(error))),
        }
    }
}

fn client(connector: Connector, limits: Limits) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(limits.in_flight)
        // A connection that died unnoticed (the machine slept) is found out before the first
        // question on it times out, and the next one gets another.
        .http2_keep_alive_interval(limits.time / 4)
        .http2_keep_alive_timeout(limits.time / 4)
        .build(connector)
}

/// What every request carries; the rest is the caller's.
fn headers() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    let name = HeaderValue::from_static(concat!("thoth/", env!("CARGO_PKG_VERSION")));
    HeaderMap::from_iter([(CONTENT_TYPE, json.clone()), (ACCEPT, json), (USER_AGENT, name)])
}

/// The innermost cause: the layers above it say that a request or a connection failed.
pub fn root(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes, Cut> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Cut::TooLong(limit)),
        Err(_) => Err(Cut::Broken),
    }
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Duration::try_from(date.timestamp().duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("Sat, 21 Nov 2026 10:01:00 GMT", Some(60)),
            ("Sat, 21 Nov 2026 09:00:00 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
