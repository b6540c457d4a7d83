//! Connects to a peer: in bounded time, and once ahead of need.
//!
//! The pool of hyper's client opens connections for requests only. A handshake that starts when
//! thoth starts, before there is a request, leaves its connection here, and the pool's first wish
//! for one is served from here.

use std::error::Error as StdError;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tower_service::Service;

use crate::tls::ClientConfig;

/// A spare connection is not used when it is older: what stands between us and the peer may
/// have forgotten it.
const SPARE_LIFE: Duration = Duration::from_secs(30);

/// One connection, encrypted or (to loopback) not.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Makes connections, each within a limit from name look-up to the end of the handshake.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    limit: Duration,
    /// Locked while the spare connection is made, so that a question waits for it rather than
    /// making its own.
    spare: Arc<Mutex<Option<(Stream, Instant)>>>,
}

/// Why there is no connection. The source tells distrust from trouble.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// It took longer than this.
    #[error("no connection within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// It failed.
    #[error("no connection")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(tls: ClientConfig, limit: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false); // the scheme was checked when the URL was read
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(30)));
        Self { https: HttpsConnector::from((http, tls)), limit, spare: Arc::default() }
    }

    /// Makes a connection and keeps it for the next request, which waits for it from this call
    /// on. `None` where that is already under way.
    ///
    /// Cancel safe: dropping the future closes the connection.
    pub(super) fn prepare(
        &self,
        to: Uri,
    ) -> Option<impl Future<Output = Result<(), NotConnected>> + Send + use<>> {
        let mut spare = Arc::clone(&self.spare).try_lock_owned().ok()?;
        let connecting = self.clone().connect(to);
        Some(async move {
            *spare = Some((connecting.await?, Instant::now()));
            Ok(())
        })
    }

    /// Makes a connection, and keeps it where there is no better use for it.
    ///
    /// Cancel safe: dropping the future closes the connection.
    pub(super) async fn probe(&self, to: Uri) -> Result<(), NotConnected> {
        let made = self.clone().connect(to).await?;
        if let Ok(mut spare) = self.spare.try_lock() {
            *spare = Some((made, Instant::now()));
        }
        Ok(())
    }

    async fn connect(mut self, to: Uri) -> Result<Stream, NotConnected> {
        timeout(self.limit, self.https.call(to))
            .await
            .map_err(|_| NotConnected::Timeout(self.limit))?
            .map_err(NotConnected::Failed)
    }

    async fn spare(&self) -> Option<Stream> {
        let (mut stream, since) = self.spare.lock().await.take()?;
        (since.elapsed() < SPARE_LIFE && is_open(&mut stream)).then_some(stream)
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = NotConnected;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, NotConnected>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        self.https.poll_ready(context).map_err(NotConnected::Failed)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            match connector.spare().await {
                Some(stream) => Ok(stream),
                None => connector.connect(to).await,
            }
        })
    }
}

/// Whether the peer has left a connection open that nothing was sent on yet. Takes in what the
/// peer has sent by itself (session tickets, HTTP/2 settings); TLS keeps it for the reader.
fn is_open(stream: &mut Stream) -> bool {
    let mut plain = [0];
    match stream {
        Stream::Http(tcp) => would_block(&tcp.inner().try_read(&mut plain)),
        Stream::Https(tls) => {
            let (tcp, tls) = tls.inner_mut().get_mut();
            loop {
                let read = tls.read_tls(&mut Unblocking(tcp.inner().inner()));
                if would_block(&read) {
                    return true;
                }
                let alive = read.is_ok_and(|bytes| bytes > 0)
                    && tls.process_new_packets().is_ok_and(|state| !state.peer_has_closed());
                if !alive {
                    return false;
                }
            }
        }
    }
}

fn would_block(read: &io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Reads what is there, and never waits.
struct Unblocking<'a>(&'a TcpStream);

impl Read for Unblocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}
