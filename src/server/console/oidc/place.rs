//! One address of the provider: requests to it, in bounded time and memory.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::https::{BadAddress, Limits, Line, Outcome, base};
use crate::tls::ClientConfig;

/// What a question to the provider may cost: a login is a rare thing, and a person waits.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    connect: Duration::from_secs(5),
    answer: 256 * 1024,
    in_flight: 4,
};

/// One address, and the connections to its host.
#[derive(Debug)]
pub(super) struct Place {
    line: Line,
    path: String,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why there is no answer: one sentence without a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

// === impl Place ===

impl Place {
    /// Takes `https`, or `http` to this machine itself.
    ///
    /// # Errors
    ///
    /// [`BadAddress`]
    pub(super) fn new(
        url: &str,
        tls: &ClientConfig,
        clock: fn() -> Timestamp,
    ) -> Result<Self, BadAddress> {
        let after = url.find("://").map_or(0, |at| at + 3);
        let end = url[after..].find(['/', '?', '#']).map_or(url.len(), |at| after + at);
        let (origin, path) = url.split_at(end);
        let path = path.split('#').next().unwrap_or_default().to_owned();
        let line = Line::new("the OpenID provider", base(origin)?, tls.clone(), LIMITS, clock);
        Ok(Self { line, path })
    }

    /// Asks for a document.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`], also where the answer is no success.
    pub(super) async fn get(&self) -> Result<Bytes, NoAnswer> {
        let answered = self.ask(Method::GET, HeaderMap::new(), Vec::new()).await?;
        match answered.status {
            StatusCode::OK => Ok(answered.body),
            status => Err(NoAnswer(format!("{} answered {status}", self.path))),
        }
    }

    /// Sends one request.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]
    pub(super) async fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answered, NoAnswer> {
        let deadline = Instant::now() + self.line.timeout();
        let outcome = match self.line.place(deadline).await {
            Ok(place) => {
                self.line.exchange(place, method, &self.path, headers, body.into(), deadline).await
            }
            Err(late) => late,
        };
        match outcome {
            Outcome::Answered(reply) => {
                let body = reply.body.map_err(|cut| NoAnswer(cut.to_string()))?;
                Ok(Answered { status: reply.status, body })
            }
            Outcome::Distrusted { why, detail } => Err(NoAnswer(format!("{why} ({detail})"))),
            Outcome::Lost(why) => Err(NoAnswer(why)),
        }
    }
}
