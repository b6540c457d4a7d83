//! A stream of events: what was said on it, and who listens.
//!
//! Every event has an id, so that a client that lost the connection may ask for those it has not
//! seen. A stream outlives its connections, as MCP has it; the client that comes back gets what was
//! said meanwhile.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Memory, WATCHDOG};

/// Numbers the streams of all servers.
static STREAMS: AtomicUsize = AtomicUsize::new(1);

/// One stream of events. Clones are the same stream.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) name: String,
    /// The id of the request it answers; null where it answers none.
    pub(crate) answers: Value,
    log: Arc<Mutex<Log>>,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct Log {
    /// Events as they are written, without their ids.
    events: Vec<String>,
    listener: Option<mpsc::UnboundedSender<io::Result<Bytes>>>,
    /// Nothing will be said any more.
    is_over: bool,
    /// Whether events are written with ids.
    has_ids: bool,
}

/// A body: in one piece, or as it comes.
pub(super) enum Flow {
    Whole(Option<Bytes>),
    Parts(mpsc::UnboundedReceiver<io::Result<Bytes>>),
    /// About to break off, after so many turns of the runtime: what was said before is written.
    Breaking(u8),
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(answers: Value, memory: Arc<Memory>) -> Self {
        let name = format!("s{}", STREAMS.fetch_add(1, Ordering::Relaxed));
        let log = Log { has_ids: true, ..Log::default() };
        Self { name, answers, log: Arc::new(Mutex::new(log)), memory }
    }

    /// Its events have no ids: nobody can resume it.
    pub(crate) fn without_ids(self) -> Self {
        self.log.lock().unwrap().has_ids = false;
        self
    }

    /// The response that begins it, for whoever heard nothing so far.
    pub(super) fn open(&self) -> Response<Flow> {
        self.resume(0)
    }

    /// The response that goes on after so many events.
    pub(super) fn resume(&self, after: usize) -> Response<Flow> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut log = self.log.lock().unwrap();
        for (at, event) in log.events.iter().enumerate().skip(after) {
            let _ = sender.send(Ok(self.written(at, event, log.has_ids)));
        }
        log.listener = (!log.is_over).then_some(sender);
        drop(log);
        self.memory.touch();
        Response::builder()
            .header("content-type", "text/event-stream")
            .header("cache-control", "no-cache")
            .body(Flow::Parts(receiver))
            .unwrap()
    }

    /// Says a message.
    pub(crate) fn says(&self, message: &Value) -> &Self {
        self.writes(format!("event: message\ndata: {message}\n"))
    }

    /// Says an event of this text, which has no blank line.
    pub(crate) fn writes(&self, event: String) -> &Self {
        let mut log = self.log.lock().unwrap();
        let bytes = self.written(log.events.len(), &event, log.has_ids);
        log.events.push(event);
        if let Some(listener) = &log.listener {
            let _ = listener.send(Ok(bytes));
        }
        drop(log);
        self
    }

    /// Writes bytes that are no event.
    pub(crate) fn raw(&self, bytes: &str) -> &Self {
        if let Some(listener) = &self.log.lock().unwrap().listener {
            let _ = listener.send(Ok(Bytes::copy_from_slice(bytes.as_bytes())));
        }
        self
    }

    /// Answers the request, and ends.
    pub(crate) fn answer(&self, result: &Value) {
        self.says(&json!({"jsonrpc": "2.0", "id": self.answers, "result": result}));
        self.ends();
    }

    /// Ends in order: nothing more will be said.
    pub(crate) fn ends(&self) {
        let mut log = self.log.lock().unwrap();
        log.is_over = true;
        log.listener = None;
    }

    /// Closes the connection in order; the stream goes on for who comes back.
    pub(crate) fn closes(&self) -> &Self {
        self.log.lock().unwrap().listener = None;
        self
    }

    /// Breaks the connection off; the stream goes on for who comes back.
    pub(crate) fn breaks(&self) -> &Self {
        if let Some(listener) = self.log.lock().unwrap().listener.take() {
            let _ = listener.send(Err(io::Error::other("breaks off")));
        }
        self
    }

    /// Waits until somebody listens.
    pub(crate) async fn until_heard(&self) {
        let mut changes = self.memory.changed.subscribe();
        let hearing = changes.wait_for(|_| {
            self.log.lock().unwrap().listener.as_ref().is_some_and(|it| !it.is_closed())
        });
        tokio::time::timeout(WATCHDOG, hearing).await.expect("somebody listens").unwrap();
    }

    /// Waits until whoever listens has gone away.
    pub(crate) async fn until_left(&self) {
        let Some(listener) = self.log.lock().unwrap().listener.clone() else { return };
        tokio::time::timeout(WATCHDOG, listener.closed()).await.expect("the listener goes away");
    }

    fn written(&self, at: usize, event: &str, has_id: bool) -> Bytes {
        let id = if has_id { format!("id: {}-{}\n", self.name, at + 1) } else { String::new() };
        format!("{id}{event}\n").into()
    }
}

// === impl Flow ===

impl Flow {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// This, and then a broken connection.
    pub(super) fn broken(bytes: impl Into<Bytes>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let bytes = bytes.into();
        if !bytes.is_empty() {
            let _ = sender.send(Ok(bytes));
        }
        let _ = sender.send(Err(io::Error::other("breaks off")));
        Self::Parts(receiver)
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Parts(parts) => match ready!(parts.poll_recv(context)) {
                Some(Ok(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => Poll::Ready(None),
                Some(Err(_)) => {
                    *self = Self::Breaking(100);
                    self.poll_frame(context)
                }
            },
            Self::Breaking(0) => Poll::Ready(Some(Err(io::Error::other("breaks off")))),
            Self::Breaking(turns) => {
                *turns -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Parts(_) | Self::Breaking(_) => SizeHint::default(),
        }
    }
}
