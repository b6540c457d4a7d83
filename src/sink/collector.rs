//! Who gets events over the network, one at a time, and what became of each.
//!
//! Which protocol is spoken is for the modules below; what a spool, a shipper and a standing need
//! to know is the same for all.

mod baton;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "s3")]
mod s3;

use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{Event, Setup, SinkError};
use crate::config::settings::{SinkPlace, Tls};
use crate::https::{self, Limits, Line, Outcome, Reply};
use crate::tls;

/// The longest one exchange may take; sixteen go on at once.
pub const EXCHANGE: Duration = Duration::from_secs(10);
/// How many events are under way at once.
pub(super) const IN_FLIGHT: usize = 16;

/// The longest connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes: an error's code, or a word on what was not taken.
const MAX_ANSWER: usize = 16 * 1024;

/// One collector, and the connections to it.
#[derive(Debug)]
pub(super) enum Collector {
    Baton(baton::Baton),
    #[cfg(feature = "otlp")]
    Otlp(otlp::Otlp),
    #[cfg(feature = "s3")]
    S3(s3::S3),
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
    pub(super) fn new(setup: &Setup) -> Result<Self, SinkError> {
        match &setup.place {
            SinkPlace::Stderr | SinkPlace::File(_) => {
                unreachable!("events for this place are sent nowhere")
            }
            SinkPlace::Http(url) => baton::Baton::new(url, setup).map(Self::Baton),
            #[cfg(feature = "otlp")]
            SinkPlace::Otlp(place) => otlp::Otlp::new(place, setup).map(Self::Otlp),
            #[cfg(feature = "s3")]
            SinkPlace::S3(place) => s3::S3::new(place, setup).map(Self::S3),
        }
    }

    /// Sends one event. Ends within [`EXCHANGE`], give or take what a credential takes.
    ///
    /// Cancel safe: the collector may have it all the same, and will know its id.
    pub(super) async fn send(&self, event: Event) -> Fate {
        match self {
            Self::Baton(baton) => baton.send(event).await,
            #[cfg(feature = "otlp")]
            Self::Otlp(otlp) => otlp.send(event).await,
            #[cfg(feature = "s3")]
            Self::S3(s3) => s3.send(event).await,
        }
    }
}

/// Whether the place can be asked as configured. Pure.
pub(super) fn check(place: &SinkPlace) -> Result<(), SinkError> {
    match place {
        SinkPlace::Stderr | SinkPlace::File(_) => Ok(()),
        SinkPlace::Http(url) => https::base(url).map(drop).map_err(SinkError::Address),
        #[cfg(feature = "otlp")]
        SinkPlace::Otlp(place) => https::base(&place.url).map(drop).map_err(SinkError::Address),
        #[cfg(feature = "s3")]
        SinkPlace::S3(place) => s3::check(place),
    }
}

/// What the spool of a place is called: the same for every process that sends there for this tenant,
/// whatever key it has by now. `None` where events are not spooled.
pub(super) fn spool_name(place: &SinkPlace, tenant: &str) -> Option<String> {
    let (kind, url) = match place {
        SinkPlace::Stderr | SinkPlace::File(_) => return None,
        SinkPlace::Http(url) => ("http", url.clone()),
        #[cfg(feature = "otlp")]
        SinkPlace::Otlp(place) => ("otlp", place.url.clone()),
        #[cfg(feature = "s3")]
        SinkPlace::S3(place) => ("s3", s3::identity(place)),
    };
    let sha256 = Sha256::new().chain_update(url).chain_update("\n").chain_update(tenant);
    Some(format!("{kind}-{}", hex::encode(&sha256.finalize()[..8])))
}

/// A line to a collector's address.
fn line(url: &str, tls: &Tls, clock: fn() -> Timestamp) -> Result<Line, SinkError> {
    let uri = https::base(url).map_err(SinkError::Address)?;
    let tls = tls_for(uri.scheme_str() == Some("https"), tls)?;
    let limits =
        Limits { time: EXCHANGE, connect: CONNECT, answer: MAX_ANSWER, in_flight: IN_FLIGHT };
    Ok(Line::new("the collector", uri, tls, limits, clock))
}

/// What its handshakes need.
fn tls_for(is_encrypted: bool, tls: &Tls) -> Result<tls::ClientConfig, SinkError> {
    let made = if is_encrypted {
        // The pins are the enforcer's: no collector shows its certificate.
        tls::client_config(&Tls { pins: Vec::new(), ..tls.clone() })
    } else {
        // No handshake will ask for roots, and there may be none to load.
        tls::client_config(&Tls { unverified: true, ..Tls::default() })
    };
    made.map_err(SinkError::Tls)
}

/// The answer, or what a lack of one means for the event.
fn answered(outcome: Outcome) -> Result<Reply, Fate> {
    match outcome {
        Outcome::Answered(reply) => Ok(reply),
        Outcome::Lost(why) => Err(Fate::later(&why)),
        Outcome::Distrusted { why, detail } => {
            Err(Fate::later(&format!("the collector is not trusted: {why} ({detail})")))
        }
    }
}

/// What a status means for the event.
///
/// Only what is said about the event itself loses it. A key that is not accepted, a vendor that is
/// not known, a path that is not there, a redirection: all that can be mended, and the event waits.
fn fate(status: StatusCode, retry_after: Option<Duration>) -> Fate {
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
                let found = match fate(status, retry_after) {
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
        let lost = answered(Outcome::Lost("the collector\ncannot be reached".to_owned()));
        assert_eq!(lost.unwrap_err(), Fate::later("the collector cannot be reached"));
    }

    #[test]
    fn a_spool_belongs_to_a_place_and_a_tenant() {
        let http = |url: &str| SinkPlace::Http(url.to_owned());
        let name = spool_name(&http("https://c.example"), "acme").unwrap();
        assert_eq!(name.len(), "http-".len() + 16);
        assert_eq!(spool_name(&http("https://c.example"), "acme").unwrap(), name);
        assert_ne!(spool_name(&http("https://c.example"), "other").unwrap(), name);
        assert_ne!(spool_name(&http("https://d.example"), "acme").unwrap(), name);
        assert_eq!(spool_name(&SinkPlace::Stderr, "acme"), None);
    }
}
