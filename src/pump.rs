//! Moves lines between the client, the server, the enforcer and the [`Session`]: the program's only
//! loop, and its only `select!`.
//!
//! Both readers and both writers are polled here and nowhere else, so a line crosses no task on its
//! way. Every arm is cancel safe and no arm's body awaits: half a line lives in a framer, half a
//! write in a backlog, and a stalled pipe stops the direction it is in and nothing else.
//!
//! # Invariants
//!
//! - Per direction, lines leave in the order they came.
//! - A decision is on record before its call is in the backlog; an outcome is recorded when its
//!   answer has left. What happens is told at once, in its order.
//! - Memory is bounded: each source is read only while what it adds to is below its mark.
//! - The loop ends: once the server's output has ended, or nobody reads what thoth says, within
//!   [`FAREWELL`].

mod backlog;
mod questions;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::backlog::Backlog;
pub use self::questions::Ask;
use self::questions::Questions;
use crate::gate::framing::{Framer, Line, TooLong};
use crate::gate::record::{Record, Recorder};
use crate::gate::session::{Effect, Input, Note, Session};

/// How many bytes may wait for a pipe before their source is no longer read.
pub const HIGH_WATER: usize = 4 * 1024 * 1024;

/// How many more may wait for the client because thoth itself answers: a client that reads nothing
/// but asks for refusals is no longer read either.
const OWN_ANSWERS: usize = 4 * 1024 * 1024;

/// How many outcomes may wait to be recorded. They are, whenever nothing waits to be written.
const OUTCOMES: usize = 64;

/// How long a pipe that nobody reads is waited for at the end.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// The four pipes.
#[derive(Debug)]
pub struct Pipes<CI, CO, SI, SO> {
    /// From the client.
    pub client_in: CI,
    /// To the client.
    pub client_out: CO,
    /// To the server.
    pub server_in: SI,
    /// From the server. Must end when the server has.
    pub server_out: SO,
}

/// How the loop is told to end, and tells others.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Cancelled from outside: refuse what waits, and end.
    pub stop: CancellationToken,
    /// Cancelled here, with the server's input closed: nothing it says is waited for.
    pub server_over: CancellationToken,
}

/// Runs one session until the server's output has ended. `limit` is the longest line, in bytes.
///
/// Not cancel safe: dropped, it loses what waits. Use [`Signals::stop`].
pub async fn run<CI, CO, SI, SO>(
    pipes: Pipes<CI, CO, SI, SO>,
    session: Session,
    asker: impl Ask,
    recorder: &mut impl Recorder,
    signals: Signals,
    limit: usize,
) where
    CI: AsyncRead + Unpin,
    CO: AsyncWrite + Unpin,
    SI: AsyncWrite + Unpin,
    SO: AsyncRead + Unpin,
{
    let Pipes { mut client_in, mut client_out, server_in, mut server_out } = pipes;
    let mut server_in = Some(server_in);
    let mut pump = Pump {
        session,
        questions: Questions::new(asker),
        from_client: Source::new(limit),
        from_server: Source::new(limit),
        to_client: Backlog::default(),
        to_server: Backlog::default(),
        outcomes: VecDeque::new(),
        closing: None,
        stopped: false,
        over: false,
        farewell: None,
        signals,
    };

    loop {
        pump.act(recorder);
        if pump.is_server_done() {
            server_in = None;
            if pump.over {
                pump.signals.server_over.cancel();
            }
        }
        if pump.is_over() {
            break;
        }
        let now = Instant::now();
        let due = pump.timeout();

        tokio::select! {
            () = pump.signals.stop.cancelled(), if !pump.stopped => {
                pump.stopped = true;
                pump.from_client.close();
                pump.handle(Input::Stop, recorder);
            }
            written = pump.to_client.write_to(&mut client_out), if !pump.to_client.is_empty() => {
                if let Err(why) = written {
                    tracing::debug!(%why, "the client reads no more");
                    pump.client_gone();
                }
            }
            Some(written) = write(&mut pump.to_server, server_in.as_mut()), if !pump.to_server.is_empty() => {
                if let Err(why) = written {
                    tracing::debug!(%why, "the server reads no more");
                    pump.to_server.discard();
                    pump.closing = Some(now);
                    pump.over = true;
                }
            }
            read = client_in.read_buf(pump.from_client.framer.space()), if pump.reads_client() => {
                let closed = pump.take_client(&read, recorder);
                if closed {
                    pump.handle(Input::ClientClosed, recorder);
                }
            }
            read = server_out.read_buf(pump.from_server.framer.space()), if pump.reads_server() => {
                let closed = pump.take_server(&read, recorder);
                if closed {
                    pump.handle(Input::ServerClosed, recorder);
                    pump.farewell = Some(now + FAREWELL);
                }
            }
            Some(ended) = pump.questions.next() => pump.handle(ended, recorder),
            () = sleep_until(due.unwrap_or(now)), if due.is_some() => {
                pump.session.handle_timeout(Instant::now().into_std());
            }
        }
    }
    pump.record_outcomes(recorder);
    pump.questions.end().await;
    // What a terminal or a file was given may still be on its way.
    let _ = timeout(FAREWELL, client_out.flush()).await;
}

/// One direction's way in.
#[derive(Debug)]
struct Source {
    framer: Framer,
    closed: bool,
}

struct Pump<A> {
    session: Session,
    questions: Questions<A>,
    from_client: Source,
    from_server: Source,
    to_client: Backlog,
    to_server: Backlog,
    outcomes: VecDeque<Record>,
    /// When the server's input is closed at the latest, whatever still waits for it.
    closing: Option<Instant>,
    /// Whether the session was told to stop.
    stopped: bool,
    /// Whether the server is to be ended once its input is closed.
    over: bool,
    /// When the loop ends at the latest, whatever still waits for the client.
    farewell: Option<Instant>,
    signals: Signals,
}

// === impl Source ===

impl Source {
    fn new(limit: usize) -> Self {
        Self { framer: Framer::new(limit), closed: false }
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn close(&mut self) {
        self.closed = true;
    }

    /// The next line that is complete, or the last one once the source has ended.
    fn next(&mut self) -> Option<Result<Line, TooLong>> {
        self.framer.next_line().or_else(|| if self.closed { self.framer.last_line() } else { None })
    }
}

// === impl Pump ===

impl<A: Ask> Pump<A> {
    /// Does what the session asks for, until it asks for nothing more.
    fn act(&mut self, recorder: &mut impl Recorder) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Ask(question) => self.questions.ask(question),
                Effect::CloseServer => {
                    let patience =
                        if self.signals.stop.is_cancelled() { Duration::ZERO } else { FAREWELL };
                    self.closing = Some(Instant::now() + patience);
                }
                Effect::EndServer => self.over = true,
                Effect::Hold(stepped_up) => self.questions.hold(*stepped_up),
                Effect::Note(note) => log(&note),
                Effect::Record(record) => self.outcomes.push_back(record),
                Effect::Release(hold) => self.questions.release(hold),
                Effect::Reply(hold, reply) => self.questions.reply(hold, reply),
                Effect::Report(ticket) => self.questions.report(ticket),
                Effect::Tell(happening) => recorder.happened(*happening),
                Effect::ToClient(line) => self.to_client.push(line),
                Effect::ToServer(line) => self.to_server.push(line.into_wire()),
                Effect::Wait(ticket, hold) => self.questions.wait(ticket, hold),
                Effect::Withdraw(ticket) => self.questions.withdraw(ticket),
            }
        }
        let idle = self.to_client.is_empty() && self.to_server.is_empty();
        if idle || self.outcomes.len() > OUTCOMES {
            self.record_outcomes(recorder);
        }
    }

    /// Outcomes are written when their answers have left: hashing a large result must not delay it.
    /// Where one cannot be written, its call is over all the same; the recorder says so.
    fn record_outcomes(&mut self, recorder: &mut impl Recorder) {
        for record in self.outcomes.drain(..) {
            recorder.record(&record);
        }
    }

    fn handle(&mut self, input: Input, recorder: &mut impl Recorder) {
        self.session.handle(input, Instant::now().into_std(), recorder);
    }

    /// Takes in what was read from the client. Says whether that was its last.
    fn take_client(&mut self, read: &io::Result<usize>, recorder: &mut impl Recorder) -> bool {
        let closed = !matches!(read, Ok(bytes) if *bytes > 0);
        if closed {
            self.from_client.close();
        }
        while let Some(line) = self.from_client.next() {
            self.handle(Input::Client(line), recorder);
        }
        closed
    }

    /// Takes in what was read from the server. Says whether that was its last.
    fn take_server(&mut self, read: &io::Result<usize>, recorder: &mut impl Recorder) -> bool {
        let closed = !matches!(read, Ok(bytes) if *bytes > 0);
        if closed {
            self.from_server.close();
        }
        while let Some(line) = self.from_server.next() {
            self.handle(Input::Server(line), recorder);
        }
        closed
    }

    fn reads_client(&self) -> bool {
        !self.from_client.is_closed()
            && !self.from_server.is_closed()
            && self.to_server.bytes() < HIGH_WATER
            && self.to_client.bytes() < HIGH_WATER + OWN_ANSWERS
    }

    fn reads_server(&self) -> bool {
        !self.from_server.is_closed() && self.to_client.bytes() < HIGH_WATER
    }

    fn client_gone(&mut self) {
        self.to_client.discard();
        self.signals.stop.cancel();
    }

    /// Whether the server's input is to be closed now: all was written, or it took too long.
    fn is_server_done(&self) -> bool {
        self.closing.is_some_and(|latest| {
            self.to_server.is_empty() || Instant::now() >= latest || self.from_server.is_closed()
        })
    }

    fn is_over(&self) -> bool {
        self.farewell.is_some_and(|latest| self.to_client.is_empty() || Instant::now() >= latest)
    }

    fn timeout(&self) -> Option<Instant> {
        let session = self.session.poll_timeout().map(Instant::from_std);
        let closing = self.closing.filter(|_| !self.is_server_done());
        [session, closing, self.farewell].into_iter().flatten().min()
    }
}

/// Writes to the server while its input is open.
async fn write<W: AsyncWrite + Unpin>(
    backlog: &mut Backlog,
    server_in: Option<&mut W>,
) -> Option<io::Result<()>> {
    let Some(server_in) = server_in else {
        backlog.clear();
        return None;
    };
    Some(backlog.write_to(server_in).await)
}

/// Notes say what was done with a line, never what it held.
fn log(note: &Note) {
    match note {
        Note::Refused(reason_code) => {
            tracing::warn!(reason_code, "refused a line of the client unread");
        }
        Note::ServerLineTooLong(bytes) => {
            tracing::warn!(bytes, "dropped a line of the server: too long");
        }
        Note::AmbiguousAnswer => tracing::warn!("dropped an ambiguous answer of the server"),
        Note::UnexpectedAnswer => tracing::debug!("dropped an answer that nobody waits for"),
        Note::AnswerToNobody => {
            tracing::debug!("dropped an answer to a request that nobody waits for");
        }
        Note::ForeignAnswer => {
            tracing::warn!("dropped an answer of the client that fits no question about a call");
        }
        Note::GuessedName => {
            tracing::warn!("dropped a request of the server under a name of thoth's own");
        }
    }
}

#[cfg(test)]
mod tests;
