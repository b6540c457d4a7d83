//! The fake's server side: connections, requests, and the ways to answer them badly.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::HandshakeKind;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Manner, Memory, Script, Seen};

/// What is known of a connection.
#[derive(Clone, Copy)]
struct Connection {
    /// Counted from 1.
    number: usize,
    h2: bool,
    resumed: bool,
}

/// Serves until it is dropped, and every connection with it.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    manner: Manner,
    memory: Arc<Memory>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut state = memory.state.lock().unwrap();
            state.accepted += 1;
            state.accepted
        };
        if manner == Manner::Http1 {
            stream.set_zero_linger().unwrap(); // it ends with a reset, not with a farewell
        }
        connections.spawn(connection(stream, tls.clone(), manner, number, Arc::clone(&memory)));
    }
}

async fn connection(
    mut stream: TcpStream,
    tls: Option<TlsAcceptor>,
    manner: Manner,
    number: usize,
    memory: Arc<Memory>,
) {
    match (manner, tls) {
        (Manner::Deaf, _) => std::future::pending().await,
        (Manner::Garbage, _) => babble(&mut stream).await,
        (_, None) => http(stream, Connection::plain(number), memory).await,
        (_, Some(tls)) => {
            let Ok(mut stream) = tls.accept(stream).await else {
                return; // the client did not trust us: what some tests are about
            };
            let tls = stream.get_ref().1;
            let connection = Connection {
                number,
                h2: tls.alpn_protocol() == Some(b"h2"),
                resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            };
            if manner == Manner::NotHttp {
                babble(&mut stream).await;
            } else if manner == Manner::Impatient && number == 1 {
                let _ = stream.shutdown().await;
                drop(stream);
                memory.closed.send_modify(|closed| *closed += 1);
            } else {
                http(stream, connection, memory).await;
            }
        }
    }
}

async fn babble(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut heard = [0; 1024];
    let _ = stream.read(&mut heard).await;
    let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
    let _ = stream.shutdown().await;
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Connection,
    memory: Arc<Memory>,
) {
    let frozen = Arc::new(Notify::new());
    let freeze = Arc::clone(&frozen);
    let service = service_fn(move |request| {
        answer(request, connection, Arc::clone(&memory), Arc::clone(&freeze))
    });
    let stream = TokioIo::new(stream);
    if connection.h2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        until(&frozen, builder.serve_connection(stream, service)).await;
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        until(&frozen, builder.serve_connection(stream, service)).await;
    }
}

/// Serves until the connection ends, or is frozen: then it stays open, and nothing happens on it.
async fn until(frozen: &Notify, serving: impl Future) {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = &mut serving => {}
        () = frozen.notified() => std::future::pending().await,
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: Connection,
    memory: Arc<Memory>,
    freeze: Arc<Notify>,
) -> io::Result<Response<Halting>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let accepted = memory.is_good(&head.headers);
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        version: head.version,
        headers: head.headers,
        text: String::from_utf8_lossy(&body).into_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        bytes: body,
        connection: connection.number,
        resumed: connection.resumed,
        accepted,
    };
    let script = memory.remember(seen.clone());
    let script = match memory.holds.get() {
        _ if !accepted => rejection(),
        Some(holds) if seen.is_about_a_hold() => {
            let Seen { method, path, headers, body, .. } = &seen;
            let (status, body) = holds.answer(method, path, headers, body).await;
            Script::Answer(status, body)
        }
        _ => script,
    };
    let response = Response::builder();
    let begun = || Bytes::from_static(br#"{"decision":"AL"#);
    match script {
        Script::Answer(status, body) => {
            response.status(status).body(Halting(Some(body.into()), End::Complete))
        }
        Script::AnswerWith(status, name, value, body) => response
            .status(status)
            .header(name, value)
            .body(Halting(Some(body.into()), End::Complete)),
        Script::Late(time, status, body) => {
            tokio::time::sleep(time).await;
            response.status(status).body(Halting(Some(body.into()), End::Complete))
        }
        Script::Slow(status) => response.status(status).body(Halting(Some(begun()), End::Never)),
        Script::Broken(status) => {
            response.status(status).body(Halting(Some(begun()), End::Broken { after: 100 }))
        }
        Script::Hang => std::future::pending().await,
        Script::HangUp => return Err(io::Error::other("hangs up")),
        Script::Freeze => {
            freeze.notify_one();
            std::future::pending().await
        }
    }
    .map_err(io::Error::other)
}

fn rejection() -> Script {
    Script::Answer(401, r#"{"error":{"message":"bad key"}}"#.to_owned())
}

// === impl Seen ===

impl Seen {
    fn is_about_a_hold(&self) -> bool {
        self.path.contains("/v1/enforce/hold/")
    }
}

// === impl Connection ===

impl Connection {
    fn plain(number: usize) -> Self {
        Self { number, h2: false, resumed: false }
    }
}

// === impl Memory ===

impl Memory {
    fn is_good(&self, headers: &HeaderMap) -> bool {
        let (key, bearer) = (headers.get("x-api-key"), headers.get("authorization"));
        let mut keys = self.keys.lock().unwrap();
        let mut next = self.next_keys.lock().unwrap();
        if let Some((_, new)) = next.take_if(|(after, _)| *self.count.borrow() >= *after) {
            *keys = Some(new);
        }
        keys.as_ref().is_none_or(|keys| {
            keys.iter().any(|good| {
                key.is_some_and(|sent| sent == good.as_str())
                    && bearer.is_some_and(|sent| sent == format!("Bearer {good}").as_str())
            })
        })
    }

    /// Keeps the request, and says what to do with it.
    fn remember(&self, seen: Seen) -> Script {
        let script = {
            let mut state = self.state.lock().unwrap();
            let state = &mut *state;
            let route = state.routes.iter_mut().find(|(end, _)| seen.path.ends_with(end));
            let scripts = match route {
                Some((_, scripts)) => scripts,
                None if seen.is_about_a_hold() => &mut state.looks,
                None => &mut state.questions,
            };
            let script =
                if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() };
            state.seen.push(seen);
            script.unwrap()
        };
        self.count.send_modify(|count| *count += 1);
        script
    }
}

/// A body in one piece, and what comes after that.
struct Halting(Option<Bytes>, End);

#[derive(Clone, Copy)]
enum End {
    /// It breaks off, after so many turns of the runtime: an HTTP/2 stream that is reset takes
    /// with it what was not written yet.
    Broken {
        after: u8,
    },
    Complete,
    Never,
}

impl Body for Halting {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match (self.0.take(), self.1) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (None, End::Complete) => Poll::Ready(None),
            (None, End::Broken { after: 0 }) => {
                Poll::Ready(Some(Err(io::Error::other("breaks off"))))
            }
            (None, End::Broken { after }) => {
                self.1 = End::Broken { after: after - 1 };
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (None, End::Never) => Poll::Pending,
        }
    }
}
