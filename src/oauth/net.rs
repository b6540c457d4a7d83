//! How servers are asked: over TLS or on this machine, each answer bounded in time and size, no
//! redirection followed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::response::Parts;
use hyper::{Request, Response, Uri};
use oauth2::url::Url;
use tokio::time::{Instant, timeout_at};

use crate::config::settings::Tls;
use crate::https::{Lost, Proxy, Wire};
use crate::tls::{self, ClientConfig};

/// The longest one question may take: a login is a rare thing, and a refresh is waited for.
pub(super) const TIME: Duration = Duration::from_secs(10);
/// The longest connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 256 * 1024;

/// Asks servers. Each is asked so seldom that no connection is kept. Clones share the roots.
#[derive(Clone, Debug)]
pub(super) struct Net {
    settings: Tls,
    trust: Arc<OnceLock<Trust>>,
    /// Whether the proxy that the environment names is used.
    is_proxied: bool,
}

#[derive(Debug)]
struct Trust {
    config: ClientConfig,
    /// Why nobody can be asked over TLS, where nobody can.
    none: Option<String>,
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
    /// Connects to nobody, and reads nothing yet. Certificates are always verified, whatever the settings say
    /// of the enforcer's; pins are the enforcer's, too.
    pub(super) fn new(settings: Tls, is_proxied: bool) -> Self {
        let settings = Tls { unverified: false, pins: Vec::new(), ..settings };
        Self { settings, trust: Arc::default(), is_proxied }
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

    /// Sends what [`Request::builder`] has made, and takes in the whole answer, whatever its status.
    ///
    /// Cancel safe: dropping the future drops the request, which may have been received.
    ///
    /// # Errors
    ///
    /// [`Silent`].
    pub(super) async fn ask(
        &self,
        url: &Url,
        request: hyper::http::Result<Request<Bytes>>,
    ) -> Result<Response<Bytes>, Silent> {
        let deadline = Instant::now() + TIME;
        let (head, body) = self.send(url, request, deadline).await?.into_parts();
        match timeout_at(deadline, Limited::new(body, LONGEST).collect()).await {
            Ok(Ok(body)) => Ok(Response::from_parts(head, body.to_bytes())),
            Ok(Err(_)) => Err(Silent::new(
                url,
                format!("has sent an answer that broke off, or is longer than {LONGEST} bytes"),
            )),
            Err(_) => Err(Silent::late(url)),
        }
    }

    /// The same, of whose answer only the head is taken in: its body may never end.
    ///
    /// # Errors
    ///
    /// [`Silent`].
    pub(super) async fn ask_head(
        &self,
        url: &Url,
        request: hyper::http::Result<Request<Bytes>>,
    ) -> Result<Parts, Silent> {
        Ok(self.send(url, request, Instant::now() + TIME).await?.into_parts().0)
    }

    async fn send(
        &self,
        url: &Url,
        request: hyper::http::Result<Request<Bytes>>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Silent> {
        // Reads the CA bundle or the system's roots, the first time: milliseconds.
        let trust = self.trust.get_or_init(|| Trust::of(&self.settings));
        if let (Some(why), "https") = (&trust.none, url.scheme()) {
            return Err(Silent::new(url, format!("cannot be asked: {why}")));
        }
        let no_address = || Silent::new(url, "is no address that can be asked".to_owned());
        let to: Uri = url.as_str().parse().map_err(|_| no_address())?;
        let mut request = request.map_err(|_| no_address())?;
        let name = HeaderValue::from_static(concat!("thoth/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert("user-agent", name);
        let proxy = if self.is_proxied { Proxy::from_environment(&to) } else { Ok(None) };
        let proxy =
            proxy.map_err(|unknown| Silent::new(url, format!("cannot be reached: {unknown}")))?;
        let wire = Wire::new(Some(trust.config.clone()), CONNECT, proxy);
        match timeout_at(deadline, wire.send(request.map(Full::new))).await {
            Ok(answer) => answer.map_err(|lost| {
                let what = match lost {
                    Lost::Distrusted { .. } => "is not trusted",
                    Lost::Unconnected(_) | Lost::Broken(_) => "cannot be reached",
                };
                Silent::new(url, format!("{what}: {lost}"))
            }),
            Err(_) => Err(Silent::late(url)),
        }
    }
}

// === impl Trust ===

impl Trust {
    fn of(settings: &Tls) -> Self {
        match tls::client_config(settings) {
            Ok(config) => Self { config, none: None },
            // A server on this machine may do without roots; `send` refuses all others.
            Err(error) => {
                let plain = Tls { unverified: true, ..Tls::default() };
                let config = tls::client_config(&plain)
                    .unwrap_or_else(|_| unreachable!("without roots, nothing is loaded"));
                Self { config, none: Some(error.to_string()) }
            }
        }
    }
}

// === impl Silent ===

impl Silent {
    fn new(url: &Url, why: String) -> Self {
        Self { at: shown(url), why }
    }

    fn late(url: &Url) -> Self {
        Self::new(url, format!("did not answer within {} s", TIME.as_secs()))
    }
}

/// An address without its query, which may hold what is nobody's business.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}
