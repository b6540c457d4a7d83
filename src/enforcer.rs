//! Asks the remote enforcer about one call, and waits for the people it asks in turn.
//!
//! This file speaks HTTP; what the bytes mean is in [`wire`], what the end of an exchange means in
//! `outcome`, when to look at a hold again in `hold`. What an answer, or the lack of one, means
//! for the call is decided in [`crate::gate::decide`].
//!
//! # Invariants
//!
//! - Nothing is sent to a peer that was not verified and did not match a pin: both happen in the
//!   handshake ([`crate::tls`]). Without TLS, only a loopback address is spoken to.
//! - A question is sent once. hyper's client sends a request again only where its connection was
//!   closed before any part of it was written; whatever may have been received is never repeated,
//!   as in every SDK: a second try would double what a person waits at their prompt, and the
//!   failure decision is the rule for an enforcer that is away.
//! - A redirection is never followed: the key and the question go where they were meant to go.
//! - Every question ends within its timeout, its wait for a place among the
//!   [`MAX_IN_FLIGHT`] included; an answer takes at most [`MAX_ANSWER`] bytes of memory.
//!
//! Proxy variables (`HTTPS_PROXY`) are not honoured: a pin is meant to hold end to end.

mod connector;
mod hold;
mod outcome;
pub mod wire;

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
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
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::config::settings::{self, Environment, Identity, Tls};
use crate::gate::decide::Mode;
use crate::gate::verdict::{Answer, Hold, Question, Verdict};
use crate::tls::{self, Distrust, TlsError};
use connector::{Connector, NotConnected};
use hold::{Moment, Next, Watch};
use outcome::{Cut, Look, Outcome, Reply};
use wire::{Asker, Expected, NotContext, Particulars};

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// How many questions are under way at once; further ones wait for a place.
pub const MAX_IN_FLIGHT: usize = 64;

/// An idle connection is closed after this time: before the 60 s after which common load balancers
/// close theirs, so that a question seldom meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(50);

/// The enforcer, and the connections to it. Clones share both.
#[derive(Clone, Debug)]
pub struct Enforcer {
    line: Arc<Line>,
    interval: Duration,
}

/// What all clones share.
#[derive(Debug)]
struct Line {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    url: Uri,
    headers: HeaderMap,
    asker: Asker,
    timeout: Duration,
    step_up_wait: Duration,
    places: Semaphore,
    clock: fn() -> Timestamp,
    /// The handshake made ahead of need; ends with the last clone.
    warming: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// Why there is no enforcer to ask.
#[derive(Debug, thiserror::Error)]
pub enum EnforcerError {
    /// The URL cannot be asked.
    #[error("the enforcer's URL is not one like https://enforce.example.com")]
    Url,
    /// The URL is `http://` and leaves this machine.
    #[error("the enforcer's URL is http:// and no loopback address; use https://")]
    Plaintext,
    /// There are pins and nothing to hold them against.
    #[error("pins are configured, but an http:// enforcer shows no certificate; use https://")]
    PinsWithoutTls,
    /// The roots cannot be loaded.
    #[error("cannot set up TLS to the enforcer")]
    Tls(#[source] TlsError),
    /// A part of the configured context cannot be sent.
    #[error(transparent)]
    Context(NotContext),
}

/// Why the enforcer cannot be asked right now.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It is there, and not trusted.
    #[error("the enforcer is not trusted: {why} ({detail})")]
    Distrusted {
        /// What is wrong with its certificate.
        why: Distrust,
        /// The same with names, times and fingerprints.
        detail: String,
    },
    /// There is no connection, or no complete handshake.
    #[error("the enforcer cannot be reached")]
    Unreachable(#[source] Box<dyn StdError + Send + Sync>),
}

// === impl Enforcer ===

impl Enforcer {
    /// Binds the configuration to one session. Connects to nobody yet.
    ///
    /// Reads the CA bundle or the system's roots from disk. `clock` tells the wall time that is
    /// written into questions, and that a hold's `expires_at` is held against.
    ///
    /// # Errors
    ///
    /// [`EnforcerError`], where the configuration cannot be used.
    pub fn new(
        settings: &settings::Enforcer,
        tls: &Tls,
        identity: &Identity,
        environment: Environment,
        mode: Mode,
        session_id: &str,
        clock: fn() -> Timestamp,
    ) -> Result<Self, EnforcerError> {
        let url = base(&settings.url)?;
        let tls = if url.scheme_str() == Some("https") {
            tls::client_config(tls)
        } else if tls.pins.is_empty() {
            // No handshake will ask for roots, and there may be none to load.
            tls::client_config(&Tls { unverified: true, ..Tls::default() })
        } else {
            return Err(EnforcerError::PinsWithoutTls);
        };
        let connector = Connector::new(tls.map_err(EnforcerError::Tls)?, settings.connect_timeout);
        let context = settings.context.clone();
        Ok(Self {
            line: Arc::new(Line {
                client: client(connector.clone(), settings.timeout),
                connector,
                url,
                headers: headers(settings),
                asker: Asker::new(identity, environment, mode, session_id, context)
                    .map_err(EnforcerError::Context)?,
                timeout: settings.timeout,
                step_up_wait: settings.step_up_wait,
                places: Semaphore::new(MAX_IN_FLIGHT),
                clock,
                warming: Mutex::default(),
            }),
            interval: hold::INTERVAL,
        })
    }

    /// The same enforcer, with another interval between two looks at a hold where the enforcer
    /// asks for none. Default 2 s.
    #[must_use]
    pub fn looking_every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Starts the handshake for the first question, and returns at once. Nothing but the handshake
    /// is sent; a failure shows when the question is asked.
    ///
    /// The task ends within the connect timeout, or with the last clone of this enforcer.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn warm_up(&self) {
        let Some(preparing) = self.line.connector.prepare(self.line.url.clone()) else {
            return;
        };
        let warming = tokio::spawn(async move {
            if let Err(error) = preparing.await {
                tracing::debug!(error = %root(&error), "no connection to the enforcer yet");
            }
        });
        *self.line.warming.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(AbortOnDropHandle::new(warming));
    }

    /// Makes a handshake with the enforcer, and so verifies its certificate and the pins. Sends no
    /// question; the connection is kept for the first one. Takes at most the connect timeout.
    ///
    /// Cancel safe: dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// [`ProbeError`], where no connection that could be trusted came about.
    pub async fn probe(&self) -> Result<(), ProbeError> {
        let probed = self.line.connector.probe(self.line.url.clone()).await;
        probed.map_err(|error| match tls::distrust(&error) {
            Some((why, detail)) => ProbeError::Distrusted { why, detail },
            None => ProbeError::Unreachable(match error {
                NotConnected::Failed(source) => source,
                error @ NotConnected::Timeout(_) => error.into(),
            }),
        })
    }

    /// Asks one question and waits for its answer, at most the configured timeout in all.
    ///
    /// Cancel safe: dropping the future drops the question, which the enforcer may have received.
    pub async fn ask(&self, question: Question) -> Answer {
        let line = &*self.line;
        let attestation = match line.asker.attestation() {
            Some(configured) => configured.to_owned(),
            None => Uuid::new_v4().to_string(),
        };
        let particulars = Particulars {
            question: &question,
            request: &Uuid::new_v4().to_string(),
            attestation: &attestation,
            at: (line.clock)(),
        };
        let body = match wire::question(&line.asker, particulars) {
            Ok(body) => body,
            Err(error) => {
                return Answer::Said(Verdict::block("question_unreadable", &error.to_string()));
            }
        };
        let outcome = line.exchange(Method::POST, "/v1/enforce", body).await;
        let expected = Expected { trace: line.asker.trace(), attestation: Some(&attestation) };
        let answer = outcome::of_question(outcome, expected);
        note(&question, &answer);
        answer
    }

    /// Waits until a person has answered, the hold has ended, or the limit is reached: the
    /// shortest of the enforcer's timeout (15 minutes where it gives none), its `expires_at` and
    /// the configured one. Looks at the hold at once, and then at the enforcer's interval.
    ///
    /// The answer is always [`Answer::Said`]: silence about a hold is no approval.
    ///
    /// Cancel safe: dropping the future stops the looking; the hold stays open at the enforcer.
    pub async fn wait(&self, hold: Hold) -> Answer {
        let line = &*self.line;
        let started = Instant::now();
        let path = format!("/v1/enforce/hold/{}", segment(&hold.token));
        let mut watch =
            Watch::new(&hold, line.step_up_wait, self.interval, line.timeout, line.moment());
        loop {
            let Ok(look) = timeout_at(watch.deadline(), line.look(&path)).await else {
                break;
            };
            match watch.saw(look, line.moment()) {
                Next::Over(verdict) => return Answer::Said(*verdict),
                Next::At(due) if due < watch.deadline() => sleep_until(due).await,
                Next::At(_) => {
                    sleep_until(watch.deadline()).await;
                    break;
                }
            }
        }
        Answer::Said(hold::timed_out(started.elapsed()))
    }
}

/// For people who read the trace; never what was asked about or answered in full.
fn note(question: &Question, answer: &Answer) {
    let (ticket, tool) = (question.ticket.0, &*question.tool);
    let (Answer::Said(Verdict { grounds, .. }) | Answer::Silent(grounds)) = answer;
    let (code, reason) = (grounds.reason_code.as_deref(), grounds.reason.as_deref());
    if code.is_some_and(|code| code.starts_with("enforcer_")) {
        tracing::warn!(ticket, tool, code, reason, "trouble with the enforcer");
    } else {
        tracing::debug!(ticket, tool, code, "the enforcer answered");
    }
}

// === impl Line ===

impl Line {
    fn moment(&self) -> Moment {
        Moment { now: Instant::now(), wall: (self.clock)(), dice: Uuid::new_v4().as_bytes()[0] }
    }

    async fn look(&self, path: &str) -> Look {
        let outcome = self.exchange(Method::GET, path, Vec::new()).await;
        let expected = Expected { trace: self.asker.trace(), attestation: None };
        outcome::of_hold(outcome, expected)
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Outcome {
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

fn base(url: &str) -> Result<Uri, EnforcerError> {
    let url: Uri = url.parse().map_err(|_| EnforcerError::Url)?;
    let authority = url.authority().ok_or(EnforcerError::Url)?;
    if authority.as_str().contains('@') || url.query().is_some() {
        return Err(EnforcerError::Url);
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_loopback(authority.host()) => Ok(url),
        Some("http") => Err(EnforcerError::Plaintext),
        _ => Err(EnforcerError::Url),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// One path segment: RFC 3986 §2.3's unreserved characters stand for themselves. Dots alone would
/// be a step in the path, so they are written out.
fn segment(token: &str) -> String {
    use std::fmt::Write as _;

    let only_dots = token.bytes().all(|byte| byte == b'.');
    let mut segment = String::with_capacity(token.len());
    for byte in token.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
        if plain || (byte == b'.' && !only_dots) {
            segment.push(char::from(byte));
        } else {
            let _ = write!(segment, "%{byte:02X}"); // writing to a string does not fail
        }
    }
    segment
}

fn lost(error: &(dyn StdError + 'static)) -> Outcome {
    match tls::distrust(error) {
        Some((why, detail)) => Outcome::Distrusted { why, detail },
        None => Outcome::Lost(format!("the enforcer cannot be reached: {}", root(error))),
    }
}

/// The innermost cause: the layers above it say that a request or a connection failed.
fn root(error: &(dyn StdError + 'static)) -> String {
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
    fn which_urls_are_asked() {
        for (url, expected) in [
            ("https://enforce.acme.example", "ok"),
            ("https://enforce.acme.example:8443/base", "ok"),
            ("https://10.0.0.1", "ok"),
            ("http://127.0.0.1:8080", "ok"),
            ("http://127.8.9.1", "ok"),
            ("http://[::1]:8080", "ok"),
            ("http://LocalHost:8080", "ok"),
            ("http://localhost.acme.example", "Plaintext"),
            ("http://enforce.acme.example", "Plaintext"),
            ("http://0.0.0.0", "Plaintext"),
            ("http://[::]", "Plaintext"),
            ("https://user:pass@acme.example", "Url"),
            ("http://127.0.0.1@acme.example", "Url"),
            ("https://acme.example/?a=b", "Url"),
            ("ftp://acme.example", "Url"),
            ("acme.example", "Url"),
            ("/v1", "Url"),
            ("https://", "Url"),
            ("", "Url"),
        ] {
            let found = match base(url) {
                Ok(_) => "ok".to_owned(),
                Err(error) => format!("{error:?}"),
            };
            assert_eq!(found, expected, "{url:?}");
        }
    }

    #[test]
    fn a_token_is_one_segment() {
        for (token, expected) in [
            ("abc-DEF_1~2.3", "abc-DEF_1~2.3"),
            ("a/b", "a%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("100%", "100%25"),
            ("é", "%C3%A9"),
            ("a b\n", "a%20b%0A"),
            ("..", "%2E%2E"),
            (".", "%2E"),
        ] {
            assert_eq!(segment(token), expected);
        }
    }

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
