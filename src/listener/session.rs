//! One governed session: the two pipes to its gate, and those who wait at its [`Switch`].
//!
//! # Invariants
//!
//! - A line is written whole or not at all: who is dropped while it waits for its turn has sent
//!   nothing, and is waited for by nobody.
//! - While those who are there do not read, nothing more is read from behind the gate.
//! - The session ends: told to, by itself, or when nobody has used it for so long.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::message::{Message, MessageKind};
use super::switch::{Event, First, LISTENING, Number, Purpose, Switch};
use super::{Bounds, Open};
use crate::gate::answer;
use crate::gate::framing::Framer;
use crate::gate::message::RequestId;
use crate::mirror::Parameters;

/// How many bytes wait in the pipes to and from the gate.
const PIPE: usize = 64 * 1024;

/// How many lines wait for their turn to be written.
const LINES: usize = 4;

/// How many bytes may wait for those who are there, before nothing more is read for them.
const UNREAD: usize = 1024 * 1024;

/// What a session reads: the client's lines. Ends when they do.
pub type Input = DuplexStream;

/// What a session writes: lines for the client. Dropped, they end.
pub type Output = DuplexStream;

/// One session behind the listener.
#[derive(Debug)]
pub(super) struct Session {
    switch: RefCell<Switch>,
    lines: mpsc::UnboundedSender<Queued>,
    turns: Arc<Semaphore>,
    /// Cancelled: it is to end.
    stop: CancellationToken,
    /// Cancelled: nobody is there any more to be asked.
    over: CancellationToken,
    /// Somebody came or left.
    touched: Notify,
    /// Somebody has read.
    drained: Notify,
    /// Whether its messages belong to the era without sessions.
    is_modern: bool,
    limits: Limits,
    /// The protocol's version that was agreed on, where that is known.
    version: RefCell<Option<String>>,
    /// Whether it may be asked more.
    is_retired: Cell<bool>,
}

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) idle: Duration,
    pub(super) requests: usize,
}

/// A place at one stream of a session. Dropped, it is left: what that means for the request depends
/// on the era.
#[derive(Debug)]
pub(super) struct Place {
    session: Rc<Session>,
    number: Number,
    reader: u64,
}

/// What waits to be written.
#[derive(Debug)]
struct Queued {
    line: Bytes,
    _turn: Option<OwnedSemaphorePermit>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotTaken {
    /// The session has ended.
    Over,
    /// Its id belongs to a request that waits.
    IdInUse,
    /// Too many wait.
    Full,
}

// === impl Session ===

impl Session {
    /// A session, and what must run for it to be one; it returns when the session is over, server
    /// and all. With `parameters`, which learn what is listed, its messages belong to the era without
    /// sessions.
    pub(super) fn new<O: Open>(
        opener: Rc<O>,
        parameters: Option<Rc<RefCell<Parameters>>>,
        bounds: &Bounds,
    ) -> (Rc<Self>, impl Future<Output = ()> + 'static) {
        let (lines, queue) = mpsc::unbounded_channel();
        let session = Rc::new(Self {
            is_modern: parameters.is_some(),
            switch: RefCell::new(Switch::new(parameters.unwrap_or_default())),
            lines,
            turns: Arc::new(Semaphore::new(LINES)),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            touched: Notify::new(),
            drained: Notify::new(),
            limits: Limits { idle: bounds.idle, requests: bounds.requests },
            version: RefCell::new(None),
            is_retired: Cell::new(false),
        });
        let run = Rc::clone(&session).run(opener, queue, bounds.longest_line);
        (session, run)
    }

    /// Asks it to end. Nobody is let in from here on.
    pub(super) fn end(&self) {
        self.is_retired.set(true);
        self.stop.cancel();
    }

    /// Whether it can be asked anything.
    pub(super) fn is_open(&self) -> bool {
        !self.is_retired.get() && !self.stop.is_cancelled() && !self.over.is_cancelled()
    }

    /// Whether nothing waits for an answer, and nobody listens.
    pub(super) fn is_idle(&self) -> bool {
        let switch = self.switch.borrow();
        switch.waiting() == 0 && !switch.is_used()
    }

    /// Whether the message can be told from all that wait here.
    pub(super) fn has_room_for(&self, message: &Message) -> bool {
        match &message.kind {
            MessageKind::Request(id) => {
                let token = message.parts.token.as_deref();
                self.switch.borrow().has_room_for(id, token, Instant::now())
            }
            MessageKind::Cancelled(_) | MessageKind::Notice | MessageKind::Doubtful(_) => true,
        }
    }

    /// The protocol's version that was agreed on.
    pub(super) fn version(&self) -> Option<String> {
        self.version.borrow().clone()
    }

    pub(super) fn agree_on(&self, version: Option<String>) {
        *self.version.borrow_mut() = version;
    }

    /// Whether the server has answered anything yet.
    pub(super) fn has_answered(&self) -> bool {
        self.switch.borrow().has_answered()
    }

    /// Sends a message for which nothing comes back.
    ///
    /// Cancel safe: dropped while it waits, nothing was sent.
    pub(super) async fn tell(&self, message: &Message) -> Result<(), NotTaken> {
        let turn = self.turn().await?;
        self.queue(message.line.clone(), Some(turn));
        if let MessageKind::Cancelled(id) = &message.kind {
            self.switch.borrow_mut().cancelled(id, Instant::now());
        }
        self.touched.notify_one();
        Ok(())
    }

    /// Sends a message for which something comes back, and takes a place at its stream.
    ///
    /// Cancel safe: dropped while it waits, nothing was sent.
    pub(super) async fn ask(
        self: &Rc<Self>,
        message: &Message,
        answer_only: bool,
    ) -> Result<Place, NotTaken> {
        let turn = self.turn().await?;
        let mut switch = self.switch.borrow_mut();
        if switch.waiting() >= self.limits.requests {
            return Err(NotTaken::Full);
        }
        let now = Instant::now();
        let id = match &message.kind {
            MessageKind::Request(id) if !switch.has_room_for(id, None, now) => {
                return Err(NotTaken::IdInUse);
            }
            MessageKind::Request(id) => Some(id.clone()),
            // Where its id is in use the gate names none.
            MessageKind::Doubtful(doubt) => {
                doubt.id.clone().filter(|id| switch.has_room_for(id, None, now))
            }
            MessageKind::Cancelled(_) | MessageKind::Notice => None,
        };
        let token = message.parts.token.clone();
        let lists = self.is_modern && message.parts.method.as_deref() == Some("tools/list");
        let (number, reader) = switch.open(Purpose { id, token, answer_only, lists });
        drop(switch);
        self.queue(message.line.clone(), Some(turn));
        self.touched.notify_one();
        Ok(Place { session: Rc::clone(self), number, reader })
    }

    /// Takes the place of whoever listens; `after`: at the stream and after the event of this name.
    pub(super) fn listen(self: &Rc<Self>, after: Option<(Number, u64)>) -> Option<Place> {
        let mut switch = self.switch.borrow_mut();
        let (number, reader) = match after {
            None => (LISTENING, switch.attach(LISTENING)?),
            Some((number, after)) => (number, switch.resume(number, after)?),
        };
        drop(switch);
        self.touched.notify_one();
        Some(Place { session: Rc::clone(self), number, reader })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, NotTaken> {
        let turn = self.over.run_until_cancelled(Arc::clone(&self.turns).acquire_owned()).await;
        turn.and_then(Result::ok).filter(|_| self.is_open()).ok_or(NotTaken::Over)
    }

    fn queue(&self, line: Bytes, turn: Option<OwnedSemaphorePermit>) {
        // The session is over; whoever waits was told so, or will be.
        let _ = self.lines.send(Queued { line, _turn: turn });
    }

    async fn run<O: Open>(
        self: Rc<Self>,
        opener: Rc<O>,
        queue: mpsc::UnboundedReceiver<Queued>,
        limit: usize,
    ) {
        let (client_in, lines) = duplex(PIPE);
        let (said, client_out) = duplex(PIPE);
        let held = async {
            let held = opener.hold(client_in, client_out, self.stop.clone()).await;
            self.is_retired.set(true);
            self.over.cancel();
            held
        };
        let (held, (), (), ()) = tokio::join!(
            held,
            self.over_or(write(lines, queue)),
            self.read(said, limit),
            self.over_or(self.watch()),
        );
        let (why, reason_code) = match &held {
            Ok(()) => {
                ("the session has ended; whether this took effect is not known", "session_ended")
            }
            Err(why) => (&**why, "server_unavailable"),
        };
        self.switch.borrow_mut().close(|id| match id {
            Some(id) => answer::unanswered(id, why, reason_code),
            None => answer::unreadable(None, answer::INVALID_REQUEST, why, reason_code),
        });
    }

    async fn over_or(&self, work: impl Future<Output = ()>) {
        let _ = self.over.run_until_cancelled(work).await;
    }

    /// Reads what comes from behind the gate, to its end.
    async fn read(&self, mut said: DuplexStream, limit: usize) {
        let mut framer = Framer::new(limit);
        loop {
            while self.switch.borrow().unread() > UNREAD {
                self.drained.notified().await;
            }
            match said.read_buf(framer.space()).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            while let Some(line) = framer.next_line() {
                match line {
                    Ok(line) => self.switch.borrow_mut().take(&line),
                    Err(long) => tracing::warn!(bytes = long.len, "dropped a line: too long"),
                }
            }
        }
    }

    /// Ends the session when nobody has used it for so long.
    async fn watch(&self) {
        loop {
            let touched = timeout(self.limits.idle, self.touched.notified()).await;
            if touched.is_err() && !self.switch.borrow().is_used() {
                tracing::debug!("a session was idle for too long");
                return self.end();
            }
        }
    }

    /// Somebody left a place.
    fn left(&self, number: Number, reader: u64) {
        let alone = self.switch.borrow_mut().leave(number, reader, Instant::now());
        self.drained.notify_one();
        self.touched.notify_one();
        if let Some(id) = alone.filter(|_| self.is_modern) {
            self.queue(cancel(&id), None);
        }
    }
}

// === impl Place ===

impl Place {
    /// The stream's number.
    pub(super) fn number(&self) -> Number {
        self.number
    }

    pub(super) fn session(&self) -> &Rc<Session> {
        &self.session
    }

    /// Waits for what comes first. An answer alone is taken out, unless `streams`.
    pub(super) fn poll_first(&self, streams: bool, cx: &mut Context<'_>) -> Poll<First> {
        self.session.switch.borrow_mut().poll_first(self.number, streams, cx)
    }

    /// Waits for the next event; `None` at the end.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let next = self.session.switch.borrow_mut().poll_next(self.number, self.reader, cx);
        if next.is_ready() {
            self.session.drained.notify_one();
        }
        next
    }

    /// From here on its events have names, by which it can be resumed.
    pub(super) fn promise(&self) {
        self.session.switch.borrow_mut().promise(self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.session.left(self.number, self.reader);
    }
}

/// Writes lines, each whole.
async fn write(mut lines: DuplexStream, mut queue: mpsc::UnboundedReceiver<Queued>) {
    while let Some(queued) = queue.recv().await {
        if lines.write_all(&queued.line).await.is_err() {
            return;
        }
    }
}

/// The line that cancels a request whose client has gone (MCP 2026-07-28, basic/transports).
fn cancel(id: &RequestId) -> Bytes {
    let id = id.literal();
    Bytes::from(format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id},\"reason\":\"the client has closed the stream\"}}}}\n"
    ))
}
