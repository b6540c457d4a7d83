//! A client with one warm connection, over the libraries that sidecars use.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Trouble;
use crate::server::Facts;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Http {
    One,
    Two,
}

/// Opens connections to one enforcer.
#[derive(Clone)]
pub(crate) struct Door {
    tls: TlsConnector,
    http: Http,
    facts: Arc<Facts>,
}

/// One connection. Ends with its last clone, of which HTTP/2 allows several.
pub(crate) enum Connection {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// One request, ready to be sent often.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: Bytes,
}

impl Door {
    pub(crate) fn new(facts: &Facts, http: Http) -> Result<Self, Trouble> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&facts.authority)?)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let protocol: &[u8] = if http == Http::Two { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        // Each connection is another machine's.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), http, facts: Arc::new(facts.clone()) })
    }

    /// Connects and shakes hands.
    pub(crate) async fn open(&self) -> Result<Connection, Trouble> {
        let socket = TcpStream::connect(&self.facts.address).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TokioIo::new(self.tls.connect(name, socket).await?);
        // Each of these ends by itself once its connection is dropped.
        Ok(match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                Connection::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                Connection::Two(sender)
            }
        })
    }
}

impl Connection {
    /// Sends a request and reads its whole answer, which must be a good one.
    pub(crate) async fn send(&mut self, ask: &Ask) -> Result<Bytes, Trouble> {
        let uri = match self {
            Self::One(_) => ask.path.clone(),
            Self::Two(_) => format!("https://localhost{}", ask.path),
        };
        let request = Request::builder()
            .method(ask.method)
            .uri(uri)
            .header("host", "localhost")
            .header("authorization", &ask.key)
            .header("content-type", "application/json")
            .body(Full::new(ask.body.clone()))?;
        let answer = match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            Ok(body)
        } else {
            let said = String::from_utf8_lossy(&body).into_owned();
            Err(format!("{} {} was answered {status}: {said}", ask.method, ask.path).into())
        }
    }

    /// Another stream of the same connection, where it is HTTP/2.
    pub(crate) fn another(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            Self::Two(sender) => Some(Self::Two(sender.clone())),
        }
    }
}
