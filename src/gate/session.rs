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

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::answer::{self, Denial};
use super::decide::{self, Basis, Decision, Mode, Opinions, Permit, Rules, Ruling};
use super::framing::{Line, TooLong};
use super::message::client::{self, Method, Request, Unreadable};
use super::message::server::{self, Body};
use super::message::{Call, Outbound, Passthrough, RequestId, overlong_id};
use super::record::{Decided, End, Outcome, Record, Ticket};
use super::tools::Tools;
use super::verdict::{
    Answer, Arguments, Calls, Effect as Verb, Facts, Grounds, Hold, Judge, Question, Verdict,
};
use super::waiting::{Forwarded, Held, NoRoom, Open, Requests, Waiting};

/// How long the server may go on answering after the client has closed its end.
pub const DRAIN: Duration = Duration::from_mins(1);

/// How often a client with a progress token is told that its call is held.
const PROGRESS: Duration = Duration::from_secs(5);

/// How many requests of the server are remembered, to tell answers to them from others.
const MOST_ASKED: usize = 4096;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The client said something, or something too long.
    Client(Result<Line, TooLong>),
    /// The client will say no more.
    ClientClosed,
    /// Asking the enforcer about a call has ended.
    Asked(Ticket, Answer),
    /// Waiting for a person's answer about a held call has ended.
    Waited(Ticket, Answer),
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
    /// Close the server's input: nothing will be written to it any more.
    CloseServer,
    /// Tell the log.
    Note(Note),
    /// Write a record; what was decided follows with [`Session::recorded`].
    Record(Record, Option<Sealed>),
    /// Write a line to the client.
    ToClient(Bytes),
    /// Write a line to the server.
    ToServer(Outbound),
    /// Wait for a person's answer; it comes back as [`Input::Waited`].
    Wait(Ticket, Hold),
    /// Nobody waits any more for what was asked about this call.
    Withdraw(Ticket),
}

/// What happens to a call once its decision is on record. Opaque: it can only be handed back.
#[derive(Debug)]
#[must_use = "a call that is dropped here is never answered"]
pub struct Sealed {
    call: Box<Call>,
    since: Instant,
    then: Then,
}

#[derive(Debug)]
enum Then {
    Forward(Permit),
    Hold(Hold, Verdict),
    Refuse(Verdict, Basis),
}

/// Something out of the ordinary, for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// A server's line that could be taken for more than one answer was dropped.
    AmbiguousAnswer,
    /// The client answered a request that the server never made; dropped.
    AnswerToNobody,
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
}

/// The state of one session.
pub struct Session {
    settings: Settings,
    judge: Option<Box<dyn Judge + Send>>,
    requests: Requests,
    /// Requests of the server that the client has not answered.
    asked: BTreeSet<RequestId>,
    tools: Tools,
    calls: Calls,
    tickets: u64,
    effects: VecDeque<Effect>,
    ending: Ending,
}

/// How far the session's end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// It has not begun.
    No,
    /// The client has closed its end; until then, answers are waited for.
    Draining { since: Instant },
    /// The server's input is closed.
    Closed,
}

// === impl Session ===

impl Session {
    /// A session in which nothing happened yet.
    pub fn new(settings: Settings, judge: Option<Box<dyn Judge + Send>>) -> Self {
        Self {
            settings,
            judge,
            requests: Requests::default(),
            asked: BTreeSet::new(),
            tools: Tools::default(),
            calls: Calls::default(),
            tickets: 0,
            effects: VecDeque::new(),
            ending: Ending::No,
        }
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Client(Ok(line)) => self.client_line(line, now),
            Input::Client(Err(long)) => self.client_too_long(&long),
            Input::ClientClosed => self.client_closed(now),
            Input::Asked(ticket, answer) => self.asked(ticket, answer, now),
            Input::Waited(ticket, answer) => self.waited(ticket, answer, now),
            Input::Server(Ok(line)) => self.server_line(line, now),
            Input::Server(Err(long)) => self.server_too_long(&long, now),
            Input::ServerClosed => self.server_closed(now),
            Input::Stop => self.stop(now),
        }
        self.close_server_when_idle();
    }

    /// The next thing to do; `None` until more happens.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Goes on with a call whose decision was to be recorded; `written` says whether it was.
    pub fn recorded(&mut self, sealed: Sealed, written: bool, now: Instant) {
        let Sealed { call, since, then } = sealed;
        match then {
            Then::Forward(permit) if written => self.forward(*call, permit, now),
            Then::Hold(hold, verdict) if written => self.hold(*call, since, hold, verdict, now),
            Then::Refuse(verdict, basis) => self.refuse(&call, &verdict, basis),
            Then::Forward(_) | Then::Hold(..) => {
                // Fail closed: what is not on record does not happen.
                let verdict = Verdict::block(
                    "journal_unavailable",
                    "its decision could not be written to the journal",
                );
                self.refuse(&call, &verdict, Basis::Outage);
            }
        }
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let drained = match self.ending {
            Ending::Draining { since } => Some(since + DRAIN),
            Ending::No | Ending::Closed => None,
        };
        [drained, self.requests.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(ticket) = self.requests.pop_due(now) {
            self.tell_progress(ticket, now);
        }
        if let Ending::Draining { since } = self.ending
            && now >= since + DRAIN
        {
            self.stop(now);
        }
    }

    fn client_line(&mut self, line: Line, now: Instant) {
        let bytes = line.as_bytes().len();
        match client::read(line) {
            Ok(client::Message::Call(call)) => self.call(*call, now),
            Ok(client::Message::Request(request)) => self.request(request, now),
            Ok(client::Message::Cancelled(id, line)) => self.cancelled(&id, line, now),
            Ok(client::Message::Notification(line)) => self.to_server(line.into()),
            Ok(client::Message::Answer(id, line)) => {
                if self.asked.remove(&id) {
                    self.to_server(line.into());
                } else {
                    self.note(Note::AnswerToNobody);
                }
            }
            Err(Unreadable { why, id }) => {
                self.unreadable(id, why.code(), &why.to_string(), why.reason_code(), bytes);
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
    /// its answer is still to come.
    fn unreadable(
        &mut self,
        id: Option<RequestId>,
        code: i64,
        why: &str,
        reason_code: &'static str,
        bytes: usize,
    ) {
        let id = id.filter(|id| self.requests.get(id).is_none());
        let message = format!("the message was not forwarded: {why}");
        self.note(Note::Refused(reason_code));
        self.record(Record::Unreadable { reason_code, bytes }, None);
        self.to_client(answer::unreadable(id.as_ref(), code, &message, reason_code));
    }

    fn request(&mut self, request: Request, now: Instant) {
        let Request { id, method, line } = request;
        if let Err(why) = self.requests.room_for(&id, 0) {
            return self.no_room(&id, why);
        }
        let replaced = self.requests.open(id, Open::Request(method));
        self.settle_cancelled(replaced, now);
        self.to_server(line.into());
    }

    fn no_room(&mut self, id: &RequestId, why: NoRoom) {
        let (id, why, reason_code) = match why {
            NoRoom::IdInUse => (
                None,
                "its id belongs to a request that is still open",
                "id_in_use",
            ),
            NoRoom::Full => (
                Some(id.clone()),
                "too many requests are open",
                "too_many_in_flight",
            ),
        };
        self.unreadable(id, answer::INVALID_REQUEST, why, reason_code, 0);
    }

    fn call(&mut self, call: Call, now: Instant) {
        if let Err(why) = self.requests.room_for(call.id(), call.size()) {
            return self.no_room(call.id(), why);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let replaced = self.requests.open(call.id().clone(), Open::Waiting(ticket));
        self.settle_cancelled(replaced, now);

        let local = self.judged(&call);
        let mode = self.settings.rules.mode;
        let blocked = local
            .as_ref()
            .is_some_and(|local| decide::is_final(mode, local));
        if !self.settings.remote || blocked {
            let opinions = Opinions {
                local,
                remote: None,
            };
            let ruling = decide::decide(ticket, self.settings.rules, opinions);
            return self.ruled(ticket, call, now, ruling, now);
        }
        let arguments = match &local {
            // What is judged is what is sent: in observe mode, the call's own arguments are.
            Some(Verdict {
                effect: Verb::Modify(arguments),
                ..
            }) if mode != Mode::Observe => Bytes::copy_from_slice(arguments.as_str().as_bytes()),
            _ => call.arguments(),
        };
        self.effects.push_back(Effect::Ask(Question {
            ticket,
            tool: call.tool().clone(),
            arguments,
            calls_so_far: self.calls.names().cloned().collect(),
        }));
        let waiting = Waiting {
            call: call.detached(),
            since: now,
            local,
            held: None,
        };
        self.requests.wait(ticket, waiting);
    }

    /// What the local rules say, about the arguments that would be sent if they modify them.
    fn judged(&self, call: &Call) -> Option<Verdict> {
        let judge = self.judge.as_ref()?;
        let arguments = call.arguments();
        // Strictly read, so it is UTF-8; were it not, the rules would see no arguments at all.
        let own = std::str::from_utf8(&arguments).unwrap_or("{}");
        let verdict = judge.judge(&self.facts(call, own));
        match &verdict.effect {
            Verb::Modify(modified) => match self.judged_again(call, modified) {
                Some(stricter) => Some(stricter),
                None => Some(verdict),
            },
            _ => Some(verdict),
        }
    }

    /// What the local rules say about other arguments, where that is stricter than to modify.
    fn judged_again(&self, call: &Call, arguments: &Arguments) -> Option<Verdict> {
        let verdict = self
            .judge
            .as_ref()?
            .judge(&self.facts(call, arguments.as_str()));
        (verdict.effect.strictness() >= Verb::StepUp(None).strictness()).then_some(verdict)
    }

    fn facts<'a>(&'a self, call: &'a Call, arguments: &'a str) -> Facts<'a> {
        Facts {
            tool: call.tool(),
            arguments,
            annotations: self.tools.annotations(call.tool()),
            calls: &self.calls,
        }
    }

    fn asked(&mut self, ticket: Ticket, answer: Answer, now: Instant) {
        let Some(Waiting {
            call,
            since,
            mut local,
            ..
        }) = self.requests.take(ticket)
        else {
            return;
        };
        if let Answer::Said(Verdict {
            effect: Verb::Modify(arguments),
            ..
        }) = &answer
            && let Some(stricter) = self.judged_again(&call, arguments)
        {
            local = Some(stricter);
        }
        let opinions = Opinions {
            local,
            remote: Some(answer),
        };
        let ruling = decide::decide(ticket, self.settings.rules, opinions);
        self.ruled(ticket, call, since, ruling, now);
    }

    fn waited(&mut self, ticket: Ticket, answer: Answer, now: Instant) {
        let Some(Waiting { call, since, .. }) = self.requests.take(ticket) else {
            return;
        };
        let mut ruling = decide::decide_held(ticket, answer);
        if let Verb::Modify(arguments) = &ruling.verdict.effect
            && let Some(stricter) = self.judged_again(&call, arguments)
            && decide::is_final(self.settings.rules.mode, &stricter)
        {
            let opinions = Opinions {
                local: Some(stricter),
                remote: None,
            };
            ruling = decide::decide(ticket, self.settings.rules, opinions);
        }
        self.ruled(ticket, call, since, ruling, now);
    }

    /// Writes down what was decided; what follows from it follows in [`Session::recorded`].
    fn ruled(&mut self, ticket: Ticket, call: Call, since: Instant, ruling: Ruling, now: Instant) {
        let Ruling {
            decision,
            verdict,
            basis,
        } = ruling;
        let modified = match &decision {
            Decision::Forward(permit) => permit.arguments().map(|new| new.as_str().to_owned()),
            Decision::Hold(_) | Decision::Refuse => None,
        };
        let record = Record::Decision(Box::new(Decided {
            ticket,
            id: call.id().literal().to_owned(),
            tool: call.tool().to_string(),
            arguments: call.arguments(),
            modified,
            decision: verdict.effect.word(),
            forwarded: matches!(decision, Decision::Forward(_)),
            basis: basis.word(),
            mode: self.settings.rules.mode.word(),
            grounds: verdict.grounds.clone(),
            took: now.saturating_duration_since(since),
        }));
        let then = match decision {
            Decision::Forward(permit) => Then::Forward(permit),
            Decision::Hold(hold) => Then::Hold(hold, verdict),
            Decision::Refuse => Then::Refuse(verdict, basis),
        };
        self.record(
            record,
            Some(Sealed {
                call: Box::new(call),
                since,
                then,
            }),
        );
    }

    fn forward(&mut self, call: Call, permit: Permit, now: Instant) {
        self.calls.add(call.tool());
        let forwarded = Forwarded {
            ticket: permit.ticket(),
            tool: call.tool().clone(),
            since: now,
            cancelled: false,
        };
        self.requests
            .open(call.id().clone(), Open::Forwarded(forwarded));
        self.to_server(Outbound::permitted(call, permit));
    }

    fn hold(&mut self, call: Call, since: Instant, hold: Hold, verdict: Verdict, now: Instant) {
        let Some(Open::Waiting(ticket)) = self.requests.get(call.id()) else {
            return;
        };
        let ticket = *ticket;
        if self.ending != Ending::No {
            // Nobody is there to be asked any more.
            return self.refuse(&call, &verdict, Basis::Enforcer);
        }
        let held = Held {
            hold: hold.clone(),
            verdict,
            told: 0,
        };
        let waiting = Waiting {
            call,
            since,
            local: None,
            held: Some(held),
        };
        self.requests.wait(ticket, waiting);
        self.effects.push_back(Effect::Wait(ticket, hold));
        self.tell_progress(ticket, now);
    }

    fn tell_progress(&mut self, ticket: Ticket, now: Instant) {
        let Some(Waiting {
            call,
            held: Some(held),
            ..
        }) = self.requests.waiting(ticket)
        else {
            return;
        };
        let Some(token) = call.progress_token() else {
            return;
        };
        held.told += 1;
        let place = match &held.hold.approval_url {
            Some(url) => format!(" at {url}"),
            None => String::new(),
        };
        let message = format!("`{}` waits for a person's approval{place}", call.tool());
        let line = answer::progress(token, held.told, &message);
        self.requests.tell_again(ticket, now + PROGRESS);
        self.to_client(line);
    }

    fn refuse(&mut self, call: &Call, verdict: &Verdict, basis: Basis) {
        self.requests.close(call.id());
        self.to_client(answer::refusal(self.settings.denial, call, verdict, basis));
    }

    /// A call that still waits is dropped and not answered, as the protocol asks; one that was
    /// forwarded is the server's to cancel.
    fn cancelled(&mut self, id: &RequestId, line: Passthrough, now: Instant) {
        match self.requests.get(id) {
            Some(Open::Waiting(ticket)) => {
                let ticket = *ticket;
                self.requests.close(id);
                if let Some(waiting) = self.requests.take(ticket) {
                    self.outcome(ticket, &waiting.call, waiting.since, End::Withdrawn, now);
                }
                self.effects.push_back(Effect::Withdraw(ticket));
            }
            Some(Open::Forwarded(forwarded)) => {
                forwarded.cancelled = true;
                self.to_server(line.into());
            }
            Some(Open::Request(_)) | None => self.to_server(line.into()),
        }
    }

    fn server_line(&mut self, line: Line, now: Instant) {
        match server::read(&line) {
            server::Message::Ambiguous => self.note(Note::AmbiguousAnswer),
            server::Message::Other => self.to_client(line.into_wire()),
            server::Message::Request(id) => {
                if self.asked.len() >= MOST_ASKED {
                    self.asked.pop_first();
                }
                self.asked.insert(id);
                self.to_client(line.into_wire());
            }
            server::Message::Answer(answer) => self.answered(answer, line, now),
        }
    }

    fn answered(&mut self, answer: server::Answer, line: Line, now: Instant) {
        let open = match self.requests.get(&answer.id) {
            Some(Open::Waiting(_)) | None => return self.note(Note::UnexpectedAnswer),
            Some(_) => self.requests.close(&answer.id),
        };
        match (open, answer.body) {
            (Some(Open::Forwarded(forwarded)), body) => {
                let end = match body {
                    Body::Error { code, range } => End::Error {
                        code,
                        error: line.slice(range),
                    },
                    Body::Result { is_error, range } => End::Result {
                        is_error,
                        result: line.slice(range),
                    },
                };
                self.to_client(line.into_wire());
                self.forwarded_ended(forwarded, end, now);
            }
            (Some(Open::Request(Method::ListTools)), Body::Result { range, .. }) => {
                self.tools.listed(&line.as_bytes()[range]);
                self.to_client(line.into_wire());
            }
            _ => self.to_client(line.into_wire()),
        }
    }

    fn server_too_long(&mut self, long: &TooLong, now: Instant) {
        self.note(Note::ServerLineTooLong(long.len));
        let Some(id) = overlong_id(long) else { return };
        let message = format!("the server's answer was not passed on: {long}");
        match self.requests.get(&id) {
            Some(Open::Waiting(_)) | None => {}
            Some(_) => {
                if let Some(Open::Forwarded(forwarded)) = self.requests.close(&id) {
                    let end = End::Error {
                        code: None,
                        error: Bytes::new(),
                    };
                    self.forwarded_ended(forwarded, end, now);
                }
                self.to_client(answer::unanswered(&id, &message, "answer_too_long"));
            }
        }
    }

    /// Answers whatever still waits for the server, which is gone.
    fn server_closed(&mut self, now: Instant) {
        self.ending = Ending::Closed;
        self.refuse_waiting("server_gone", "the server has ended", now);
        for (id, open) in self.requests.drain().collect::<Vec<_>>() {
            if let Open::Forwarded(forwarded) = open {
                if !forwarded.cancelled {
                    let message = "the server ended before it answered; whether the call took effect is not known";
                    self.to_client(answer::unanswered(&id, message, "server_gone"));
                }
                let end = if forwarded.cancelled {
                    End::Cancelled
                } else {
                    End::Unanswered
                };
                self.forwarded_ended(forwarded, end, now);
            }
        }
    }

    fn client_closed(&mut self, now: Instant) {
        if self.ending == Ending::No {
            self.ending = Ending::Draining { since: now };
        }
        // A person's answer could reach nobody: what is held is answered as it stands.
        for ticket in self.requests.held() {
            if let Some(Waiting {
                call,
                held: Some(held),
                ..
            }) = self.requests.take(ticket)
            {
                self.effects.push_back(Effect::Withdraw(ticket));
                self.refuse(&call, &held.verdict, Basis::Enforcer);
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        self.refuse_waiting("stopping", "thoth was told to stop", now);
        self.close_server();
    }

    /// Refuses every call that waits. It is not worth a decision's record: nothing was decided.
    fn refuse_waiting(&mut self, reason_code: &str, reason: &str, now: Instant) {
        let verdict = Verdict {
            effect: Verb::Block,
            grounds: Grounds::coded(reason_code, reason),
        };
        for ticket in self.requests.tickets() {
            if let Some(waiting) = self.requests.take(ticket) {
                self.effects.push_back(Effect::Withdraw(ticket));
                self.outcome(ticket, &waiting.call, waiting.since, End::Withdrawn, now);
                self.refuse(&waiting.call, &verdict, Basis::Outage);
            }
        }
    }

    fn close_server_when_idle(&mut self) {
        if matches!(self.ending, Ending::Draining { .. }) && !self.requests.is_busy() {
            self.close_server();
        }
    }

    fn close_server(&mut self) {
        if self.ending != Ending::Closed {
            self.ending = Ending::Closed;
            self.effects.push_back(Effect::CloseServer);
        }
    }

    /// A cancelled call whose id is taken by a new request will not be answered any more.
    fn settle_cancelled(&mut self, replaced: Option<Open>, now: Instant) {
        if let Some(Open::Forwarded(forwarded)) = replaced {
            self.forwarded_ended(forwarded, End::Cancelled, now);
        }
    }

    fn forwarded_ended(&mut self, forwarded: Forwarded, end: End, now: Instant) {
        let Forwarded {
            ticket,
            tool,
            since,
            ..
        } = forwarded;
        let took = now.saturating_duration_since(since);
        let outcome = Outcome {
            ticket,
            tool: tool.to_string(),
            end,
            took,
        };
        self.record(Record::Outcome(Box::new(outcome)), None);
    }

    fn outcome(&mut self, ticket: Ticket, call: &Call, since: Instant, end: End, now: Instant) {
        let took = now.saturating_duration_since(since);
        let outcome = Outcome {
            ticket,
            tool: call.tool().to_string(),
            end,
            took,
        };
        self.record(Record::Outcome(Box::new(outcome)), None);
    }

    fn record(&mut self, record: Record, sealed: Option<Sealed>) {
        self.effects.push_back(Effect::Record(record, sealed));
    }

    fn note(&mut self, note: Note) {
        self.effects.push_back(Effect::Note(note));
    }

    fn to_client(&mut self, line: Bytes) {
        self.effects.push_back(Effect::ToClient(line));
    }

    fn to_server(&mut self, line: Outbound) {
        self.effects.push_back(Effect::ToServer(line));
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
