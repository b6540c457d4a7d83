//! A Baton collector: `POST {base}/v0/events`, one event at a time, over a [`Line`].
//!
//! Wire facts are from baton-proxy 0.6.18 and the Baton SPEC (§2, §10, §12): 201 for an event, 200
//! for one that is known by its id already, an error body with a code.

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::{EXCHANGE, Fate, answered, fate, line};
use crate::credential::Credential;
use crate::https::{Line, Outcome};
use crate::sink::{Event, Setup, SinkError};

/// One collector, and the connections to it.
#[derive(Debug)]
pub(in crate::sink) struct Baton {
    line: Line,
    credential: Option<Credential>,
}

impl Baton {
    pub(super) fn new(url: &str, setup: &Setup) -> Result<Self, SinkError> {
        let line = line(url, &setup.tls, setup.clock)?;
        Ok(Self { line, credential: setup.api_key.clone() })
    }

    pub(super) async fn send(&self, event: Event) -> Fate {
        let deadline = Instant::now() + EXCHANGE;
        let Some(credential) = &self.credential else {
            return meaning(self.post(&event, HeaderMap::new(), deadline).await);
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
            let status = match &outcome {
                Outcome::Answered(reply) => Some(reply.status),
                Outcome::Distrusted { .. } | Outcome::Lost(_) => None,
            };
            if status.is_some_and(|status| status.is_success()) {
                credential.accepted(key.generation);
            }
            if status == Some(StatusCode::UNAUTHORIZED)
                && !is_retry
                && let Some(newer) = credential.after_rejection(key.generation, deadline).await
            {
                (key, is_retry) = (newer, true);
                continue;
            }
            return meaning(outcome);
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

fn meaning(outcome: Outcome) -> Fate {
    answered(outcome).map_or_else(|fate| fate, |reply| fate(reply.status, reply.retry_after))
}
