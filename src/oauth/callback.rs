//! Where the browser comes back to: an address of this machine, for one answer (RFC 8252 §7.3).
//!
//! # Invariants
//!
//! - It listens on 127.0.0.1, for one attempt, and no longer than that lasts.
//! - Whoever brings another state changes nothing: the browser is still waited for.
//! - What is shown holds nothing of what was brought.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use oauth2::RedirectUrl;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::attempt::{Answer, Attempt};

/// How many connections are served at once; a browser opens a few, some ahead of need.
const CONNECTIONS: usize = 16;
/// How long one connection may last.
const CONNECTION: Duration = Duration::from_secs(10);
/// How long the last page may take to be sent.
const GOODBYE: Duration = Duration::from_secs(1);
const PATH: &str = "/callback";

/// The address, listened on.
#[derive(Debug)]
pub(super) struct Callback {
    listener: TcpListener,
    address: SocketAddr,
}

/// Nobody came back in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("nobody came back from the browser within {} s", .0.as_secs())]
pub struct Nobody(Duration);

/// What a request is answered from.
struct Desk {
    attempt: Arc<Attempt>,
    host: String,
    answers: mpsc::Sender<Answer>,
}

// === impl Callback ===

impl Callback {
    /// Listens on a port of 127.0.0.1; 0 is any.
    pub(super) async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where the browser is to come back to.
    pub(super) fn redirect(&self) -> RedirectUrl {
        let url = format!("http://{}{PATH}", self.address);
        RedirectUrl::new(url).unwrap_or_else(|_| unreachable!("an address and a path make a URL"))
    }

    /// Waits for the answer to an attempt, and shows the browser a page.
    ///
    /// # Errors
    ///
    /// [`Nobody`].
    pub(super) async fn wait(
        self,
        attempt: &Arc<Attempt>,
        patience: Duration,
    ) -> Result<Answer, Nobody> {
        let (answers, mut answered) = mpsc::channel(1);
        let desk = Desk { attempt: Arc::clone(attempt), host: self.address.to_string(), answers };
        let over = CancellationToken::new();
        let serving = serve(self.listener, Arc::new(desk), over.clone());
        let waiting = async {
            let answer = timeout(patience, answered.recv()).await.ok().flatten();
            over.cancel();
            answer
        };
        let (answer, ()) = tokio::join!(waiting, serving);
        answer.ok_or(Nobody(patience))
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>, over: CancellationToken) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = over.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        // Whoever fills all places keeps the browser out for as long as one connection lasts, no longer.
        if connections.len() >= CONNECTIONS {
            let _ = over.run_until_cancelled(connections.join_next()).await;
        }
        if let Ok((stream, _)) = accepted {
            connections.spawn(timeout(CONNECTION, answer(stream, Arc::clone(&desk))));
        }
    }
    drop(listener);
    // The page may be on its way still. What else is open has nothing to say.
    let _ = timeout(GOODBYE, async { while connections.join_next().await.is_some() {} }).await;
}

async fn answer(stream: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let response = desk.respond(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).keep_alive(false).max_buf_size(16 * 1024);
    // A connection that breaks was no browser with an answer.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

// === impl Desk ===

impl Desk {
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
        let uri = request.uri();
        if host != Some(self.host.as_bytes()) || uri.authority().is_some() {
            // Another name for this address: a page that was rebound to it.
            return page(StatusCode::FORBIDDEN, "This address is not for that name.");
        }
        if uri.path() != PATH {
            return page(StatusCode::NOT_FOUND, "There is nothing here.");
        }
        if request.method() != Method::GET {
            return page(StatusCode::METHOD_NOT_ALLOWED, "This address is for a browser.");
        }
        match self.attempt.judge(uri.query().unwrap_or_default()) {
            None => page(
                StatusCode::BAD_REQUEST,
                "This is no answer to the login that waits here. Nothing was changed.",
            ),
            Some(answer) => {
                let told = match &answer {
                    Ok(_) => {
                        "thoth has the answer. You can close this page and go back to the terminal."
                    }
                    Err(_) => {
                        "You are not logged in. The terminal says why; you can close this page."
                    }
                };
                // A second answer, while the first is taken in, is too late.
                let _ = self.answers.try_send(answer);
                page(StatusCode::OK, told)
            }
        }
    }
}

fn page(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>thoth</title><p>{text}</p></html>\n"
    );
    Response::builder()
        .status(status)
        .header("content-type", "text/html; charset=utf-8")
        .header("cache-control", "no-store")
        .header("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
        .header("referrer-policy", "no-referrer")
        .header("x-content-type-options", "nosniff")
        .body(Full::from(html))
        .unwrap_or_else(|_| unreachable!("all of it is written above"))
}
