//! A Baton collector: `POST {base}/v0/events`, one event at a time, over a [`Line`].
//!
//! Wire facts are from baton-proxy 0.6.18 and the Baton SPEC (§2, §10, §12): 201 for an event, 200
//! for one that is known by its id already, an error body with a code.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::{Event, SinkError};
use crate::config::settings::Tls;
use crate::credential::Credential;
use crate::https::{Limits, Line, Outcome, Reply, base};
use crate::tls;

/// The longest one exchange may take: [`IN_FLIGHT`] of them go on at once.
pub const EXCHANGE: Duration = Duration::from_secs(10);
/// How many events are under way at once.
pub(super) const IN_FLIGHT: usize = 16;

/// The longest connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes. Nothing in it matters but its status.
const MAX_ANSWER: usize = 16 * 1024;

/// One collector, and the connections to it.
#[derive(Debug)]
pub(super) struct Collector {
    line: Line,
    url: String,
    credential: Option<Credential>,
}

/// What became of one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// The collector has it.
    Taken,
    /// The collector will never take it, for this reason.
    Unwanted(String),
    /// It has to be sent again.
    Later {
        /// Why.
        why: String,
        /// What the collector asked for.
        retry_after: Option<Duration>,
    },
}

// === impl Collector ===

impl Collector {
    /// Connects to nobody yet. Reads the roots from disk, which takes milliseconds.
    pub(super) fn new(
        url: &str,
        credential: Option<Credential>,
        tls: &Tls,
        clock: fn() -> Timestamp,
    ) -> Result<Self, SinkError> {
        let uri = base(url).map_err(SinkError::Address)?;
        // The pins are the enforcer's: no collector shows its certificate.
        let of_collector = Tls { pins: Vec::new(), ..tls.clone() };
        let tls = if uri.scheme_str() == Some("https") {
            tls::client_config(&of_collector)
        } else {
            // No handshake will ask for roots, and there may be none to load.
            tls::client_config(&Tls { unverified: true, ..Tls::default() })
        };
        let tls = tls.map_err(SinkError::Tls)?;
        let limits =
            Limits { time: EXCHANGE, connect: CONNECT, answer: MAX_ANSWER, in_flight: IN_FLIGHT };
        let line = Line::new("the collector", uri, tls, limits, clock);
        Ok(Self { line, url: url.to_owned(), credential })
    }

    /// What its spool is called: the same for every process that sends there for this tenant,
    /// whatever key it has by now.
    pub(super) fn spool_name(&self, tenant: &str) -> String {
        let sha256 = Sha256::new().chain_update(&self.url).chain_update("\n").chain_update(tenant);
        format!("http-{}", hex::encode(&sha256.finalize()[..8]))
    }

    /// Sends one event. Ends within [`EXCHANGE`].
    ///
    /// Cancel safe: the collector may have it all the same, and will know its id.
    pub(super) async fn send(&self, event: Event) -> Fate {
        let deadline = Instant::now() + EXCHANGE;
        let Some(credential) = &self.credential else {
            return fate(self.post(&event, HeaderMap::new(), deadline).await);
        };
        let mut key = match timeout_at(deadline, credential.current()).await {
            Ok(Ok(key)) => key,
            Ok(Err(why)) => return Fate::later(&format!("the collector's key: {why}")),
            Err(_) => return Fate::later("the collector's key cannot be read in time"),
        };
        let mut is_retry = false;
        loop {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, key.secret.authorization())]);
            let outcome = self.post(&event, headers, deadline).await;
            let is_rejected = matches!(&outcome, Outcome::Answered(reply)
                if reply.status == StatusCode::UNAUTHORIZED);
            let is_accepted = matches!(&outcome, Outcome::Answered(reply)
                if reply.status.is_success());
            if is_accepted {
                credential.accepted(key.generation);
            }
            if is_rejected
                && !is_retry
                && let Some(newer) = credential.after_rejection(key.generation, deadline).await
            {
                (key, is_retry) = (newer, true);
                continue;
            }
            return fate(outcome);
        }
    }

    async fn post(&self, event: &Event, headers: HeaderMap, deadline: Instant) -> Outcome {
        let body = event.bytes().clone();
        let place = match self.line.place(deadline).await {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        self.line.exchange(place, Method::POST, "/v0/events", headers, body, deadline).await
    }
}

/// What the end of an exchange means for the event.
///
/// Only what is said about the event itself loses it. A key that is not accepted, a vendor that is
/// not known, a path that is not there, a redirection: all that can be mended, and the event waits.
fn fate(outcome: Outcome) -> Fate {
    let Reply { status, retry_after, .. } = match outcome {
        Outcome::Answered(reply) => reply,
        Outcome::Lost(why) => return Fate::later(&why),
        Outcome::Distrusted { why, detail } => {
            return Fate::later(&format!("the collector is not trusted: {why} ({detail})"));
        }
    };
    let why = format!("the collector answered {status}");
    match status.as_u16() {
        200..=299 => Fate::Taken,
        401 | 403 | 404 | 405 | 407 | 408 | 421 | 423 | 425 | 429 => {
            Fate::Later { why, retry_after }
        }
        400..=499 => Fate::Unwanted(why),
        _ => Fate::Later { why, retry_after },
    }
}

// === impl Fate ===

impl Fate {
    fn later(why: &str) -> Self {
        // Parts of it may be the peer's words: a certificate's names.
        let why = why.chars().map(|character| if character.is_control() { ' ' } else { character });
        Self::Later { why: why.take(500).collect(), retry_after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means_for_the_event() {
        for (statuses, word) in [
            (&[200, 201, 202, 204][..], "taken"),
            (&[400, 402, 406, 409, 410, 411, 413, 414, 415, 422, 431, 451], "unwanted"),
            (&[401, 403, 404, 405, 407, 408, 421, 423, 425, 429], "later"),
            (&[500, 501, 502, 503, 504, 507, 599], "later"),
            (&[300, 301, 302, 303, 307, 308], "later"),
        ] {
            for &status in statuses {
                let status = StatusCode::from_u16(status).unwrap();
                let retry_after = Some(Duration::from_secs(7));
                let reply = Reply { status, retry_after, body: Ok("{}".into()) };
                let found = match fate(Outcome::Answered(reply)) {
                    Fate::Taken => "taken",
                    Fate::Unwanted(_) => "unwanted",
                    Fate::Later { retry_after: asked, .. } => {
                        assert_eq!(asked, retry_after);
                        "later"
                    }
                };
                assert_eq!(found, word, "{status}");
            }
        }
        let lost = fate(Outcome::Lost("the collector\ncannot be reached".to_owned()));
        assert_eq!(lost, Fate::later("the collector cannot be reached"));
    }
}
