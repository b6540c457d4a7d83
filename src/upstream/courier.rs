//! Lines in, tasks, lines out: what waits for what, and how it all ends.
//!
//! # Invariants
//!
//! - `initialize` is answered, and `notifications/initialized` delivered, and the server's stream
//!   asked for, before anything is sent that came after it; other notifications are sent in their
//!   order; nothing else waits for anything, but for a place.
//! - A cancellation waits for nothing, once it is read.
//! - What waits is bounded: lines by their bytes, exchanges by their number.
//! - Every task is joined before the output ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::Method;
use memchr::memchr;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::answers::Outlet;
use super::body::Stream;
use super::delivery::UNSENT;
use super::exchange::{Answered, Says};
use super::fault::Fault;
use super::letter::{Letter, LetterKind};
use super::open::{Cancelled, Open, Opened};
use super::remote::Remote;
use super::reply::{self, Reply};

/// How many requests are under way at once; further ones wait for a place. Each may need a
/// connection of its own, and some systems allow a process 256 of them.
const PLACES: usize = 200;

/// How many bytes of lines may wait, before no more are read.
const WAITING: usize = 64 * 1024 * 1024;

/// How much room there is at least for what is read at once, in bytes: most lines fit.
const CHUNK: usize = 1024;

/// How long the rest of an answer's stream is read, so that its connection can be used again.
const REST: Duration = Duration::from_secs(1);

/// How long the receipt of what wants no answer is waited for.
const RECEIPT: Duration = Duration::from_secs(30);

/// How long an answer is still taken after its request was cancelled.
const AFTER_CANCEL: Duration = Duration::from_secs(5);

/// The longest goodbye.
const FAREWELL: Duration = Duration::from_millis(900);

/// One courier at work.
#[derive(Debug)]
pub(super) struct Round {
    remote: Arc<Remote>,
    open: Arc<Open>,
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// What all that follows waits for.
    handshake: Turn,
    /// What the next notification waits for.
    notification: Turn,
}

/// Ends when what it stands for is done. There may be nothing to wait for.
#[derive(Clone, Debug, Default)]
struct Turn(Option<watch::Receiver<()>>);

/// Held by what a [`Turn`] stands for.
type Done = watch::Sender<()>;

/// Lines from a pipe.
#[derive(Debug)]
pub(super) struct Lines {
    pipe: DuplexStream,
    buffer: BytesMut,
    scanned: usize,
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(pipe: DuplexStream) -> Self {
        Self { pipe, buffer: BytesMut::new(), scanned: 0 }
    }

    /// The next line, without its end; `None` at the end of the input.
    ///
    /// Cancel safe.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.scanned..]) {
                let mut line = self.buffer.split_to(self.scanned + at + 1).freeze();
                self.scanned = 0;
                line.truncate(line.trim_ascii_end().len());
                if !line.is_empty() {
                    return Some(line);
                }
                continue;
            }
            self.scanned = self.buffer.len();
            self.buffer.reserve(CHUNK);
            if !self.pipe.read_buf(&mut self.buffer).await.is_ok_and(|bytes| bytes > 0) {
                return None;
            }
        }
    }
}

// === impl Turn ===

impl Turn {
    /// A turn, and what ends it when it is dropped.
    fn new() -> (Done, Self) {
        let (done, turn) = watch::channel(());
        (done, Self(Some(turn)))
    }

    async fn wait(self) {
        if let Some(mut turn) = self.0 {
            while turn.changed().await.is_ok() {}
        }
    }
}

// === impl Round ===

impl Round {
    pub(super) fn new(remote: Arc<Remote>) -> Self {
        Self {
            remote,
            open: Arc::default(),
            places: Arc::new(Semaphore::new(PLACES)),
            bytes: Arc::new(Semaphore::new(WAITING)),
            tasks: JoinSet::new(),
            handshake: Turn::default(),
            notification: Turn::default(),
        }
    }

    /// Carries lines until the input has ended and each has its answer, or it is over.
    pub(super) async fn run(mut self, mut lines: Lines, outlet: Outlet, over: CancellationToken) {
        let writing = tokio::spawn(outlet.run());
        let listening = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self.remote).listen()));
        while let Some(Some(line)) = over.run_until_cancelled(lines.next()).await {
            let Some(letter) = Letter::read(line) else { continue };
            let Some(()) = over.run_until_cancelled(self.take(letter)).await else { break };
            while self.tasks.try_join_next().is_some() {}
        }
        let _ = over
            .run_until_cancelled(async { while self.tasks.join_next().await.is_some() {} })
            .await;
        self.tasks.shutdown().await;
        drop(listening);
        self.remote.older.close();
        let _ = timeout(FAREWELL, self.remote.leave()).await;
        drop(self); // nobody is left who could say something
        let _ = writing.await;
    }

    /// Takes one line. Waits where too much waits already.
    async fn take(&mut self, letter: Letter) {
        if let Some(id) = letter.cancels() {
            match self.open.cancel(&id) {
                Cancelled::Tell(stop) => {
                    let remote = Arc::clone(&self.remote);
                    self.tasks.spawn(async move {
                        remote.notify(&letter).await;
                        sleep(AFTER_CANCEL).await;
                        stop.cancel();
                    });
                }
                Cancelled::Done | Cancelled::Unknown => {}
            }
            return;
        }
        let bytes = u32::try_from(letter.body.len().min(WAITING)).unwrap_or(u32::MAX);
        let Ok(waiting) = Arc::clone(&self.bytes).acquire_many_owned(bytes).await else { return };
        match letter.kind.clone() {
            LetterKind::Request(id) => {
                // Over HTTP+SSE no request has a stream of its own.
                let closes = letter.is_modern() && !self.remote.older.is_known();
                let opened = self.open.enter(id, closes);
                let turn = self.handshake.clone();
                let done = (&*letter.method == "initialize").then(|| {
                    let (done, turn) = Turn::new();
                    self.handshake = turn;
                    done
                });
                let (remote, places) = (Arc::clone(&self.remote), Arc::clone(&self.places));
                let request = Request { remote, places, letter, opened, waiting, done };
                self.tasks.spawn(request.run(turn));
            }
            LetterKind::Notification => {
                let turns = [self.handshake.clone(), self.notification.clone()];
                let (done, turn) = Turn::new();
                self.notification = turn.clone();
                if &*letter.method == "notifications/initialized" {
                    self.handshake = turn;
                }
                let remote = Arc::clone(&self.remote);
                self.tasks.spawn(async move {
                    for turn in turns {
                        turn.wait().await;
                    }
                    remote.notify(&letter).await;
                    drop((done, waiting));
                });
            }
            LetterKind::Answer => {
                let (turn, remote) = (self.handshake.clone(), Arc::clone(&self.remote));
                self.tasks.spawn(async move {
                    turn.wait().await;
                    remote.notify(&letter).await;
                    drop(waiting);
                });
            }
        }
    }
}

/// A request on its way.
struct Request {
    remote: Arc<Remote>,
    places: Arc<Semaphore>,
    letter: Letter,
    opened: Opened,
    waiting: OwnedSemaphorePermit,
    /// Held until it is answered, where others wait for that.
    done: Option<Done>,
}

// === impl Request ===

impl Request {
    /// Sends it when it is its turn, and says its answer to the client.
    async fn run(self, turn: Turn) {
        let Self { remote, places, letter, opened, waiting, done } = self;
        let stop = opened.stop.clone();
        let answer = Box::pin(async {
            turn.wait().await;
            let place = places.acquire_owned().await.ok()?;
            opened.sent();
            let rest = remote.answer(&letter, opened).await;
            drop((place, waiting, done));
            rest
        });
        if let Some(Some(rest)) = stop.run_until_cancelled_owned(answer).await {
            let _ = timeout(REST, remote.finish(rest)).await;
        }
    }
}

impl Remote {
    /// Delivers a request, and says its answer to the client. Gives back what is left of its
    /// stream.
    async fn answer(&self, letter: &Letter, opened: Opened) -> Option<Stream> {
        let LetterKind::Request(id) = &letter.kind else { return None };
        let mut carried = UNSENT;
        let delivered = self.deliver(letter, Some(&opened), &mut carried).await;
        let is_given_up = opened.is_given_up();
        let (line, rest) = match delivered {
            Ok(answered) => self.settle(letter, answered),
            Err(Says::Reply(reply)) => (reply.line, None),
            Err(Says::Fault(_)) if is_given_up => return None,
            Err(Says::Fault(fault)) => {
                tracing::warn!(reason_code = fault.reason_code(), why = %fault, "a request has no answer");
                (fault.answer(id), None)
            }
        };
        if letter.tool().is_some() {
            self.ledger.enter(id.literal(), carried);
        }
        drop(opened); // its id may come again as soon as the client has the answer
        self.answers.say(line).await;
        rest
    }

    /// Learns from an answer, before the client has it.
    fn settle(&self, letter: &Letter, answered: Answered) -> (Bytes, Option<Stream>) {
        let Answered { reply, rest, session_id } = answered;
        let Some(reply) = reply else { return (Bytes::new(), rest) };
        let Some(result) = reply.result() else { return (reply.line, rest) };
        match &*letter.method {
            "initialize" => {
                let version = reply::member(result, "protocolVersion");
                self.session.begin(letter.clone(), session_id, version.as_deref());
            }
            "tools/list" => return (self.listed(letter, &reply), rest),
            _ => self.session.remember(letter),
        }
        (reply.line, rest)
    }

    /// Learns from a list of tools, and gives the line with it without those that break the rules.
    fn listed(&self, letter: &Letter, reply: &Reply) -> Bytes {
        let (Some(at), Some(result)) = (reply.result_at(), reply.result()) else {
            return reply.line.clone();
        };
        if !letter.is_modern() {
            self.session.listed(letter.has_cursor(), result, || self.digest());
            return reply.line.clone();
        }
        let fewer = self.learn(result).and_then(|listed| listed.without_invalid(result));
        match fewer {
            Some((array, fewer)) => {
                let array = at.start + array.start..at.start + array.end;
                reply.spliced(array, &[&fewer]).line
            }
            None => reply.line.clone(),
        }
    }

    /// Passes on what comes after an answer, until its stream ends.
    async fn finish(&self, mut rest: Stream) {
        while let Ok(Some(event)) = rest.next().await {
            self.pass(&event).await;
        }
    }

    /// Delivers a notification, or an answer to the server. What cannot be delivered is lost.
    async fn notify(&self, letter: &Letter) {
        let mut carried = UNSENT;
        let delivered = timeout(RECEIPT, Box::pin(self.deliver(letter, None, &mut carried))).await;
        let late = || Err(Says::Fault(Fault::Timeout(RECEIPT.as_secs())));
        match delivered.unwrap_or_else(|_| late()) {
            Ok(_) => {
                if &*letter.method == "notifications/initialized" {
                    self.session.initialized(letter.clone());
                    self.session.heard().await;
                }
            }
            Err(says) => {
                let (method, why) = (&*letter.method, says.in_words());
                tracing::warn!(method, why, "the server did not take it");
            }
        }
    }

    /// Ends the session, where there is one.
    async fn leave(&self) {
        let seen = self.session.seen();
        if seen.id.is_none() {
            return;
        }
        let Ok(presented) = self.authority.present().await else { return };
        let headers = self.session_headers(&presented, &seen);
        let _ = self.send(Method::DELETE, &self.url, headers, Bytes::new()).await;
    }
}
