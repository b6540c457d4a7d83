//! Answers of HTTP: refusals, JSON, and event streams.
//!
//! # Invariants
//!
//! - No answer lets a web page read it (no CORS), asks for credentials (no `WWW-Authenticate`, which
//!   would make clients begin to register), or may be stored.
//! - An event is one event, whatever its text: no raw line end stands in it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until};

use super::session::Place;
use super::switch::Event;

/// The header with a session's name.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// An error of JSON-RPC that is told with a status of HTTP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem<'a> {
    pub(super) status: StatusCode,
    pub(super) code: i64,
    pub(super) reason_code: &'a str,
    pub(super) message: &'a str,
    /// The request's id, as it was spelled.
    pub(super) id: Option<&'a str>,
}

/// The body of an answer.
pub(super) enum Body {
    /// These bytes; none for an empty one.
    Whole(Bytes),
    /// A stream of events.
    Events(Box<Events>),
}

/// The events of one stream, as they come.
pub(super) struct Events {
    place: Place,
    names: Names,
    /// Bytes that are to go out before the next event.
    ready: BytesMut,
    quiet: Pin<Box<Sleep>>,
    keep_alive: Duration,
}

/// What the client is told of the events' names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Names {
    /// None: the stream cannot be resumed.
    None,
    /// With each event.
    Told,
    /// With each event, and one before the first (MCP 2025-11-25, basic/transports).
    ToldFirst,
}

// === impl Problem ===

impl Problem<'_> {
    pub(super) fn response(&self) -> Response<Body> {
        let id = self.id.unwrap_or("null");
        let Self { code, reason_code, message, .. } = self;
        let message = serde_json::Value::from(*message);
        let text = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":{message},\
             \"data\":{{\"reason_code\":\"{reason_code}\"}}}}}}"
        );
        json(self.status, text.into())
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    response(status, None, Body::Whole(Bytes::new()))
}

/// A message as JSON.
pub(super) fn json(status: StatusCode, text: Bytes) -> Response<Body> {
    response(status, Some("application/json"), Body::Whole(text))
}

/// Events, as they come; a comment where none came for `keep_alive`.
pub(super) fn events(place: Place, names: Names, keep_alive: Duration) -> Response<Body> {
    let mut ready = BytesMut::new();
    if names != Names::None {
        place.promise();
    }
    if names == Names::ToldFirst {
        let first = format!("id: {}-0\ndata: \n\n", place.number());
        ready.put_slice(first.as_bytes());
    }
    let quiet = Box::pin(sleep_until(Instant::now() + keep_alive));
    let events = Events { place, names, ready, quiet, keep_alive };
    let body = Body::Events(Box::new(events));
    let mut response = response(StatusCode::OK, Some("text/event-stream"), body);
    let headers = response.headers_mut();
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn response(status: StatusCode, kind: Option<&'static str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}

// === impl Events ===

impl Events {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Some(self.ready.split().freeze()));
        }
        if let Poll::Ready(next) = self.place.poll_next(cx) {
            let until = Instant::now() + self.keep_alive;
            self.quiet.as_mut().reset(until);
            return Poll::Ready(next.map(|event| self.spelled(&event)));
        }
        if self.quiet.as_mut().poll(cx).is_ready() {
            let until = Instant::now() + self.keep_alive;
            self.quiet.as_mut().reset(until);
            // Registers the timer anew.
            let _ = self.quiet.as_mut().poll(cx);
            return Poll::Ready(Some(Bytes::from_static(b":\n\n")));
        }
        Poll::Pending
    }

    fn spelled(&self, event: &Event) -> Bytes {
        let mut spelled = BytesMut::with_capacity(event.text.len() + 48);
        if self.names != Names::None {
            let name = format!("id: {}-{}\n", self.place.number(), event.place);
            spelled.put_slice(name.as_bytes());
        }
        spelled.put_slice(b"data: ");
        let from = spelled.len();
        spelled.put_slice(&event.text);
        // Between the parts of a message it is a blank; in a string no JSON has it.
        for byte in spelled[from..].iter_mut().filter(|byte| **byte == b'\r') {
            *byte = b' ';
        }
        spelled.put_slice(b"\n\n");
        spelled.freeze()
    }
}

// === impl Body ===

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Self::Whole(bytes) => {
                Poll::Ready(Some(std::mem::take(bytes)).filter(|b| !b.is_empty()))
            }
            Self::Events(events) => events.poll_event(cx),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
