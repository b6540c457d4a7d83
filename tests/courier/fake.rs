//! A server that does what a test says, and remembers what it was asked; and a client's end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use thoth::config::settings::{self, Tls};
use thoth::upstream::ledger::Ledger;
use thoth::upstream::{Input, Output, Upstream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; what is over this hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest message, in bytes.
pub(crate) const LIMIT: usize = 1024 * 1024;

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What it answers.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Chunks,
}

/// The body of an answer: what is sent, until the sender is dropped.
pub(crate) struct Chunks(mpsc::Receiver<Result<Bytes, Broken>>);

/// Breaks a connection in the middle of a body.
#[derive(Debug)]
pub(crate) struct Broken;

/// A stream of events that a test writes.
#[derive(Clone)]
pub(crate) struct Events(mpsc::Sender<Result<Bytes, Broken>>);

/// The server. It ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    accepting: AbortHandle,
}

/// A client's end of a courier.
pub(crate) struct Client {
    input: Option<Input>,
    output: BufReader<Output>,
    courier: JoinHandle<()>,
    pub(crate) over: CancellationToken,
    pub(crate) ledger: Ledger,
}

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

// === impl Server ===

impl Server {
    /// A server that answers as `script` says.
    pub(crate) async fn start<F, A>(script: F) -> Self
    where
        F: Fn(Asked) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let script: Arc<dyn Fn(Asked) -> Answering + Send + Sync> =
            Arc::new(move |asked| Box::pin(script(asked)));
        let log = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let service = service_fn(move |request| {
                    let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                    async move {
                        let asked = Asked::read(request).await;
                        log.lock().unwrap().push(asked.clone());
                        Ok::<_, Infallible>(script(asked).await.into_response())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, asked, accepting: accepting.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> Client {
        Client::of(settings::Upstream::new(self.url().parse().unwrap()))
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was posted so far: the method of each message, `answer` for answers.
    pub(crate) fn posted(&self) -> Vec<String> {
        let posts = self.asked().into_iter().filter(|asked| asked.method == "POST");
        posts.map(|asked| asked.says()).collect()
    }

    /// How often a message with this method was posted.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.posted().iter().filter(|posted| *posted == method).count()
    }

    /// Waits until it was asked what `is_it` finds.
    pub(crate) async fn until(&self, is_it: impl Fn(&Asked) -> bool) -> Asked {
        let waiting = async {
            loop {
                if let Some(asked) = self.asked().into_iter().find(&is_it) {
                    return asked;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === impl Asked ===

impl Asked {
    async fn read(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        Self {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The method of the message that was posted.
    pub(crate) fn says(&self) -> String {
        self.json()["method"].as_str().unwrap_or("answer").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(HeaderValue::to_str).map(Result::unwrap)
    }

    /// A result for the request that was posted.
    pub(crate) fn result(&self, result: &Value) -> Value {
        json!({"jsonrpc": "2.0", "id": self.json()["id"], "result": result})
    }

    /// The answer to what was posted, from a server that has nothing to say.
    pub(crate) fn plainly(&self) -> Answer {
        let message = self.json();
        match (self.method.as_str(), message["method"].as_str(), message.get("id")) {
            ("GET", ..) => Answer::status(405),
            ("DELETE", ..) => Answer::status(200),
            (_, Some("initialize"), _) => {
                let version = &message["params"]["protocolVersion"];
                let result = json!({"protocolVersion": version, "capabilities": {}});
                Answer::json(&self.result(&result)).with("mcp-session-id", "s-1")
            }
            (_, Some(_), Some(_)) => Answer::json(&self.result(&json!({"ok": true}))),
            _ => Answer::status(202),
        }
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Chunks::of("") }
    }

    pub(crate) fn json(message: &Value) -> Self {
        Self::text("application/json; charset=utf-8", &message.to_string())
    }

    pub(crate) fn text(kind: &str, body: &str) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status: 200, headers, body: Chunks::of(body) }
    }

    /// A stream, and what writes it.
    pub(crate) fn events() -> (Self, Events) {
        let (sender, chunks) = mpsc::channel(4);
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        (Self { status: 200, headers, body: Chunks(chunks) }, Events(sender))
    }

    /// A stream that is written and ends.
    pub(crate) fn stream(body: &str) -> Self {
        Self::text("text/event-stream", body)
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn at(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn into_response(self) -> Response<Chunks> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(self.body).unwrap()
    }
}

// === impl Chunks ===

impl Chunks {
    fn of(text: &str) -> Self {
        let (sender, chunks) = mpsc::channel(1);
        if !text.is_empty() {
            sender.try_send(Ok(Bytes::copy_from_slice(text.as_bytes()))).unwrap();
        }
        Self(chunks)
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken by the test")
    }
}

impl std::error::Error for Broken {}

// === impl Events ===

impl Events {
    pub(crate) async fn say(&self, message: &Value) {
        self.write(&format!("data: {message}\n\n")).await;
    }

    pub(crate) async fn write(&self, text: &str) {
        self.0.send(Ok(Bytes::copy_from_slice(text.as_bytes()))).await.unwrap();
    }

    /// Breaks the connection off.
    pub(crate) async fn cut(self) {
        let _ = self.0.send(Err(Broken)).await;
    }

    /// Waits until nobody reads it.
    pub(crate) async fn closed(&self) {
        timeout(PATIENCE, self.0.closed()).await.unwrap();
    }

    /// Writes as long as somebody reads, at most this often; says how often.
    pub(crate) async fn flood(&self, text: &str, times: usize) -> usize {
        for written in 0..times {
            let chunk = Ok(Bytes::copy_from_slice(text.as_bytes()));
            if timeout(Duration::from_millis(500), self.0.send(chunk)).await.is_err() {
                return written;
            }
        }
        times
    }
}

// === impl Client ===

impl Client {
    pub(crate) fn of(settings: settings::Upstream) -> Self {
        let tls = Tls { unverified: true, ..Tls::default() };
        let upstream = Upstream::open(settings, &tls, LIMIT).unwrap();
        let ledger = upstream.ledger();
        let (input, output, courier) = upstream.into_parts();
        let over = CancellationToken::new();
        let courier = tokio::spawn(courier.run(over.clone()));
        Self { input: Some(input), output: BufReader::new(output), courier, over, ledger }
    }

    pub(crate) async fn writes(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    pub(crate) async fn says(&mut self, message: &Value) {
        self.writes(&message.to_string()).await;
    }

    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.output.read_line(&mut line)).await.unwrap().unwrap();
        line
    }

    pub(crate) async fn hears(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// As [`Client::hears`], where time is paused.
    pub(crate) async fn patiently(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Says one thing, and hears the next.
    pub(crate) async fn asks(&mut self, message: &Value) -> Value {
        self.says(message).await;
        self.hears().await
    }

    /// Begins a session of this revision.
    pub(crate) async fn begins(&mut self, version: &str) -> Value {
        let params = json!({"protocolVersion": version, "capabilities": {}});
        let answer = self.asks(&request(0, "initialize", &params)).await;
        self.says(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        answer
    }

    /// Closes its end, and hears the rest.
    pub(crate) async fn leaves(mut self) -> Vec<Value> {
        self.input = None;
        let mut rest = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                break;
            }
            rest.push(serde_json::from_str(&line).unwrap());
        }
        timeout(PATIENCE, self.courier).await.unwrap().unwrap();
        rest
    }
}

pub(crate) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub(crate) fn call(id: u64) -> Value {
    request(id, "tools/call", &json!({"name": "t", "arguments": {}}))
}

/// A request of MCP 2026-07-28.
pub(crate) fn modern(id: u64, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    request(id, method, &params)
}

/// The reason that an error of thoth's gives.
pub(crate) fn reason(answer: &Value) -> &str {
    assert_eq!(answer["error"]["code"], -32_603, "{answer}");
    answer["error"]["data"]["reason_code"].as_str().unwrap()
}
