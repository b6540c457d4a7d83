//! Exchanges whose answers are streamed: one request there, its head back at once, its body as it
//! arrives.
//!
//! How long anything may take is for whoever asks to say, but for connecting. What a status or a
//! header means is not known here.
//!
//! # Invariants
//!
//! - [`Lost::Unconnected`] and [`Lost::Distrusted`] mean that no byte of the request was written.
//! - A proxy is asked only for a peer that is spoken to over TLS, and sees nothing of what is said.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::line::root;
use crate::tls::{self, Distrust};

/// How long an idle connection is kept. Servers that answer by themselves, as those on loopback
/// do, close theirs after 5 s (Node, uvicorn); balancers after 60 s. A request that meets a
/// connection which is just being closed is lost, and must not be sent again.
const IDLE_PLAIN: Duration = Duration::from_secs(4);
const IDLE_TLS: Duration = Duration::from_secs(50);

/// How often a silent HTTP/2 connection is asked whether it still lives, and how long for.
const ALIVE: Duration = Duration::from_secs(20);

/// The pooled connections to one server.
#[derive(Clone, Debug)]
pub struct Wire {
    client: Client<Dialer, Full<Bytes>>,
}

/// A proxy that connections are made through.
#[derive(Clone, Debug)]
pub struct Proxy(Tunnel<HttpConnector>);

/// A proxy that is spoken to in a way which is not known here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the environment's proxy is a `{0}` one; only `http://` proxies are known")]
pub struct UnknownProxy(String);

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Lost {
    /// There is no connection; nothing was sent.
    #[error("{0}")]
    Unconnected(String),
    /// The peer's certificate was not accepted; nothing was sent.
    #[error("{detail}")]
    Distrusted {
        /// What is wrong with it.
        why: Distrust,
        /// The same with names, times and fingerprints.
        detail: String,
    },
    /// The connection ended before the answer began. The request may have been received.
    #[error("{0}")]
    Broken(String),
}

/// Makes connections, each within a limit.
#[derive(Clone, Debug)]
struct Dialer {
    layers: Layers,
    limit: Duration,
}

/// What a connection is made of. Without TLS its roots need not be loaded.
#[derive(Clone, Debug)]
enum Layers {
    Plain(Route),
    Tls(HttpsConnector<Route>),
}

/// The way to the server, below TLS.
#[derive(Clone, Debug)]
enum Route {
    Direct(HttpConnector),
    Through(Tunnel<HttpConnector>),
}

type BoxError = Box<dyn StdError + Send + Sync>;
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

// === impl Proxy ===

impl Proxy {
    /// The proxy that the environment names for this address: `HTTPS_PROXY` or `ALL_PROXY`, unless
    /// `NO_PROXY` excepts it. `None` for a loopback address, and for what is not `https`.
    ///
    /// # Errors
    ///
    /// [`UnknownProxy`]: whoever named a proxy would not have the server reached without it.
    pub fn from_environment(url: &Uri) -> Result<Option<Self>, UnknownProxy> {
        let host = url.host().unwrap_or_default();
        if url.scheme_str() != Some("https") || super::address::is_loopback(host) {
            return Ok(None);
        }
        Matcher::from_env().intercept(url).map(|intercept| Self::of(&intercept)).transpose()
    }

    fn of(intercept: &Intercept) -> Result<Self, UnknownProxy> {
        let uri = intercept.uri();
        if uri.scheme_str() != Some("http") {
            return Err(UnknownProxy(uri.scheme_str().unwrap_or_default().to_owned()));
        }
        let tunnel = Tunnel::new(uri.clone(), connector());
        Ok(Self(match intercept.basic_auth() {
            Some(auth) => tunnel.with_auth(auth.clone()),
            None => tunnel,
        }))
    }
}

// === impl Wire ===

impl Wire {
    /// Connections to one host, each made within `connect`; without `tls`, to `http` addresses
    /// only. Connects to nobody yet.
    pub fn new(tls: Option<tls::ClientConfig>, connect: Duration, proxy: Option<Proxy>) -> Self {
        let route = match proxy {
            Some(Proxy(tunnel)) => Route::Through(tunnel),
            None => Route::Direct(connector()),
        };
        let (layers, idle) = match tls {
            Some(tls) => (Layers::Tls(HttpsConnector::from((route, tls))), IDLE_TLS),
            None => (Layers::Plain(route), IDLE_PLAIN),
        };
        let dialer = Dialer { layers, limit: connect };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            .http2_keep_alive_interval(ALIVE)
            .http2_keep_alive_timeout(ALIVE)
            .build(dialer);
        Self { client }
    }

    /// Sends one request, and waits for the head of its answer, as long as it takes. No
    /// redirection is followed.
    ///
    /// Cancel safe: dropping the future, or the answer's body, ends the exchange.
    ///
    /// # Errors
    ///
    /// [`Lost`].
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Lost> {
        self.client.request(request).await.map_err(|error| {
            if let Some((why, detail)) = tls::distrust(&error) {
                return Lost::Distrusted { why, detail };
            }
            let why = root(&error);
            if error.is_connect() { Lost::Unconnected(why) } else { Lost::Broken(why) }
        })
    }
}

fn connector() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.enforce_http(false); // the scheme was checked when the URL was read
    http.set_nodelay(true);
    http.set_keepalive(Some(Duration::from_secs(30)));
    http
}

// === impl Dialer ===

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.layers {
            Layers::Plain(route) => route.poll_ready(context),
            Layers::Tls(https) => https.poll_ready(context),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let limit = self.limit;
        let connecting: Self::Future = match &mut self.layers {
            Layers::Plain(_) if to.scheme_str() != Some("http") => {
                Box::pin(async { Err("nothing is said without TLS to this address".into()) })
            }
            Layers::Plain(route) => {
                let connecting = route.call(to);
                Box::pin(async move { connecting.await.map(MaybeHttpsStream::Http) })
            }
            Layers::Tls(https) => https.call(to),
        };
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {} s", limit.as_secs_f32()).into()),
            }
        })
    }
}

// === impl Route ===

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(http) => http.poll_ready(context).map_err(Into::into),
            Self::Through(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Self::Direct(http) => {
                let connecting = http.call(to);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
            Self::Through(tunnel) => {
                let connecting = tunnel.call(to);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_tls_nothing_is_said_to_an_https_address() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = nobody.local_addr().unwrap();
        let wire = Wire::new(None, Duration::from_secs(5), None);
        let request = Request::get(format!("https://{address}/")).body(Full::default()).unwrap();
        let lost = wire.send(request).await.unwrap_err();
        assert!(matches!(&lost, Lost::Unconnected(why) if why.contains("without TLS")), "{lost:?}");
        let accepted = timeout(Duration::ZERO, nobody.accept()).await;
        assert!(accepted.is_err(), "somebody connected");
    }
}
