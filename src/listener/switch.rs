//! Which line goes to whom: the streams of one session, and what was said to each.
//!
//! A stream is what answers one `POST`, or what a `GET` listens to. It holds the events that nobody
//! has read yet, and for a while those that were read: whoever lost the connection asks for them
//! again. No I/O and no clock; whoever waits leaves a waker.
//!
//! | line | goes to |
//! |---|---|
//! | an answer | the request that has its id; nobody, where there is none |
//! | an error without id | the oldest message that the gate could not read |
//! | progress | the request that gave the token; nobody, where there is none |
//! | for a subscription (MCP 2026-07-28) | the request that has its id |
//! | a list or a resource has changed | the `GET`, where one listens; else the newest request |
//! | any other notification, a request of the server's | the newest request; else the `GET` |
//!
//! # Invariants
//!
//! - Each line goes to one stream at most, and no stream ends with somebody else's answer.
//! - What nobody reads is bounded: [`KEPT`] bytes a session, [`EVENTS`] events a stream, the newest
//!   of each. The answer to a request that still waits is never among what is let go.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::members;
use super::spoken::Spoken;
use crate::gate::framing::Line;
use crate::gate::json::Lenient;
use crate::gate::message::RequestId;
use crate::mirror::{Listed, Parameters};

/// How many bytes a session keeps for those who are not there, or come again.
const KEPT: usize = 2 * 1024 * 1024;

/// How many events a stream keeps for them.
const EVENTS: usize = 256;

/// How many streams are kept after their end.
const ENDED: usize = 32;

/// How many given up requests are remembered, and for how long an answer may still come: until then
/// none of that id is taken, which would be given it.
const GIVEN_UP: usize = 256;
const LATE: Duration = Duration::from_mins(1);

/// A stream's number; the client's name for it begins with it.
pub(super) type Number = u64;

/// The stream that a `GET` listens to: always there.
pub(super) const LISTENING: Number = 0;

/// The streams of one session.
#[derive(Debug)]
pub(super) struct Switch {
    streams: BTreeMap<Number, Stream>,
    /// Requests without an answer, and their streams.
    waiting: BTreeMap<RequestId, Number>,
    /// Requests whose answer nobody wants any more, and since when. Most will have none.
    given_up: BTreeMap<RequestId, Instant>,
    /// The streams of messages that the gate could not read, the oldest first.
    doubtful: VecDeque<Number>,
    /// The number of the next stream.
    next: Number,
    /// How many readers there were.
    readers: u64,
    /// How many streams have ended.
    ended: u64,
    /// Whether anything was answered yet: before, the server is only starting.
    has_answered: bool,
    /// What is known of the tools that are called without a session.
    parameters: Rc<RefCell<Parameters>>,
}

/// What a stream is for.
#[derive(Debug)]
pub(super) struct Purpose {
    /// The request's id; `None` for a message that the gate cannot read.
    pub(super) id: Option<RequestId>,
    /// Its progress token.
    pub(super) token: Option<String>,
    /// Whether its client takes nothing but the answer.
    pub(super) answer_only: bool,
    /// Whether its answer lists tools, whose parameters are to be known.
    pub(super) lists: bool,
}

/// One thing that was said.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its place in its stream, from 1.
    pub(super) place: u64,
    /// The message, without its line end.
    pub(super) text: Bytes,
    /// The error's code, where it is an answer with one.
    pub(super) code: Option<i64>,
    /// Whether it is the last of its stream.
    pub(super) is_answer: bool,
}

/// What comes first on a stream.
#[derive(Debug)]
pub(super) enum First {
    /// The answer, and so the last.
    Answer(Event),
    /// Something else, which is still to be read.
    Other,
    /// Nothing: there will be no answer.
    Nothing,
}

#[derive(Debug)]
struct Stream {
    purpose: Purpose,
    /// The oldest first.
    events: VecDeque<Event>,
    /// The place of the next event.
    next: u64,
    /// The place of the next event to be read.
    reads: u64,
    reader: Option<Reader>,
    /// Whether it can be asked for again after a lost connection.
    resumable: bool,
    /// Where nothing more comes: how many streams of the session had ended by then.
    over: Option<u64>,
}

#[derive(Debug)]
struct Reader {
    number: u64,
    waker: Option<Waker>,
}

// === impl Switch ===

impl Switch {
    /// What is listed is told to `parameters`.
    pub(super) fn new(parameters: Rc<RefCell<Parameters>>) -> Self {
        let purpose = Purpose { id: None, token: None, answer_only: false, lists: false };
        let listening = Stream { resumable: true, ..Stream::new(purpose) };
        Self {
            streams: [(LISTENING, listening)].into(),
            waiting: BTreeMap::new(),
            given_up: BTreeMap::new(),
            doubtful: VecDeque::new(),
            next: LISTENING + 1,
            readers: 0,
            ended: 0,
            has_answered: false,
            parameters,
        }
    }

    /// Whether a request with this id and this token can be told from those that wait, and from those
    /// that were given up a moment ago.
    pub(super) fn has_room_for(&self, id: &RequestId, token: Option<&str>, now: Instant) -> bool {
        let is_taken =
            |stream: &Stream| !stream.is_over() && stream.purpose.token.as_deref() == token;
        !self.waiting.contains_key(id)
            && self.given_up.get(id).is_none_or(|since| now.duration_since(*since) >= LATE)
            && (token.is_none() || !self.streams.values().any(is_taken))
    }

    /// How many requests have no answer yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + self.doubtful.len()
    }

    /// Whether anything was answered yet.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Opens a stream for a message that is about to be sent, and reads from it.
    pub(super) fn open(&mut self, purpose: Purpose) -> (Number, u64) {
        let number = self.next;
        self.next += 1;
        match &purpose.id {
            Some(id) => {
                self.given_up.remove(id);
                self.waiting.insert(id.clone(), number);
            }
            None => self.doubtful.push_back(number),
        }
        self.streams.insert(number, Stream::new(purpose));
        let reader = self.attach(number).unwrap_or_else(|| unreachable!("it was just opened"));
        (number, reader)
    }

    /// Reads on where the last reader has stopped, who reads no more; `None` where there is no such
    /// stream.
    pub(super) fn attach(&mut self, number: Number) -> Option<u64> {
        let stream = self.streams.get_mut(&number)?;
        self.readers += 1;
        stream.wake();
        stream.reader = Some(Reader { number: self.readers, waker: None });
        Some(self.readers)
    }

    /// Reads anew from the event after this one.
    pub(super) fn resume(&mut self, number: Number, after: u64) -> Option<u64> {
        let stream = self.streams.get_mut(&number).filter(|stream| stream.resumable)?;
        if after >= stream.next {
            return None;
        }
        stream.reads = after + 1;
        self.attach(number)
    }

    /// Waits for what comes first. An answer alone is taken out, unless `streams`.
    pub(super) fn poll_first(
        &mut self,
        number: Number,
        streams: bool,
        cx: &mut Context<'_>,
    ) -> Poll<First> {
        let Some(stream) = self.streams.get_mut(&number) else {
            return Poll::Ready(First::Nothing);
        };
        match stream.events.front() {
            Some(event) if event.is_answer && !streams => {
                let event = event.clone();
                self.streams.remove(&number);
                Poll::Ready(First::Answer(event))
            }
            Some(_) => Poll::Ready(First::Other),
            None if stream.is_over() => Poll::Ready(First::Nothing),
            None => {
                stream.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Waits for the next event. `None` at the stream's end, or where another reader has come.
    pub(super) fn poll_next(
        &mut self,
        number: Number,
        reader: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Event>> {
        let Some(stream) = self.streams.get_mut(&number).filter(|stream| stream.is_read_by(reader))
        else {
            return Poll::Ready(None);
        };
        if let Some(event) = stream.events.iter().find(|event| event.place >= stream.reads) {
            let event = event.clone();
            stream.reads = event.place + 1;
            self.make_room();
            return Poll::Ready(Some(event));
        }
        if stream.is_over() {
            return Poll::Ready(None);
        }
        stream.wait(cx);
        Poll::Pending
    }

    /// The client is told what the events of this stream are called, and may resume it.
    pub(super) fn promise(&mut self, number: Number) {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.resumable = true;
        }
    }

    /// Nobody reads here any more. Returns the id of the request whose answer nobody can ask for
    /// from now on, where it has none yet.
    pub(super) fn leave(&mut self, number: Number, reader: u64, now: Instant) -> Option<RequestId> {
        let stream = self.streams.get_mut(&number).filter(|stream| stream.is_read_by(reader))?;
        stream.reader = None;
        if stream.resumable {
            self.make_room();
            return None;
        }
        let stream = self.streams.remove(&number)?;
        let id = stream.purpose.id.filter(|_| stream.over.is_none())?;
        self.give_up(&id, now);
        Some(id)
    }

    /// The client wants no answer to this request.
    pub(super) fn cancelled(&mut self, id: &RequestId, now: Instant) {
        if let Some(number) = self.give_up(id, now) {
            self.end(number);
        }
    }

    /// The answer, should one still come, is nobody's; and no other request's. Returns the stream that
    /// it would have gone to.
    fn give_up(&mut self, id: &RequestId, now: Instant) -> Option<Number> {
        let number = self.waiting.remove(id)?;
        self.given_up.insert(id.clone(), now);
        if self.given_up.len() > GIVEN_UP {
            let oldest = self.given_up.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.given_up.remove(&oldest);
            }
        }
        Some(number)
    }

    /// Brings one line to whom it is for.
    pub(super) fn take(&mut self, line: &Line) {
        let said = Spoken::read(line);
        let (number, code, is_answer) = match &said {
            Spoken::Answer(id, code) => {
                self.has_answered = true;
                match self.waiting.remove(id) {
                    Some(number) => (number, *code, true),
                    None if self.given_up.remove(id).is_some() => {
                        return tracing::debug!("an answer that nobody wants any more");
                    }
                    // The gate names an id that it takes for no longer in use.
                    None if code.is_some() && !self.doubtful.is_empty() => {
                        let oldest = self.doubtful.pop_front();
                        (oldest.unwrap_or_default(), *code, true)
                    }
                    None => return tracing::debug!("an answer that nobody waits for"),
                }
            }
            Spoken::Nameless => match self.doubtful.pop_front() {
                Some(number) => (number, Some(0), true),
                None => return tracing::debug!("an error that names no request"),
            },
            Spoken::Progress(token) => match self.newest(|stream| stream.has_token(token)) {
                Some(number) => (number, None, false),
                None => return tracing::debug!("progress of nothing that is waited for"),
            },
            Spoken::Subscribed(key) => match self.newest(|stream| stream.has_key(key)) {
                Some(number) => (number, None, false),
                None => return tracing::debug!("news for no subscription"),
            },
            Spoken::Changed if self.is_listened_to() => (LISTENING, None, false),
            Spoken::Changed | Spoken::Notification | Spoken::Request => {
                (self.newest(|_| true).unwrap_or(LISTENING), None, false)
            }
            Spoken::Nothing => return tracing::warn!("dropped a line that is no message"),
        };
        // A copy: a small line must not keep the whole read it came with.
        self.push(number, Bytes::copy_from_slice(line.as_bytes()), code, is_answer);
    }

    /// There will be no more lines: everything that waits is answered with `error`.
    pub(super) fn close(&mut self, error: impl Fn(Option<&RequestId>) -> Bytes) {
        for (id, number) in std::mem::take(&mut self.waiting) {
            self.push(number, error(Some(&id)), Some(0), true);
        }
        for number in std::mem::take(&mut self.doubtful) {
            self.push(number, error(None), Some(0), true);
        }
        self.end(LISTENING);
    }

    /// Whether somebody reads or waits.
    pub(super) fn is_used(&self) -> bool {
        self.streams.values().any(|stream| stream.reader.is_some())
    }

    /// How many bytes wait for those who are there to read them.
    pub(super) fn unread(&self) -> usize {
        let attended = self.streams.values().filter(|stream| stream.reader.is_some());
        attended.map(Stream::unread).sum()
    }

    fn is_listened_to(&self) -> bool {
        self.streams.get(&LISTENING).is_some_and(|stream| stream.reader.is_some())
    }

    /// The newest request's stream that is such, and takes more than its answer.
    fn newest(&self, is: impl Fn(&Stream) -> bool) -> Option<Number> {
        let mut open = self.streams.iter().rev().filter(|(number, stream)| {
            **number != LISTENING
                && !stream.is_over()
                && !stream.purpose.answer_only
                && stream.purpose.id.is_some()
        });
        open.find(|(_, stream)| is(stream)).map(|(number, _)| *number)
    }

    fn push(&mut self, number: Number, text: Bytes, code: Option<i64>, is_answer: bool) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        if is_answer && stream.purpose.lists {
            learn(&mut self.parameters.borrow_mut(), &text);
        }
        let place = stream.next;
        stream.next += 1;
        stream.events.push_back(Event { place, text, code, is_answer });
        stream.wake();
        if is_answer {
            self.end(number);
        }
        self.make_room();
    }

    fn end(&mut self, number: Number) {
        if let Some(stream) = self.streams.get_mut(&number) {
            self.ended += 1;
            stream.over = stream.over.or(Some(self.ended));
            stream.wake();
        }
    }

    /// Lets go of what nobody reads, the oldest first: streams that ended, then events.
    fn make_room(&mut self) {
        let ended = |stream: &Stream| stream.over.filter(|_| stream.reader.is_none());
        while self.streams.values().filter_map(ended).count() > ENDED {
            let oldest = self.streams.iter().filter(|(number, _)| **number != LISTENING);
            let oldest = oldest.filter_map(|(number, stream)| Some((ended(stream)?, *number)));
            let Some((_, number)) = oldest.min() else { break };
            self.streams.remove(&number);
        }
        for stream in self.streams.values_mut() {
            while stream.events.len() > EVENTS && stream.let_go() {}
        }
        let mut kept: usize = self.streams.values().map(Stream::kept).sum();
        for stream in self.streams.values_mut() {
            while kept > KEPT {
                let before = stream.kept();
                if !stream.let_go() {
                    break;
                }
                kept -= before - stream.kept();
            }
        }
    }
}

// === impl Stream ===

impl Stream {
    fn new(purpose: Purpose) -> Self {
        let events = VecDeque::new();
        Self { purpose, events, next: 1, reads: 1, reader: None, resumable: false, over: None }
    }

    fn has_token(&self, token: &str) -> bool {
        self.purpose.token.as_deref() == Some(token)
    }

    /// Whether its request has this id, by type and value.
    fn has_key(&self, key: &str) -> bool {
        let Some(id) = &self.purpose.id else { return false };
        match id.as_text() {
            Some(text) => key.strip_prefix('"') == Some(text),
            None => key == id.literal(),
        }
    }

    fn is_over(&self) -> bool {
        self.over.is_some()
    }

    fn is_read_by(&self, reader: u64) -> bool {
        self.reader.as_ref().is_some_and(|current| current.number == reader)
    }

    fn wait(&mut self, cx: &Context<'_>) {
        if let Some(reader) = &mut self.reader {
            reader.waker = Some(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.reader.as_mut().and_then(|reader| reader.waker.take()) {
            waker.wake();
        }
    }

    fn unread(&self) -> usize {
        let unread = self.events.iter().filter(|event| event.place >= self.reads);
        unread.map(|event| event.text.len()).sum()
    }

    /// How many bytes it could let go of.
    fn kept(&self) -> usize {
        self.events.iter().filter(|event| self.may_go(event)).map(|event| event.text.len()).sum()
    }

    /// What was read may go; what was not, too, where nobody is there to read it, unless it is the
    /// answer.
    fn may_go(&self, event: &Event) -> bool {
        event.place < self.reads || (self.reader.is_none() && !event.is_answer)
    }

    /// Lets go of its oldest event, if it may.
    fn let_go(&mut self) -> bool {
        let may = self.events.front().is_some_and(|event| self.may_go(event));
        if may {
            self.events.pop_front();
        }
        may
    }
}

/// Learns from an answer to `tools/list`.
fn learn(parameters: &mut Parameters, answer: &[u8]) {
    members::each::<Lenient>(answer, |name, result| {
        if name == "result"
            && let Some(listed) = Listed::read(result.text)
        {
            parameters.learn(&listed);
        }
    });
}

#[cfg(test)]
mod tests;
