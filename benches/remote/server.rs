//! The server, on a thread of its own: `json` answers with a body, `stream` with an event and then
//! the answer, `hold` with an event and no answer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What was not sent yet, and whether more is said to come.
struct Chunks {
    chunks: Vec<Bytes>,
    is_endless: bool,
}

/// Starts the server, which runs as long as the process.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(serve(listener)));
    Ok(address)
}

async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn answer(request: Request<Incoming>) -> Response<Chunks> {
    if request.method() == Method::GET {
        return response(405, "text/plain", Vec::new(), false);
    }
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let result = json!({"jsonrpc": "2.0", "id": message["id"], "result": {
        "protocolVersion": message["params"]["protocolVersion"], "capabilities": {}, "content": [],
    }});
    let event = |message: &Value| Bytes::from(format!("event: message\ndata: {message}\n\n"));
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
    match message["params"]["name"].as_str() {
        _ if message.get("id").is_none() => response(202, "text/plain", Vec::new(), false),
        Some("stream") => {
            response(200, "text/event-stream", vec![event(&result), event(&progress)], false)
        }
        Some("hold") => response(200, "text/event-stream", vec![event(&progress)], true),
        _ => response(200, "application/json", vec![result.to_string().into()], false),
    }
}

/// The last chunk is sent first.
fn response(status: u16, kind: &str, chunks: Vec<Bytes>, is_endless: bool) -> Response<Chunks> {
    let builder = Response::builder().status(status).header("content-type", kind);
    let response = builder.body(Chunks { chunks, is_endless });
    response.unwrap_or_else(|_| unreachable!("a status and a kind of content that exist"))
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.chunks.pop() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None if self.is_endless => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
