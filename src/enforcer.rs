//! Asks the remote enforcer about one call, waits for the people it asks in turn, and tells it what
//! has become of the call meanwhile.
//!
//! [`crate::https`] carries the bytes; what they mean is in [`wire`], what the
//! end of an exchange means in `outcome`, when to look at a hold again in `hold`. What an answer,
//! or the lack of one, means for the call is decided in [`crate::gate::decide`].
//!
//! # Invariants
//!
//! - Nothing is sent to a peer that was not verified and did not match a pin: both happen in the
//!   handshake ([`crate::tls`]). Without TLS, only a loopback address is spoken to.
//! - A question is judged once. hyper's client sends a request again only where its connection was
//!   closed before any part of it was written; whatever may have been judged is never repeated,
//!   as in every SDK: a second try would double what a person waits at their prompt, and the
//!   failure decision is the rule for an enforcer that is away. The one exception is a 401, by
//!   which the enforcer says that it judged nothing: the same question, with the same ids, goes
//!   out again with a newer key, where there is one, within the same time.
//! - Where a key is configured, nothing is sent without one, nor with one that is revoked.
//! - A redirection is never followed: the key and the question go where they were meant to go.
//! - Every question ends within its timeout, its wait for a place among the
//!   [`MAX_IN_FLIGHT`] included; an answer takes at most [`MAX_ANSWER`] bytes of memory.
//!
//! - Looks at holds leave room for questions: at most `MAX_KEPT` of them ask to be kept. So do
//!   releases: at most `MAX_RELEASING` are under way.
//! - What is told ([`Enforcer::reply`], [`Enforcer::release`]) is told once, as well as can be; that it
//!   did not arrive changes nothing here.
//!
//! Proxy variables (`HTTPS_PROXY`) are not honoured: a pin is meant to hold end to end.

mod hold;
mod outcome;
pub mod wire;

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::config::settings::{self, Tls};
use crate::credential::{Credential, Flaw, NoCredential, Snapshot};
use crate::gate::verdict::{Answer, Hold, Keeper, Question, Reply, Verdict};
use crate::https::{BadAddress, Limits, Line, NotConnected, Outcome, base, root, segment};
use crate::secret::ApiKey;
use crate::tls::{self, Distrust, TlsError};
use hold::{Kept, Moment, Next, Watch};
use outcome::Look;
use wire::{AskedBy, Asker, Expected, NotContext, Particulars};

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// How many questions are under way at once; further ones wait for a place.
pub const MAX_IN_FLIGHT: usize = 64;
/// How often one question is sent at most, each time with a key that is newer than the rejected
/// one. Its time is the limit that counts; this one is for a file that never stops changing.
const MAX_TRIES: usize = 32;
/// How many looks at holds ask at once to be kept until somebody has answered; further ones are
/// answered as the hold stands. Each takes a place from questions.
const MAX_KEPT: usize = MAX_IN_FLIGHT / 2;
/// How many holds are released at once; further ones wait, and leave places for questions.
const MAX_RELEASING: usize = MAX_IN_FLIGHT / 4;

/// The enforcer, and the connections to it. Clones share both.
#[derive(Clone, Debug)]
pub struct Enforcer {
    session: Arc<Session>,
    interval: Duration,
}

/// What all clones share.
#[derive(Debug)]
struct Session {
    line: Line,
    /// What thoth authenticates with; without one, no header is sent.
    credential: Option<Credential>,
    asker: Asker,
    step_up_wait: Duration,
    clock: fn() -> Timestamp,
    /// For looks that ask to be kept.
    kept: Semaphore,
    /// For releases.
    releasing: Semaphore,
    /// The handshake made ahead of need; ends with the last clone.
    warming: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// Why there is no enforcer to ask.
#[derive(Debug, thiserror::Error)]
pub enum EnforcerError {
    /// The URL cannot be asked.
    #[error("the enforcer cannot be asked")]
    Address(#[source] BadAddress),
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
    /// Reads the CA bundle or the system's roots from disk. A call waits at most `step_up_wait` for a
    /// person. `clock` tells the wall time that is written into questions, and that a hold's
    /// `expires_at` is held against.
    ///
    /// # Errors
    ///
    /// [`EnforcerError`], where the configuration cannot be used.
    pub fn new(
        settings: &settings::Enforcer,
        tls: &Tls,
        by: AskedBy<'_>,
        step_up_wait: Duration,
        clock: fn() -> Timestamp,
    ) -> Result<Self, EnforcerError> {
        let url = base(&settings.url).map_err(EnforcerError::Address)?;
        let tls = if url.scheme_str() == Some("https") {
            tls::client_config(tls)
        } else if tls.pins.is_empty() {
            // No handshake will ask for roots, and there may be none to load.
            tls::client_config(&Tls { unverified: true, ..Tls::default() })
        } else {
            return Err(EnforcerError::PinsWithoutTls);
        };
        let tls = tls.map_err(EnforcerError::Tls)?;
        let context = settings.context.clone();
        let asker = Asker::new(by, context).map_err(EnforcerError::Context)?;
        Ok(Self {
            session: Arc::new(Session {
                line: Line::new("the enforcer", url, tls, limits(settings), clock),
                credential: settings.api_key.clone(),
                asker,
                step_up_wait,
                clock,
                kept: Semaphore::new(MAX_KEPT),
                releasing: Semaphore::new(MAX_RELEASING),
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
        let Some(preparing) = self.session.line.prepare() else {
            return;
        };
        let warming = tokio::spawn(async move {
            // The first random number of a process costs tens of milliseconds of arithmetic, which
            // must not stand between a line's arrival and its departure.
            let _ = tokio::task::spawn_blocking(tls::seed).await;
            if let Err(error) = preparing.await {
                tracing::debug!(error = %root(&error), "no connection to the enforcer yet");
            }
        });
        *self.session.warming.lock().unwrap_or_else(PoisonError::into_inner) =
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
        let probed = self.session.line.probe().await;
        probed.map_err(|error| match tls::distrust(&error) {
            Some((why, detail)) => ProbeError::Distrusted { why, detail },
            None => ProbeError::Unreachable(match error {
                NotConnected::Failed(source) => source,
                error @ NotConnected::Timeout(_) => error.into(),
            }),
        })
    }

    /// Asks one question and waits for its answer, at most the configured timeout in all. What a
    /// person has answered about the call inside the client ([`Question::reply`]) is told first, in
    /// at most half of that time.
    ///
    /// Cancel safe: dropping the future drops the question, which the enforcer may have received.
    pub async fn ask(&self, question: Question) -> Answer {
        let session = &*self.session;
        let started = Instant::now();
        let deadline = started + session.line.timeout();
        if let Some((hold, reply)) = &question.reply
            && hold.keeper == Keeper::Enforcer
        {
            session.reply(hold, *reply, started + session.line.timeout() / 2).await;
        }
        let attestation = match session.asker.attestation() {
            Some(configured) => configured.to_owned(),
            None => Uuid::new_v4().to_string(),
        };
        let particulars = Particulars {
            question: &question,
            request: &Uuid::new_v4().to_string(),
            attestation: &attestation,
            at: (session.clock)(),
        };
        let mut written = match wire::question(&session.asker, particulars) {
            Ok(body) => Some(body),
            Err(error) => {
                return Answer::Said(Verdict::block("question_unreadable", &error.to_string()));
            }
        };
        // Written anew for another try, not kept for one: most questions need none, and a large one
        // would lie here twice for as long as the enforcer thinks.
        let body = || {
            let anew = || wire::question(&session.asker, particulars).unwrap_or_default();
            written.take().unwrap_or_else(anew).into()
        };
        let expected = Expected { trace: session.asker.trace(), attestation: Some(&attestation) };
        let none = HeaderMap::new();
        let answer = match session.exchange(Method::POST, "/v1/enforce", none, body, deadline).await
        {
            Ok(outcome) => outcome::of_question(outcome, expected),
            Err(without) => Answer::Said(outcome::unsent(&without)),
        };
        note(&question, &answer);
        answer
    }

    /// Waits until a person has answered, the hold has ended, or the limit is reached: the
    /// shortest of the enforcer's timeout (15 minutes where it gives none), its `expires_at` and
    /// the configured one. Looks at the hold at once, and asks the enforcer to keep the look until
    /// somebody has answered; one that does not is looked at again at its interval.
    ///
    /// The answer is always [`Answer::Said`]: silence about a hold is no approval. Where nobody has
    /// answered it is a step-up, with the hold as long as that can still be approved.
    ///
    /// Cancel safe: dropping the future stops the looking; the hold stays open at the enforcer.
    pub async fn wait(&self, hold: Hold) -> Answer {
        let session = &*self.session;
        let started = Instant::now();
        let path = path(&hold);
        let mut watch = Watch::new(
            &hold,
            session.step_up_wait,
            self.interval,
            session.line.timeout(),
            session.moment(),
        );
        loop {
            let (asked, longest) = (Instant::now(), session.line.timeout());
            let seat = session.kept.try_acquire().ok();
            let keep = seat.as_ref().and_then(|_| watch.keep(longest, asked));
            let Ok(look) = timeout_at(watch.deadline(), session.look(&path, keep)).await else {
                break;
            };
            drop(seat);
            let moment = session.moment();
            let kept = keep.map(|seconds| Kept {
                wanted: Duration::from_secs(seconds),
                took: moment.now - asked,
            });
            match watch.saw(look, kept, moment) {
                Next::Over(verdict) => return Answer::Said(*verdict),
                Next::At(due) if due < watch.deadline() => sleep_until(due).await,
                Next::At(_) => {
                    sleep_until(watch.deadline()).await;
                    break;
                }
            }
        }
        let mut verdict = watch.over(hold, started.elapsed());
        verdict.grounds.trace_id = Some(session.asker.trace().to_owned());
        Answer::Said(verdict)
    }

    /// Tells the enforcer what a person has answered inside the client. Takes at most the configured
    /// timeout. Best effort: whether the enforcer lets whoever made the call answer it is for
    /// [`Enforcer::wait`], or another question, to learn.
    ///
    /// Cancel safe: dropping the future drops the reply, which the enforcer may have received.
    pub async fn reply(&self, hold: &Hold, reply: Reply) {
        let session = &*self.session;
        session.reply(hold, reply, Instant::now() + session.line.timeout()).await;
    }

    /// Tells the enforcer that nobody will make the held call any more. Takes at most the configured
    /// timeout. Best effort: an enforcer that does not hear of it keeps a hold nobody waits for.
    ///
    /// Cancel safe: dropping the future drops what is told, which the enforcer may have received.
    pub async fn release(&self, hold: &Hold) {
        let session = &*self.session;
        let deadline = Instant::now() + session.line.timeout();
        let Ok(Ok(_seat)) = timeout_at(deadline, session.releasing.acquire()).await else {
            return;
        };
        session.tell(Method::DELETE, &path(hold), Bytes::new(), deadline).await;
    }
}

/// Where a hold is.
fn path(hold: &Hold) -> String {
    format!("/v1/enforce/hold/{}", segment(&hold.token))
}

fn limits(settings: &settings::Enforcer) -> Limits {
    Limits {
        time: settings.timeout,
        connect: settings.connect_timeout,
        answer: MAX_ANSWER,
        in_flight: MAX_IN_FLIGHT,
    }
}

/// The headers thoth authenticates with. Enforcers differ in which one they read.
fn authentication(key: &ApiKey) -> HeaderMap {
    let api_key = HeaderName::from_static("x-api-key");
    HeaderMap::from_iter([(AUTHORIZATION, key.authorization()), (api_key, key.api_key())])
}

/// For people who read the trace; never what was asked about or answered in full.
fn note(question: &Question, answer: &Answer) {
    let (ticket, tool) = (question.ticket.0, &*question.tool);
    let (Answer::Said(Verdict { grounds, .. }) | Answer::Silent(grounds)) = answer;
    let (code, reason) = (grounds.reason_code.as_deref(), grounds.reason.as_deref());
    let is_trouble = |code: &str| code.starts_with("enforcer_") || code == "api_key_revoked";
    if code.is_some_and(is_trouble) {
        tracing::warn!(ticket, tool, code, reason, "trouble with the enforcer");
    } else {
        tracing::debug!(ticket, tool, code, "the enforcer answered");
    }
}

// === impl Session ===

impl Session {
    fn moment(&self) -> Moment {
        Moment { now: Instant::now(), wall: (self.clock)(), dice: Uuid::new_v4().as_bytes()[0] }
    }

    /// Sends a request, and again with a newer key where the enforcer rejects the one there is;
    /// all of it until the deadline.
    ///
    /// What was rejected and then remains without an answer stays rejected: a key file that never
    /// stops changing must not make an outage of it.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        mut body: impl FnMut() -> Bytes,
        deadline: Instant,
    ) -> Result<Outcome, NoCredential> {
        let mut rejected = None;
        let mut tries = 0;
        loop {
            let place = match self.line.place(deadline).await {
                Ok(place) => place,
                Err(late) => return Ok(rejected.unwrap_or(late)),
            };
            // Not before there is a place: the key may have been replaced while it was waited for.
            let key = self.key(deadline).await?;
            let (mut headers, method) = (headers.clone(), method.clone());
            headers.extend(key.iter().flat_map(|(_, key)| authentication(&key.secret)));
            let sent = self.line.exchange(place, method, path, headers, body(), deadline).await;
            tries += 1;
            let status = match (&sent, &rejected) {
                (Outcome::Answered(reply), _) => reply.status,
                (Outcome::Lost(_), Some(rejected)) => return Ok(Outcome::clone(rejected)),
                (Outcome::Distrusted { .. } | Outcome::Lost(_), _) => return Ok(sent),
            };
            let Some((credential, key)) = key else { return Ok(sent) };
            if status.is_success() {
                credential.accepted(key.generation);
            }
            if status != StatusCode::UNAUTHORIZED
                || tries == MAX_TRIES
                || credential.after_rejection(key.generation, deadline).await.is_none()
            {
                return Ok(sent);
            }
            rejected = Some(sent);
        }
    }

    /// The key as it is now, where one is configured.
    async fn key(
        &self,
        deadline: Instant,
    ) -> Result<Option<(&Credential, Snapshot)>, NoCredential> {
        let Some(credential) = &self.credential else { return Ok(None) };
        let late = |_| Err(NoCredential::Missing(Flaw::Slow));
        let key = timeout_at(deadline, credential.current()).await.unwrap_or_else(late)?;
        Ok(Some((credential, key)))
    }

    /// Looks at a hold; where `keep` is given, the enforcer may take so many seconds to answer.
    async fn look(&self, path: &str, keep: Option<u64>) -> Look {
        let expected = Expected { trace: self.asker.trace(), attestation: None };
        let deadline = Instant::now() + self.line.timeout();
        let wait = keep.and_then(|seconds| HeaderValue::try_from(format!("wait={seconds}")).ok());
        let headers = wait.map(|wait| (HeaderName::from_static("prefer"), wait));
        let headers = HeaderMap::from_iter(headers);
        match self.exchange(Method::GET, path, headers, Bytes::new, deadline).await {
            Ok(outcome) => outcome::of_hold(outcome, expected),
            Err(without) => Look::Refused(Box::new(outcome::unsent(&without))),
        }
    }
    async fn reply(&self, hold: &Hold, reply: Reply, deadline: Instant) {
        let body = match reply {
            Reply::Approve => &br#"{"decision":"approve"}"#[..],
            Reply::Deny => br#"{"decision":"deny"}"#,
        };
        let path = format!("{}/reply", path(hold));
        self.tell(Method::POST, &path, Bytes::from_static(body), deadline).await;
    }

    /// Tells the enforcer something that nothing here depends on. One that does not know the way is
    /// as good as any.
    async fn tell(&self, method: Method, path: &str, body: Bytes, deadline: Instant) {
        let told = method.clone();
        match self.exchange(method, path, HeaderMap::new(), || body.clone(), deadline).await {
            Ok(Outcome::Answered(reply)) => {
                tracing::debug!(%told, status = reply.status.as_u16(), "told the enforcer of a hold");
            }
            Ok(Outcome::Distrusted { detail: why, .. } | Outcome::Lost(why)) => {
                tracing::debug!(%told, why, "could not tell the enforcer of a hold");
            }
            Err(without) => {
                tracing::debug!(%told, why = %without, "could not tell the enforcer of a hold");
            }
        }
    }
}
