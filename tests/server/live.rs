//! An enforcer with a store of its own: its router alone, or behind a socket and TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tempfile::TempDir;
use thoth::config::settings::Tls;
use thoth::machine::clock;
use thoth::policy::{Pack, PolicySet};
use thoth::server::caller::{Permissions, Scope};
#[cfg(feature = "otlp")]
use thoth::server::events::Forward;
use thoth::server::keys::{self, NewKey};
use thoth::server::listen::bounds::{Bounds, bounded};
use thoth::server::listen::serve;
use thoth::server::rulebook::{Book, Rulebook};
use thoth::server::store::Store;
use thoth::server::{App, Parts, Tenant, outset};
use thoth::tls;
use thoth::tls::serve::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use crate::database::Database;

/// An enforcer without a socket.
pub(crate) struct Enforcer {
    pub(crate) app: App,
    pub(crate) router: Router,
    database: Database,
}

/// The same behind a socket and TLS, on a free port of this machine. Serves until it is dropped.
pub(crate) struct Served {
    pub(crate) app: App,
    pub(crate) address: SocketAddr,
    /// The certificate's pin.
    pub(crate) pin: String,
    /// The certificate, to be trusted.
    pub(crate) ca: PathBuf,
    /// A key of the tenant `default` that may do what a sidecar does.
    pub(crate) key: String,
    /// One that may do everything.
    pub(crate) admin: String,
    pub(crate) serving: AbortOnDropHandle<()>,
    _database: Database,
    _directory: TempDir,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Enforcer {
    /// One that decides by the baseline pack.
    pub(crate) async fn new() -> Self {
        Self::with(|parts| parts).await
    }

    /// The same, which sends events on.
    #[cfg(feature = "otlp")]
    pub(crate) async fn forwarding(forward: Forward) -> Self {
        Self::with(|parts| Parts { forward, ..parts }).await
    }

    /// One with other parts.
    pub(crate) async fn with(change: impl FnOnce(Parts) -> Parts) -> Self {
        let database = Database::new().await;
        let store = Store::open(database.url()).await.unwrap();
        let pack = Pack::named("baseline").unwrap().policy().unwrap();
        let set = PolicySet::new(vec![pack]).unwrap();
        let app = App::new(change(Parts::of(store, Rulebook::new(Book::new(set)))));
        Self { router: bounded(app.clone(), Bounds::default()), app, database }
    }

    /// A key of a tenant with these permissions.
    pub(crate) async fn key(&self, tenant: &str, permissions: Permissions) -> String {
        self.key_for(tenant, permissions, Scope::Organization).await
    }

    /// One that is good for a part of the tenant.
    pub(crate) async fn key_for(
        &self,
        tenant: &str,
        permissions: Permissions,
        scope: Scope,
    ) -> String {
        let new = NewKey { name: "test".to_owned(), permissions, scope, expires_at: None };
        let tenant = Tenant::parse(tenant).unwrap();
        keys::issue(&self.app.store, &tenant, &new, clock::now()).await.unwrap().key
    }

    /// Sends one request and reads the answer; a body that is no JSON is null.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Serves it on a socket.
    pub(crate) async fn serve(self, bounds: Bounds) -> Served {
        let key = self.key("default", Permissions::SIDECAR).await;
        let admin = self.key("default", Permissions::ALL).await;
        let directory = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = outset::own_identity(directory.path(), &names, clock::now()).unwrap();
        let acceptor = Acceptor::new(&own.identity).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = self.app.clone();
        let serving = tokio::spawn(async move { serve(listener, acceptor, &app, bounds).await });
        Served {
            app: self.app,
            address,
            pin: own.identity.certificate.fingerprint.to_string(),
            ca: own.file,
            key,
            admin,
            serving: AbortOnDropHandle::new(serving),
            _database: self.database,
            _directory: directory,
        }
    }
}

impl Served {
    /// One that decides by the baseline pack, within the usual bounds.
    pub(crate) async fn new() -> Self {
        Enforcer::new().await.serve(Bounds::default()).await
    }

    /// The same within these bounds.
    pub(crate) async fn within(bounds: Bounds) -> Self {
        Enforcer::new().await.serve(bounds).await
    }

    /// A connection after its handshake, on which HTTP/1.1 is spoken.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_speaking(b"http/1.1").await
    }

    /// The same in another protocol.
    pub(crate) async fn connect_speaking(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let pins = vec![self.pin.parse().unwrap()];
        let trust = Tls { ca_bundle: Some(self.ca.clone()), pins, ..Tls::default() };
        let mut config = tls::client_config(&trust).unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// Sends these bytes and reads until the connection ends.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        stream.flush().await.unwrap();
        read(&mut stream).await
    }

    /// A GET with these lines of head.
    pub(crate) async fn get(&self, path: &str, head: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nhost: e\r\nconnection: close\r\n{head}\r\n");
        self.send(request).await
    }
}

/// What comes until the connection ends, also where it ends without a farewell.
pub(crate) async fn read(stream: &mut TlsStream<TcpStream>) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    Answer::of(&String::from_utf8_lossy(&bytes))
}

impl Answer {
    /// Status 0 where nothing came.
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The word for programs in a fault's body.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}
