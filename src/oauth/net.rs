//! How servers are asked: over TLS or on this machine, each answer bounded in time and size, no
//! redirection followed.

use std::time::Duration;

use bytes::Bytes;
use hyper::http::response::Parts;
use hyper::{Request, Response};
use oauth2::url::Url;

use crate::config::settings::Tls;
use crate::https::{self, Limits, Once};
use crate::tls;

/// What a question may cost: a login is a rare thing, and a refresh is waited for.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    connect: Duration::from_secs(5),
    answer: 256 * 1024,
    in_flight: 1,
};

/// Asks servers.
#[derive(Clone, Debug)]
pub(super) struct Net {
    once: Once,
    /// Why nobody can be asked over TLS, where nobody can.
    no_tls: Option<String>,
}

/// Why a server has not answered. Says nothing of what was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{at} {why}")]
pub struct Silent {
    at: String,
    why: String,
}

// === impl Net ===

impl Net {
    /// Connects to nobody yet. Reads the CA bundle or the system's roots from disk. Certificates are always
    /// verified, whatever the settings say of the enforcer's; pins are the enforcer's, too.
    pub(super) fn new(settings: &Tls) -> Self {
        let verified = Tls { unverified: false, pins: Vec::new(), ..settings.clone() };
        let (config, no_tls) = match tls::client_config(&verified) {
            Ok(config) => (Ok(config), None),
            // A server on this machine may do without roots; `ask` refuses all others.
            Err(error) => {
                let plain = Tls { unverified: true, ..Tls::default() };
                (tls::client_config(&plain), Some(error.to_string()))
            }
        };
        let config = config.unwrap_or_else(|_| unreachable!("without roots, nothing is loaded"));
        Self { once: Once::new(config, LIMITS), no_tls }
    }

    /// Asks for a document.
    ///
    /// # Errors
    ///
    /// [`Silent`].
    pub(super) async fn get(&self, url: &Url) -> Result<Response<Bytes>, Silent> {
        let request = Request::get(url.as_str()).header("accept", "application/json");
        self.ask(url, request.body(Bytes::new())).await
    }

    /// Sends what [`Request::builder`] has made.
    ///
    /// # Errors
    ///
    /// [`Silent`].
    pub(super) async fn ask(
        &self,
        url: &Url,
        request: hyper::http::Result<Request<Bytes>>,
    ) -> Result<Response<Bytes>, Silent> {
        let request = self.ready(url, request)?;
        self.once.ask(request).await.map_err(|error| Silent::new(url, &error))
    }

    /// The same, of whose answer only the head is taken in.
    ///
    /// # Errors
    ///
    /// [`Silent`].
    pub(super) async fn ask_head(
        &self,
        url: &Url,
        request: hyper::http::Result<Request<Bytes>>,
    ) -> Result<Parts, Silent> {
        let request = self.ready(url, request)?;
        self.once.ask_head(request).await.map_err(|error| Silent::new(url, &error))
    }

    fn ready(
        &self,
        url: &Url,
        request: hyper::http::Result<Request<Bytes>>,
    ) -> Result<Request<Bytes>, Silent> {
        if let (Some(why), "https") = (&self.no_tls, url.scheme()) {
            return Err(Silent { at: shown(url), why: format!("cannot be asked: {why}") });
        }
        let mut request = request.map_err(|_| Silent::new(url, &https::BadAddress::Url.into()))?;
        let name = concat!("thoth/", env!("CARGO_PKG_VERSION"));
        request.headers_mut().insert("user-agent", hyper::header::HeaderValue::from_static(name));
        Ok(request)
    }
}

// === impl Silent ===

impl Silent {
    fn new(url: &Url, why: &https::NoAnswer) -> Self {
        Self { at: shown(url), why: why.to_string() }
    }
}

/// An address without its query, which may hold what is nobody's business.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}
