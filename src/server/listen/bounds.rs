//! What is put around every request: how long it may be, how slowly it may come, how long it may
//! take; and what every answer carries.
//!
//! # Invariants
//!
//! - Whatever goes wrong, the answer's body is a [`Fault`]'s, or a page of the console's.
//! - A handler that panics costs its own request and nothing else.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::route::Family;
use crate::server::limits::Allowance;
use crate::server::{App, Fault, router};

/// How much of everything there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Connections at one time.
    pub connections: usize,
    /// Connections at one time from one address.
    pub connections_of_one: usize,
    /// HTTP/2 streams at one time on one connection.
    pub streams: u32,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take; in HTTP/1.1 also how long a connection may rest
    /// between two requests.
    pub head: Duration,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long the body of a request may take.
    pub body: Duration,
    /// How long an answer may take to begin. Longer than a poll of a hold may wait.
    pub answer: Duration,
    /// How long what is under way may take once the server is to end.
    pub farewell: Duration,
}

/// Why the rest of a body was not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Cut {
    /// It is too long.
    #[error("the body is longer than {most} bytes")]
    TooLong {
        /// What is read, in bytes.
        most: u64,
    },
    /// It came too slowly.
    #[error("the body came too slowly")]
    TooSlow,
}

/// A body that ends in a [`Cut`] where it is too long or too slow.
struct Bounded {
    body: Body,
    most: u64,
    left: u64,
    patience: Pin<Box<Sleep>>,
    told: Arc<OnceLock<Cut>>,
}

/// The routes with everything around them.
pub fn bounded(app: App, bounds: Bounds) -> Router {
    let around = from_fn_with_state((app.clone(), bounds), around);
    router(app)
        .method_not_allowed_fallback(|| async { Fault::of_status(StatusCode::METHOD_NOT_ALLOWED) })
        // Bodies are bounded by `around`, for each family of its own.
        .layer(DefaultBodyLimit::disable())
        .layer(around)
}

async fn around(
    State((app, bounds)): State<(App, Bounds)>,
    mut request: Request,
    next: Next,
) -> Response {
    let family = Family::of(request.uri());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let allowance = Allowance::default();
    request.extensions_mut().insert(allowance.clone());

    let cut = Arc::default();
    let mut response = match bound(request, family.longest_body(), bounds.body, &cut) {
        Ok(request) => answer(&app, bounds, family, request, next).await,
        Err(fault) => fault.into_response(),
    };
    // Whichever way the handler reads bodies, and whatever it makes of one that ends too early.
    if let Some(cut) = cut.get()
        && response.status().is_client_error()
    {
        response = Fault::from(*cut).into_response();
    }
    if is_bare(&response) {
        response = Fault::of_status(response.status()).into_response();
    }
    if is_stream(&response) {
        response = response.map(|body| {
            let stop = app.stop.clone().cancelled_owned();
            Body::from_stream(body.into_data_stream().take_until(Box::pin(stop)))
        });
    }
    protect(&mut response);
    allowance.tell(response.headers_mut());
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    app.metrics.answered(&method, route, response.status());
    if response.status().is_server_error() {
        tracing::warn!(%method, route, status = response.status().as_u16(), "a request failed");
    }
    response
}

/// The handler's answer, or what stands for it.
async fn answer(
    app: &App,
    bounds: Bounds,
    family: Family,
    request: Request,
    next: Next,
) -> Response {
    let is_poll = family == Family::Hold && request.method() == Method::GET;
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    let timed = tokio::time::timeout(bounds.answer, handler);
    let timed = async {
        match timed.await {
            Ok(Ok(response)) => response,
            // The panic's own words went to standard error, with their place.
            Ok(Err(_)) => Fault::broken().into_response(),
            Err(_) => Fault::cut_short("the enforcer took too long").into_response(),
        }
    };
    // Who polls is sent to another replica at once; everything else may come to its end. A claim
    // that was spent by a poll that is cut off here answers the same again.
    if is_poll {
        let ending = || Fault::cut_short("the enforcer is about to end").into_response();
        return app.stop.run_until_cancelled(timed).await.unwrap_or_else(ending);
    }
    timed.await
}

/// Bounds the body of a request; refuses one that says it is too long, and one for a name with a NUL
/// in it: nothing has such a name, and Postgres fails where it is asked.
fn bound(
    request: Request,
    most: u64,
    patience: Duration,
    told: &Arc<OnceLock<Cut>>,
) -> Result<Request, Fault> {
    let address = [Some(request.uri().path()), request.uri().query()];
    if address.into_iter().flatten().any(|part| part.contains("%00")) {
        return Err(Fault::malformed("no name holds a NUL"));
    }
    if request.body().size_hint().lower() > most {
        return Err(Fault::too_long(most));
    }
    if request.body().is_end_stream() {
        return Ok(request);
    }
    Ok(request.map(|body| {
        let patience = Box::pin(tokio::time::sleep(patience));
        Body::new(Bounded { body, most, left: most, patience, told: Arc::clone(told) })
    }))
}

/// Whether this is an error in plain words: the framework's own, which are not ours.
fn is_bare(response: &Response) -> bool {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    (status.is_client_error() || status.is_server_error())
        && kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Headers that every answer carries, unless the handler has said otherwise.
fn protect(response: &mut Response) {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.remove(header::SERVER);
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 10_000,
            connections_of_one: 1_000,
            streams: 128,
            handshake: seconds(10),
            head: seconds(30),
            idle: seconds(300),
            body: seconds(20),
            answer: seconds(30),
            farewell: seconds(10),
        }
    }
}

// === impl Cut ===

impl Cut {
    /// The cut behind an error, where that is why a body could not be read.
    pub fn behind(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(cut) = error.downcast_ref::<Self>() {
                return Some(*cut);
            }
            next = error.source();
        }
        None
    }
}

// === impl Bounded ===

impl Bounded {
    /// Ends here, and says why to whoever answers.
    fn cut(&self, cut: Cut) -> BoxError {
        let _ = self.told.set(cut); // it ends once
        cut.into()
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(end) => return Poll::Ready(end.map(|end| end.map_err(Into::into))),
            Poll::Pending => {
                let is_over = self.patience.as_mut().poll(cx);
                return is_over.map(|()| Some(Err(self.cut(Cut::TooSlow))));
            }
        };
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => Poll::Ready(Some(Err(self.cut(Cut::TooLong { most: self.most })))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
