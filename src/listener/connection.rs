//! One connection: HTTP/1.1, with its bounds.
//!
//! # Invariants
//!
//! - A peer that sends nothing, or reads nothing of what was sent, is not waited for without end.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::reply::Body;
use super::sessions::Sessions;
use super::{Bounds, Open};

/// The longest head of a request, in bytes, and the most header fields.
const LONGEST_HEAD: usize = 32 << 10;
const MOST_HEADERS: usize = 100;

/// How long what was said last may take to be sent.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Service<O> {
    pub(super) door: Door,
    pub(super) sessions: Rc<Sessions<O>>,
    pub(super) bounds: Bounds,
}

/// A stream whose writes fail where nobody reads for too long.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Running while a write waits.
    waits: Option<Pin<Box<Sleep>>>,
}

// === impl Service ===

impl<O: Open> Service<O> {
    /// Serves one connection to its end; once `ended` is cancelled, until what is under way was said.
    ///
    /// Cancel safe: dropping the future closes the connection.
    pub(super) async fn serve(self: Rc<Self>, stream: TcpStream, ended: CancellationToken) {
        // Events are written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let stream = Patient { stream, patience: self.bounds.stalled, waits: None };
        let head = self.bounds.head;
        let service = service_fn(move |request: Request<Incoming>| {
            let service = Rc::clone(&self);
            async move { Ok::<Response<Body>, Infallible>(service.answer(request).await) }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(head)
                .max_buf_size(LONGEST_HEAD)
                .max_headers(MOST_HEADERS)
                .serve_connection(TokioIo::new(stream), service)
        );
        // What a connection ends with is the peer's affair, who may have just gone.
        if ended.run_until_cancelled(connection.as_mut()).await.is_none() {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(FAREWELL, connection).await;
        }
    }
}

// === impl Patient ===

impl Patient {
    /// Fails where a write has waited for too long.
    fn wait<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = None;
            return written;
        }
        let patience = self.patience;
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waits.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wait(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wait(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
