//! One connection, from its first byte to its last.
//!
//! # Invariants
//!
//! - A connection without a request under way ends by itself: after [`Bounds::handshake`] where it
//!   never made one, after [`Bounds::idle`] later.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::Peer;
use super::bounds::Bounds;
use crate::tls::serve::{self, Acceptor};

/// The longest head of a request, in bytes, and the most header fields.
const LONGEST_HEAD: u32 = 32 << 10;
const MOST_HEADERS: usize = 100;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) acceptor: Acceptor,
    pub(super) router: Router,
    pub(super) bounds: Bounds,
    pub(super) stop: CancellationToken,
}

/// What goes on in a connection. Clones share it.
#[derive(Clone, Debug)]
struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// How many requests are under way, each until the last byte of its answer.
    requests: usize,
    /// When there was one last.
    last: Instant,
    /// Whether there was any.
    any: bool,
}

/// A request under way.
#[derive(Debug)]
struct UnderWay(Activity);

/// The body of an answer, under way until its end.
struct Answer {
    body: Body,
    _under_way: UnderWay,
}

// === impl Server ===

impl Server {
    /// Serves one connection to its end.
    ///
    /// Cancel safe: dropping the future closes the connection.
    pub(super) async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        // Answers are written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let stream = match timeout(self.bounds.handshake, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "no handshake");
                return;
            }
            Err(_) => {
                tracing::debug!(%peer, "no handshake in time");
                return;
            }
        };
        let is_http2 = serve::is_http2(&stream);
        let activity = Activity::new();
        let (router, seen) = (self.router.clone(), activity.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let under_way = seen.begin();
            request.extensions_mut().insert(Peer(peer));
            let answer = router.clone().call(request);
            async move {
                let Ok(answer) = answer.await;
                Ok::<_, Infallible>(
                    answer.map(|body| Answer { body, _under_way: under_way }) as Response<Answer>
                )
            }
        });
        let io = TokioIo::new(stream);
        if is_http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(self.bounds.streams)
                .max_header_list_size(LONGEST_HEAD)
                // Streams that are opened and reset at once (CVE-2023-44487): hyper's own bound,
                // said here so that it is not lost.
                .max_pending_accept_reset_streams(20)
                .max_local_error_reset_streams(256)
                .max_send_buf_size(256 << 10)
                .keep_alive_interval(self.bounds.head)
                .keep_alive_timeout(self.bounds.head)
                .serve_connection(io, service);
            self.oversee(connection, &activity).await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.bounds.head)
                .max_buf_size(LONGEST_HEAD as usize)
                .max_headers(MOST_HEADERS)
                .serve_connection(io, service);
            self.oversee(connection, &activity).await;
        }
    }

    /// Drives a connection; asks it to end when the server does, or when nothing goes on in it.
    async fn oversee(&self, connection: impl GracefulConnection, activity: &Activity) {
        let Bounds { handshake, idle, .. } = self.bounds;
        let mut connection = pin!(connection);
        let mut stop = pin!(self.stop.cancelled());
        let mut timer =
            pin!(sleep_until(activity.until(handshake, idle).unwrap_or_else(Instant::now)));
        let mut is_ending = false;
        poll_fn(|cx| {
            loop {
                // What a connection ends with is the peer's affair, who may have just gone.
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                if !is_ending && stop.as_mut().poll(cx).is_ready() {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                match activity.until(handshake, idle) {
                    // Something goes on: look again later.
                    None => timer.as_mut().reset(now + idle),
                    Some(until) if until > now => timer.as_mut().reset(until),
                    // Asked before, and still there.
                    Some(_) if is_ending => return Poll::Ready(()),
                    Some(_) => {
                        is_ending = true;
                        connection.as_mut().graceful_shutdown();
                        timer.as_mut().reset(now + handshake);
                    }
                }
            }
        })
        .await;
    }
}

// === impl Activity ===

impl Activity {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State { requests: 0, last: Instant::now(), any: false })))
    }

    fn begin(&self) -> UnderWay {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests += 1;
        state.any = true;
        drop(state);
        UnderWay(self.clone())
    }

    /// Until when the connection may stay without another request; `None` while one is under way.
    fn until(&self, first: std::time::Duration, idle: std::time::Duration) -> Option<Instant> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.requests == 0).then(|| state.last + if state.any { idle } else { first })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests -= 1;
        state.last = Instant::now();
    }
}

// === impl Answer ===

impl HttpBody for Answer {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
