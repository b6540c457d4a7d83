//! Connections, requests, and the way of each: remembered, stopped, refused, failed, or answered.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Memory;
use super::exchange::{Exchange, Onward, Stage, json_body};
use super::memory::{Fault, Refusal, Seen};
use super::protocol::{self, Answer};
use super::stream::Flow;

/// Serves until it is dropped, and every connection with it.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, memory: Arc<Memory>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = memory.change(|state| {
            state.connections += 1;
            state.open += 1;
            state.connections
        });
        let (tls, memory) = (tls.clone(), Arc::clone(&memory));
        connections.spawn(async move {
            connection(stream, tls, number, Arc::clone(&memory)).await;
            memory.change(|state| state.open -= 1);
        });
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    number: usize,
    memory: Arc<Memory>,
) {
    match tls {
        None => {
            stream.set_zero_linger().unwrap(); // it ends with a reset, not with a farewell
            http(stream, false, number, memory).await;
        }
        Some(tls) => {
            let shuts_out = memory.change(|state| {
                let shuts_out = state.shuts_out > 0;
                state.shuts_out -= usize::from(shuts_out);
                shuts_out
            });
            if shuts_out {
                return;
            }
            let Ok(stream) = tls.accept(stream).await else { return };
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            http(stream, is_h2, number, memory).await;
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_h2: bool,
    number: usize,
    memory: Arc<Memory>,
) {
    let mut closing = memory.closing.subscribe();
    let service = service_fn(move |request| answer(request, number, Arc::clone(&memory)));
    let stream = TokioIo::new(stream);
    if is_h2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let mut serving = pin!(builder.serve_connection(stream, service));
        tokio::select! {
            _ = &mut serving => {}
            _ = closing.changed() => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        let mut serving = pin!(builder.serve_connection(stream, service));
        tokio::select! {
            _ = &mut serving => {}
            _ = closing.changed() => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    memory: Arc<Memory>,
) -> io::Result<Response<Flow>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut seen = Seen {
        http: head.method.to_string(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        connection,
        refused: false,
    };
    let at = memory.change(|state| {
        state.seen.push(seen.clone());
        state.seen.len() - 1
    });
    match stopped(Stage::Arrived, &seen, &memory).await {
        Onward::Goes => {}
        Onward::Answered(response) => return Ok(response),
        Onward::HungUp => return Err(io::Error::other("hangs up")),
    }
    let fault = memory.change(|state| state.fault(&seen));
    if let Some(Fault::ClosesUnread) = fault {
        return Err(io::Error::other("closes"));
    }
    if let Some(refusal) = memory.change(|state| {
        let refused = !state.is_good(seen.token());
        state.seen[at].refused = refused;
        seen.refused = refused;
        refused.then_some(state.refusal)
    }) {
        return Ok(refused(refusal, &seen));
    }
    let answer = protocol::answer(&seen, &memory);
    match stopped(Stage::Done, &seen, &memory).await {
        Onward::Goes => {}
        Onward::Answered(response) => return Ok(response),
        Onward::HungUp => return Err(io::Error::other("hangs up")),
    }
    match fault {
        None => Ok(answer.respond(&memory)),
        Some(fault) => fail(fault, answer).await,
    }
}

/// Waits while a test has stopped this request.
async fn stopped(stage: Stage, seen: &Seen, memory: &Arc<Memory>) -> Onward {
    let going = memory.change(|state| {
        state.is_stopped(stage, seen).then(|| {
            let (onward, going) = oneshot::channel();
            let exchange = Exchange { seen: seen.clone(), onward, memory: Arc::clone(memory) };
            state.stopped.push_back(exchange);
            going
        })
    });
    match going {
        Some(going) => going.await.unwrap_or(Onward::Goes),
        None => Onward::Goes,
    }
}

fn refused(refusal: Refusal, seen: &Seen) -> Response<Flow> {
    let response = Response::builder();
    let challenge = |error: &str| format!(r#"Bearer realm="mcp", error="{error}""#);
    let said = |code: i64| json!({"jsonrpc": "2.0", "id": seen.body["id"], "error": {"code": code, "message": "the token is no good"}});
    let words = json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": {"isError": true,
        "content": [{"type": "text", "text": "401 Unauthorized: the token is no good"}]}});
    let in_json = "application/json";
    match refusal {
        Refusal::Challenge => response
            .status(401)
            .header("www-authenticate", challenge("invalid_token"))
            .body(Flow::whole("")),
        Refusal::Bare => response.status(401).body(Flow::whole("who are you?")),
        Refusal::Invalid => response
            .status(403)
            .header("www-authenticate", challenge("invalid_token"))
            .body(Flow::whole("")),
        Refusal::Scope => response
            .status(403)
            .header("www-authenticate", challenge("insufficient_scope"))
            .body(Flow::whole("")),
        Refusal::InBand(code) => {
            response.header("content-type", in_json).body(Flow::whole(json_body(&said(code))))
        }
        Refusal::InWords => {
            response.header("content-type", in_json).body(Flow::whole(json_body(&words)))
        }
    }
    .unwrap()
}

async fn fail(fault: Fault, answer: Answer) -> io::Result<Response<Flow>> {
    let begun = |bytes: &'static str| {
        Response::builder()
            .header("content-type", "application/json")
            .body(Flow::broken(bytes))
            .map_err(io::Error::other)
    };
    match fault {
        Fault::ClosesUnread | Fault::ClosesBeforeHeaders => Err(io::Error::other("closes")),
        Fault::ClosesAfterHeaders => begun(""),
        Fault::ClosesMidway => begun(r#"{"jsonrpc":"2.0","#),
        Fault::Status(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Flow::whole(body)).map_err(io::Error::other)
        }
        Fault::Hangs => {
            let _kept = answer;
            std::future::pending().await
        }
    }
}
