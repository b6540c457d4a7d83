//! The line to the enforcer: one request there, one outcome back, in bounded time and memory.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    USER_AGENT,
};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connector::{Connector, NotConnected};
use super::outcome::{Cut, Outcome, Reply};
use super::{MAX_ANSWER, MAX_IN_FLIGHT};
use crate::config::settings;
use crate::tls;

/// An idle connection is closed after this time: before the 60 s after which common load balancers
/// close theirs, so that a question seldom meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(50);

/// The pooled connections to one enforcer, and what every request on them carries.
#[derive(Debug)]
pub(super) struct Line {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    url: Uri,
    headers: HeaderMap,
    timeout: Duration,
    places: Semaphore,
    clock: fn() -> Timestamp,
}

// === impl Line ===

impl Line {
    pub(super) fn new(
        url: Uri,
        tls: tls::ClientConfig,
        settings: &settings::Enforcer,
        clock: fn() -> Timestamp,
    ) -> Self {
        let connector = Connector::new(tls, settings.connect_timeout);
        Self {
            client: client(connector.clone(), settings.timeout),
            connector,
            url,
            headers: headers(settings),
            timeout: settings.timeout,
            places: Semaphore::new(MAX_IN_FLIGHT),
            clock,
        }
    }

    /// The longest one exchange takes.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Makes a connection ahead of need: see [`Connector::prepare`].
    pub(super) fn prepare(
        &self,
    ) -> Option<impl Future<Output = Result<(), NotConnected>> + Send + use<>> {
        self.connector.prepare(self.url.clone())
    }

    /// Makes a connection: see [`Connector::probe`].
    pub(super) async fn probe(&self) -> Result<(), NotConnected> {
        self.connector.probe(self.url.clone()).await
    }

    /// Sends one request and takes in what comes back. Waits for a place, for a connection, for
    /// the answer and for its end, in all at most [`Line::timeout`].
    ///
    /// Cancel safe: dropping the future drops the request, which may have been received.
    pub(super) async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let late = || {
            let limit = self.timeout.as_secs_f32();
            Outcome::Lost(format!("the enforcer did not answer within {limit} s"))
        };
        let Ok(_place) = timeout_at(deadline, self.places.acquire()).await else {
            return late();
        };
        let request = match self.request(method, path, body) {
            Ok(request) => request,
            Err(error) => return Outcome::Lost(error.to_string()),
        };
        let response = match timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return lost(&error),
            Err(_) => return late(),
        };
        let (head, body) = response.into_parts();
        let body = match timeout_at(deadline, read(body)).await {
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
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let base = self.url.to_string();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", base.trim_end_matches('/')))
            .body(Full::from(body))?;
        request.headers_mut().clone_from(&self.headers);
        Ok(request)
    }
}

fn client(connector: Connector, timeout: Duration) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IN_FLIGHT)
        // A connection that died unnoticed (the machine slept) is found out before the first
        // question on it times out, and the next one gets another.
        .http2_keep_alive_interval(timeout / 4)
        .http2_keep_alive_timeout(timeout / 4)
        .build(connector)
}

fn headers(settings: &settings::Enforcer) -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    let name = HeaderValue::from_static(concat!("thoth/", env!("CARGO_PKG_VERSION")));
    let mut headers =
        HeaderMap::from_iter([(CONTENT_TYPE, json.clone()), (ACCEPT, json), (USER_AGENT, name)]);
    if let Some(key) = &settings.api_key {
        // Enforcers differ in which one they read.
        headers.insert(AUTHORIZATION, key.authorization());
        headers.insert(HeaderName::from_static("x-api-key"), key.api_key());
    }
    headers
}

fn lost(error: &(dyn StdError + 'static)) -> Outcome {
    match tls::distrust(error) {
        Some((why, detail)) => Outcome::Distrusted { why, detail },
        None => Outcome::Lost(format!("the enforcer cannot be reached: {}", root(error))),
    }
}

/// The innermost cause: the layers above it say that a request or a connection failed.
pub(super) fn root(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

async fn read(body: Incoming) -> Result<Bytes, Cut> {
    match Limited::new(body, MAX_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Cut::TooLong),
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
