//! Requests to addresses that are asked once, such as the documents of an authorization server: a
//! connection for each, and the answer with its headers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::response::Parts;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::address::{BadAddress, base};
use super::connector::Connector;
use super::line::{Cut, Limits, read, root};
use crate::tls::{self, Distrust};

/// Asks addresses that are asked once. Clones share the trust in whom is asked.
#[derive(Clone, Debug)]
pub struct Once {
    connector: Connector,
    limits: Limits,
}

/// Why there is no answer. Says nothing of what was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It is no address that may be asked.
    #[error("cannot be asked: {0}")]
    Address(#[from] BadAddress),
    /// Its certificate was not accepted; nothing was sent.
    #[error("is not trusted: {why} ({detail})")]
    Distrusted {
        /// What is wrong with it.
        why: Distrust,
        /// The same with names, times and fingerprints.
        detail: String,
    },
    /// The connection was not made, or broke.
    #[error("cannot be reached: {0}")]
    Lost(String),
    /// There was no answer in time.
    #[error("did not answer within {} s", .0.as_secs_f32())]
    Late(std::time::Duration),
    /// The answer is not there in full.
    #[error(transparent)]
    Cut(#[from] Cut),
}

// === impl Once ===

impl Once {
    /// Connects to nobody yet. [`Limits::in_flight`] does not count here.
    pub fn new(tls: tls::ClientConfig, limits: Limits) -> Self {
        Self { connector: Connector::new(tls, limits.connect), limits }
    }

    /// Sends one request, and takes in the whole answer, whatever its status.
    ///
    /// Cancel safe: dropping the future drops the request, which may have been received.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`].
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        let deadline = Instant::now() + self.limits.time;
        let (head, body) = self.send(request, deadline).await?.into_parts();
        let body = timeout_at(deadline, read(body, self.limits.answer))
            .await
            .map_err(|_| NoAnswer::Cut(Cut::Late))??;
        Ok(Response::from_parts(head, body))
    }

    /// Sends one request, and takes in the head of the answer alone: its body may never end.
    ///
    /// Cancel safe, as [`Once::ask`].
    ///
    /// # Errors
    ///
    /// [`NoAnswer`].
    pub async fn ask_head(&self, request: Request<Bytes>) -> Result<Parts, NoAnswer> {
        let deadline = Instant::now() + self.limits.time;
        Ok(self.send(request, deadline).await?.into_parts().0)
    }

    async fn send(
        &self,
        request: Request<Bytes>,
        deadline: Instant,
    ) -> Result<Response<hyper::body::Incoming>, NoAnswer> {
        let to = request.uri();
        let (scheme, authority) = (to.scheme_str(), to.authority());
        let (Some(scheme), Some(authority)) = (scheme, authority) else {
            return Err(BadAddress::Url.into());
        };
        base(&format!("{scheme}://{authority}"))?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_max_idle_per_host(0)
            .build(self.connector.clone());
        match timeout_at(deadline, client.request(request.map(Full::new))).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(match tls::distrust(&error) {
                Some((why, detail)) => NoAnswer::Distrusted { why, detail },
                None => NoAnswer::Lost(root(&error)),
            }),
            Err(_) => Err(NoAnswer::Late(self.limits.time)),
        }
    }
}
