//! One client, one server, and the calls that wait between them.
//!
//! Sans-I/O: [`Session::handle`] takes what happened, [`Session::poll_effect`] gives what to do
//! about it, in the order to do it in; [`Session::poll_timeout`] says when to come back.
//!
//! # Invariants
//!
//! - No call reaches the server without a permit, and none before its record was written; none
//!   reaches it twice.
//! - Every call that does not reach the server is answered, once, unless the client cancelled it.
//! - A call that waits holds up nothing but itself.
//! - An answer of the server reaches the client only if its request was forwarded, and only once.
//! - What thoth asks the client in its own name is between the two: see `asking`.

mod answers;
mod asking;
mod calls;
mod continuing;
mod ending;
mod held;
mod judging;
mod own;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::asking::Elicitations;
use super::answer::{self, Denial};
use super::decide::Rules;
use super::extras::Extras;
use super::framing::{Line, TooLong};
use super::happening::{Ended, Happening};
use super::message::client::{self, Method, Request, Unreadable};
use super::message::{Call, Outbound, RequestId, overlong_id};
use super::record::{End, Outcome, Record, Recorder, Ticket};
use super::tools::Tools;
use super::verdict::{Answer, Calls, Hold, Judge, Question, Reply, SteppedUp};
use super::waiting::{Forwarded, NoRoom, Open, Requested, Requests};

/// How long the server's input stays open after the client has closed its end, while answers are
/// outstanding: some servers drop what they work on when their input ends.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long the server may go on answering in all after the client has closed its end.
pub const DRAIN: Duration = Duration::from_secs(30);

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The client said something, or something too long.
    Client(Result<Line, TooLong>),
    /// The client will say no more.
    ClientClosed,
    /// Asking the enforcer, or the desk, about a call has ended.
    Asked(Ticket, Answer),
    /// Waiting for a person's answer about a held call has ended.
    Waited(Ticket, Answer),
    /// What was wanted by [`Effect::Report`].
    Reported(Ticket, String),
    /// The server said something, or something too long.
    Server(Result<Line, TooLong>),
    /// The server will say no more.
    ServerClosed,
    /// thoth was told to stop.
    Stop,
}

/// What to do about it.
#[derive(Debug)]
pub enum Effect {
    /// Ask the enforcer; its answer comes back as [`Input::Asked`].
    Ask(Question),
    /// Let the local rules' step-up be held by this sidecar; what it says comes back as
    /// [`Input::Asked`].
    Hold(Box<SteppedUp>),
    /// Close the server's input: nothing will be written to it any more.
    CloseServer,
    /// End the server: nothing it could still say is waited for. Its input was closed before.
    EndServer,
    /// Tell the log.
    Note(Note),
    /// Write a record about what is over. Nothing depends on it.
    Record(Record),
    /// Make a report on the session so far; it comes back as [`Input::Reported`].
    Report(Ticket),
    /// Tell what happened, at once.
    Tell(Box<Happening>),
    /// Nobody will make this call any more: what was held for it is withdrawn, and a later yes lets
    /// nothing happen.
    Release(Hold),
    /// Pass on what a person has answered inside the client.
    Reply(Hold, Reply),
    /// Write a line to the client.
    ToClient(Bytes),
    /// Write a line to the server.
    ToServer(Outbound),
    /// Wait for a person's answer; it comes back as [`Input::Waited`].
    Wait(Ticket, Hold),
    /// Nobody waits any more for what was asked about this call.
    Withdraw(Ticket),
}

/// Something out of the ordinary, for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// A server's line that could be taken for more than one answer was dropped.
    AmbiguousAnswer,
    /// The client answered a request that nobody made, or takes an answer to no more; dropped.
    AnswerToNobody,
    /// The client answered a question of thoth's own with something else; dropped.
    ForeignAnswer,
    /// The server made a request under a name of thoth's own; dropped.
    GuessedName,
    /// A client's line was refused unread: the reason code.
    Refused(&'static str),
    /// A line of the server, longer than the limit, was dropped: its length in bytes.
    ServerLineTooLong(usize),
    /// The server answered a request that was not forwarded, or answered twice; dropped.
    UnexpectedAnswer,
}

/// What a session is told at its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// What decisions depend on.
    pub rules: Rules,
    /// The shape of a refusal.
    pub denial: Denial,
    /// Whether a remote enforcer is asked.
    pub remote: bool,
    /// Whether this sidecar has a desk of its own for what the rules step up: [`Effect::Hold`].
    pub desk: bool,
    /// Whether what happens is told: [`Effect::Tell`].
    pub tells: bool,
}

/// The state of one session.
pub struct Session {
    settings: Settings,
    judge: Option<Box<dyn Judge + Send>>,
    extras: Option<Box<dyn Extras>>,
    requests: Requests,
    /// Requests of the server that the client has not answered.
    asked: BTreeSet<RequestId>,
    asking: Elicitations,
    tools: Tools,
    calls: Calls,
    tickets: u64,
    /// How many requests that are no calls were told.
    numbers: u64,
    effects: VecDeque<Effect>,
    ending: Ending,
}

/// How far the session's end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// It has not begun.
    No,
    /// The client has closed its end; what waits is decided, and answers are waited for.
    Draining { since: Instant },
    /// The server's input is closed, too; answers are still waited for.
    Closed { since: Instant },
    /// Nothing is waited for.
    Over,
}

// === impl Session ===

impl Session {
    /// A session in which nothing happened yet.
    pub fn new(settings: Settings, judge: Option<Box<dyn Judge + Send>>) -> Self {
        Self {
            settings,
            judge,
            extras: None,
            requests: Requests::default(),
            asked: BTreeSet::new(),
            asking: Elicitations::default(),
            tools: Tools::default(),
            calls: Calls::default(),
            tickets: 0,
            numbers: 0,
            effects: VecDeque::new(),
            ending: Ending::No,
        }
    }

    /// The same session, with something added to what the server offers.
    #[must_use]
    pub fn adding(self, extras: Box<dyn Extras>) -> Self {
        Self { extras: Some(extras), ..self }
    }

    /// Takes in one thing that happened. Decisions are written to `recorder` before anything
    /// follows from them.
    pub fn handle(&mut self, input: Input, now: Instant, recorder: &mut impl Recorder) {
        match input {
            Input::Client(Ok(line)) => self.client_line(line, now, recorder),
            Input::Client(Err(long)) => self.client_too_long(&long),
            Input::ClientClosed => self.client_closed(now),
            Input::Asked(ticket, answer) | Input::Waited(ticket, answer) => {
                self.answered_about(ticket, answer, now, recorder);
            }
            Input::Reported(ticket, text) => self.reported(ticket, &text),
            Input::Server(Ok(line)) => self.server_line(line, now, recorder),
            Input::Server(Err(long)) => self.server_too_long(&long, now),
            Input::ServerClosed => self.server_closed(now),
            Input::Stop => self.stop(now),
        }
        self.go_on_ending(now);
    }

    /// The next thing to do; `None` until more happens.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.next_end(), self.requests.next_due()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(ticket) = self.requests.pop_due(now) {
            self.tell_progress(ticket, now);
        }
        self.go_on_ending(now);
    }

    fn client_line(&mut self, line: Line, now: Instant, recorder: &mut impl Recorder) {
        let bytes = line.as_bytes().len();
        match client::read(line) {
            Ok(client::Message::Call(call)) => self.call(*call, now, recorder),
            Ok(client::Message::Request(request)) => self.request(request, now),
            Ok(client::Message::Cancelled(id, line)) => self.cancelled(&id, line, now),
            Ok(client::Message::Notification(line)) => self.send_server(line.into()),
            Ok(client::Message::Answer(id, line)) => {
                if let Some(number) = self.own_number(&id) {
                    self.elicited(number, &line, now, recorder);
                } else if self.asked.remove(&id) {
                    self.send_server(line.into());
                } else {
                    self.note(Note::AnswerToNobody);
                }
            }
            Err(Unreadable { why, id, attempt }) => {
                let told = attempt.and_then(|attempt| self.tell_attempt(*attempt));
                let end =
                    self.unreadable(id, why.code(), &why.to_string(), why.reason_code(), bytes);
                self.tell_end(told, end);
            }
        }
    }

    fn client_too_long(&mut self, long: &TooLong) {
        let id = overlong_id(long);
        self.unreadable(
            id,
            answer::INVALID_REQUEST,
            &long.to_string(),
            "message_too_long",
            long.len,
        );
    }

    /// Answers a line that is not forwarded. An id that belongs to an open request is not named:
    /// its answer is still to come. Returns what there is to tell of it.
    fn unreadable(
        &mut self,
        id: Option<RequestId>,
        code: i64,
        why: &str,
        reason_code: &'static str,
        bytes: usize,
    ) -> Ended {
        let id = id.filter(|id| self.requests.get(id).is_none());
        let message = format!("the message was not forwarded: {why}");
        self.note(Note::Refused(reason_code));
        self.record(Record::Unreadable { reason_code, bytes });
        self.send_client(answer::unreadable(id.as_ref(), code, &message, reason_code));
        Ended::Refused { code, message, reason_code: Some(reason_code.to_owned()) }
    }

    fn request(&mut self, request: Request, now: Instant) {
        if request.method == Method::Initialize {
            self.greeted(&request.params());
        }
        let number = self.tell_request(&request);
        let Request { id, method, line, .. } = request;
        let requested = Requested { method, number, cancelled: false };
        if let Err(why) = self.room_for(&id, 0, now) {
            let end = self.no_room(&id, why);
            return self.tell_request_end(requested, 0, || end);
        }
        let replaced = self.requests.open(id, Open::Request(requested));
        self.settle_cancelled(replaced, now);
        self.send_server(line.into());
    }

    /// Makes room for a request, and says why there is none.
    fn room_for(&mut self, id: &RequestId, bytes: usize, now: Instant) -> Result<(), NoRoom> {
        let room = self.requests.room_for(id, bytes);
        if room == Err(NoRoom::Full)
            && let Some(given_up) = self.requests.give_up_cancelled()
        {
            self.settle_cancelled(Some(given_up), now);
            return self.requests.room_for(id, bytes);
        }
        room
    }

    fn no_room(&mut self, id: &RequestId, why: NoRoom) -> Ended {
        let (id, why, reason_code) = match why {
            NoRoom::IdInUse => {
                (None, "its id belongs to a request that is still open", "id_in_use")
            }
            NoRoom::Full => (Some(id.clone()), "too many requests are open", "too_many_in_flight"),
        };
        self.unreadable(id, answer::INVALID_REQUEST, why, reason_code, 0)
    }

    /// A cancelled call whose id or room is taken by a new request will not be answered any more. Its
    /// end was told when it was cancelled.
    fn settle_cancelled(&mut self, replaced: Option<Open>, now: Instant) {
        if let Some(Open::Forwarded(forwarded)) = replaced {
            self.forwarded_ended(forwarded, End::Cancelled, now);
        }
    }

    fn forwarded_ended(&mut self, forwarded: Forwarded, end: End, now: Instant) {
        let Forwarded { ticket, tool, since, .. } = forwarded;
        let took = now.saturating_duration_since(since);
        let outcome = Outcome { ticket, tool: tool.to_string(), end, took };
        self.record(Record::Outcome(Box::new(outcome)));
    }

    fn outcome(&mut self, ticket: Ticket, call: &Call, since: Instant, end: End, now: Instant) {
        let took = now.saturating_duration_since(since);
        let outcome = Outcome { ticket, tool: call.tool().to_string(), end, took };
        self.record(Record::Outcome(Box::new(outcome)));
    }

    fn record(&mut self, record: Record) {
        self.effects.push_back(Effect::Record(record));
    }

    fn note(&mut self, note: Note) {
        self.effects.push_back(Effect::Note(note));
    }

    fn send_client(&mut self, line: Bytes) {
        self.effects.push_back(Effect::ToClient(line));
    }

    fn send_server(&mut self, line: Outbound) {
        self.effects.push_back(Effect::ToServer(line));
    }
}
