//! The GovAPI: registers this machine, checks in, reports tools, and takes directives back.
//!
//! [`crate::https`] carries the bytes; what they mean is in [`wire`]. [`beat`] is what the holder of the
//! endpoint's lock does again and again, in the [`rhythm`](crate::rhythm) that successes and failures make;
//! [`tools`] is what a server offers, as it is reported. `docs/govapi.md` describes all of it.
//!
//! # Invariants
//!
//! - Nothing here touches a call: no call waits for the GovAPI, and none is decided by it. What it
//!   orders reaches the gate as a flag ([`crate::endpoint::quarantine`]).
//! - No body holds a secret: names, counts, hashes and fingerprints only.
//! - Every exchange ends within [`TIMEOUT`]; an answer takes at most [`MAX_ANSWER`] bytes.

pub mod beat;
pub mod tools;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::config::settings::{self, Tls};
use crate::credential::{Credential, Snapshot, Standing};
use crate::https::{BadAddress, Limits, Line, Outcome, Reply, base, segment};
use crate::tls::{self, TlsError};
use wire::{CheckIn, Inventory, Orders, Registration};

/// The longest one exchange may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 256 * 1024;

/// The longest connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The GovAPI, and the connections to it. Clones share both.
#[derive(Clone, Debug)]
pub struct GovApi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Line,
    url: String,
    /// `/TENANT/thoth`.
    root: String,
    credentials: Vec<(Shape, Credential)>,
}

/// How a credential is sent.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// `Authorization: Bearer`.
    Bearer,
    /// `X-Api-Key`.
    Key,
    /// Both: servers differ in which one they read.
    Both,
}

/// A credential as it goes out.
type Sent = (Shape, Credential, Snapshot);

/// Why there is no GovAPI to talk to.
#[derive(Debug, thiserror::Error)]
pub enum GovApiError {
    /// The URL cannot be asked.
    #[error("the GovAPI cannot be asked")]
    Address(#[source] BadAddress),
    /// The roots cannot be loaded.
    #[error("cannot set up TLS to the GovAPI")]
    Tls(#[source] TlsError),
}

/// Why an exchange came to nothing: one sentence without a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct Trouble {
    why: String,
    /// What the GovAPI asked for, from now.
    pub retry_after: Option<Duration>,
    /// Whether it does not know this machine, or no longer: 404, 409 or 410.
    pub is_unknown: bool,
}

// === impl GovApi ===

impl GovApi {
    /// Prepares the line, and connects to nobody yet. Reads the CA bundle or the system's roots from
    /// disk, which takes milliseconds: nothing for a line's path.
    ///
    /// # Errors
    ///
    /// [`GovApiError`], where the configuration cannot be used.
    pub fn new(
        settings: &settings::GovApi,
        tls: &Tls,
        clock: fn() -> Timestamp,
    ) -> Result<Self, GovApiError> {
        let url = base(&settings.url).map_err(GovApiError::Address)?;
        let tls = if url.scheme_str() == Some("https") {
            tls::client_config(tls)
        } else {
            // No handshake will ask for roots, and there may be none to load.
            tls::client_config(&Tls { unverified: true, ..Tls::default() })
        };
        let tls = tls.map_err(GovApiError::Tls)?;
        let limits = Limits { time: TIMEOUT, connect: CONNECT, answer: MAX_ANSWER, in_flight: 4 };
        let credentials = [
            (Shape::Bearer, &settings.bearer_token),
            (Shape::Key, &settings.api_key),
            (Shape::Both, &settings.fallback_key),
        ];
        let credentials = credentials
            .into_iter()
            .filter_map(|(shape, credential)| Some((shape, credential.clone()?)));
        Ok(Self(Arc::new(Inner {
            line: Line::new("the GovAPI", url, tls, limits, clock),
            url: settings.url.clone(),
            root: format!("/{}/thoth", segment(&settings.tenant)),
            credentials: credentials.collect(),
        })))
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// How its credentials stand.
    pub fn standings(&self) -> Vec<Standing> {
        self.0.credentials.iter().map(|(_, credential)| credential.standing()).collect()
    }

    /// Registers this machine, or brings its registration up to date: `POST /{tenant}/thoth/endpoints`.
    ///
    /// Cancel safe, like everything here that waits: dropping the future drops the request, which
    /// may have been received.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub async fn register(&self, registration: &Registration) -> Result<Orders, Trouble> {
        self.post("/endpoints", registration).await
    }

    /// Checks in: `POST /{tenant}/thoth/endpoints/{endpoint_id}/checkin`.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub async fn check_in(&self, check_in: &CheckIn) -> Result<Orders, Trouble> {
        let id = segment(&check_in.registration.endpoint_id);
        self.post(&format!("/endpoints/{id}/checkin"), check_in).await
    }

    /// Reports one part of a list of tools: `POST /{tenant}/thoth/tool-inventory`.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub async fn report_tools(&self, inventory: &Inventory<'_>) -> Result<(), Trouble> {
        self.post("/tool-inventory", inventory).await.map(drop)
    }

    /// Sends one message. After a 401 a credential that is newer than the rejected one is tried, once
    /// and within the same limit. Where credentials are configured, nothing is sent without one.
    async fn post(&self, path: &str, message: &impl Serialize) -> Result<Orders, Trouble> {
        let body = serde_json::to_vec(message).map_err(|error| Trouble::of(&error.to_string()))?;
        let path = format!("{}{path}", self.0.root);
        let deadline = Instant::now() + TIMEOUT;
        let mut sent = self.current(deadline).await?;
        let mut is_retry = false;
        loop {
            let (headers, body) = (headers(&sent), body.clone().into());
            let line = &self.0.line;
            let outcome = match line.place(deadline).await {
                Ok(place) => {
                    line.exchange(place, Method::POST, &path, headers, body, deadline).await
                }
                Err(late) => late,
            };
            let status = match &outcome {
                Outcome::Answered(reply) => Some(reply.status),
                Outcome::Distrusted { .. } | Outcome::Lost(_) => None,
            };
            if status.is_some_and(|status| status.is_success()) {
                for (_, credential, key) in &sent {
                    credential.accepted(key.generation);
                }
            }
            let is_rejected = status == Some(StatusCode::UNAUTHORIZED);
            if !is_rejected || is_retry || !renewed(&mut sent, deadline).await {
                return read(outcome);
            }
            is_retry = true;
        }
    }

    async fn current(&self, deadline: Instant) -> Result<Vec<Sent>, Trouble> {
        let mut sent = Vec::with_capacity(self.0.credentials.len());
        let mut missing = None;
        for (shape, credential) in &self.0.credentials {
            let name = || credential.standing().name;
            match timeout_at(deadline, credential.current()).await {
                Ok(Ok(snapshot)) => sent.push((*shape, credential.clone(), snapshot)),
                Ok(Err(why)) => missing = Some(format!("{}: {why}", name())),
                Err(_) => missing = Some(format!("{} cannot be read in time", name())),
            }
        }
        match missing {
            Some(why) if sent.is_empty() => Err(Trouble::of(&why)),
            _ => Ok(sent),
        }
    }
}

/// Whether any of the rejected credentials has a newer one by now.
async fn renewed(sent: &mut [Sent], deadline: Instant) -> bool {
    let mut renewed = false;
    for (_, credential, snapshot) in sent {
        if let Some(newer) = credential.after_rejection(snapshot.generation, deadline).await {
            *snapshot = newer;
            renewed = true;
        }
    }
    renewed
}

fn headers(sent: &[Sent]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (shape, _, Snapshot { secret, .. }) in sent {
        if matches!(shape, Shape::Bearer | Shape::Both) {
            headers.insert(AUTHORIZATION, secret.authorization());
        }
        if matches!(shape, Shape::Key | Shape::Both) {
            headers.insert(HeaderName::from_static("x-api-key"), secret.api_key());
        }
    }
    headers
}

/// What the end of an exchange means.
fn read(outcome: Outcome) -> Result<Orders, Trouble> {
    let reply = match outcome {
        Outcome::Answered(reply) => reply,
        Outcome::Lost(why) => return Err(Trouble::of(&why)),
        Outcome::Distrusted { why, detail } => {
            return Err(Trouble::of(&format!("the GovAPI is not trusted: {why} ({detail})")));
        }
    };
    let Reply { status, retry_after, body } = reply;
    if !status.is_success() {
        let is_unknown =
            [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::GONE].contains(&status);
        let why = format!("the GovAPI answered {status}");
        return Err(Trouble { retry_after, is_unknown, ..Trouble::of(&why) });
    }
    let body = body.map_err(|cut| Trouble::of(&format!("the GovAPI: {cut}")))?;
    Orders::read(&body).map_err(|error| Trouble::of(&format!("the GovAPI: {error}")))
}

// === impl Trouble ===

impl Trouble {
    fn of(why: &str) -> Self {
        // Parts of it may be the peer's words: a certificate's names.
        let why = why.chars().map(|character| if character.is_control() { ' ' } else { character });
        Self { why: why.take(500).collect(), retry_after: None, is_unknown: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::Cut;

    #[test]
    fn what_the_end_of_an_exchange_means() {
        let answered = |status: u16, body: Result<&'static str, Cut>| {
            Outcome::Answered(Reply {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                body: body.map(Into::into),
            })
        };
        for (outcome, complaint, is_unknown) in [
            (answered(200, Ok("{}")), None, false),
            (answered(201, Ok("")), None, false),
            (answered(204, Ok("")), None, false),
            (answered(404, Ok("")), Some("the GovAPI answered 404 Not Found"), true),
            (answered(409, Ok("{}")), Some("the GovAPI answered 409 Conflict"), true),
            (answered(410, Ok("{}")), Some("the GovAPI answered 410 Gone"), true),
            (answered(301, Ok("{}")), Some("the GovAPI answered 301 Moved Permanently"), false),
            (answered(401, Ok("{}")), Some("the GovAPI answered 401 Unauthorized"), false),
            (
                answered(503, Err(Cut::Late)),
                Some("the GovAPI answered 503 Service Unavailable"),
                false,
            ),
            (
                answered(200, Ok("<html>")),
                Some("the GovAPI: its answer is not a JSON object"),
                false,
            ),
            (
                answered(200, Err(Cut::TooLong(9))),
                Some("the GovAPI: the answer is longer than 9 bytes"),
                false,
            ),
            (
                Outcome::Lost("the GovAPI cannot\nbe reached".to_owned()),
                Some("the GovAPI cannot be reached"),
                false,
            ),
        ] {
            match read(outcome) {
                Ok(_) => assert_eq!(complaint, None),
                Err(trouble) => {
                    assert_eq!(Some(trouble.to_string().as_str()), complaint);
                    assert_eq!(trouble.is_unknown, is_unknown, "{trouble}");
                }
            }
        }
    }
}
