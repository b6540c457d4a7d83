//! What the server says: answers to forwarded requests, and everything else.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;

use super::super::answer;
use super::super::framing::{Line, TooLong};
use super::super::happening::Ended;
use super::super::message::client::Method;
use super::super::message::overlong_id;
use super::super::message::server::{self, Body};
use super::super::record::{End, Recorder};
use super::super::waiting::{Open, Requested};
use super::{Note, Session};

/// How many requests of the server are remembered, to tell answers to them from others.
const MOST_ASKED: usize = 4096;

impl Session {
    pub(super) fn server_line(&mut self, line: Line, now: Instant, recorder: &mut impl Recorder) {
        match server::read(&line) {
            server::Message::Ambiguous => self.note(Note::AmbiguousAnswer),
            server::Message::Other => self.send_client(line.into_wire()),
            server::Message::Request(id) if self.own_number(&id).is_some() => {
                self.note(Note::GuessedName);
            }
            server::Message::Request(id) => {
                if self.asked.len() >= MOST_ASKED {
                    self.asked.pop_first();
                }
                self.asked.insert(id);
                self.send_client(line.into_wire());
            }
            server::Message::Answer(answer) => self.answered(answer, line, now, recorder),
        }
    }

    pub(super) fn answered(
        &mut self,
        answer: server::Answer,
        line: Line,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let open = match self.requests.get(&answer.id) {
            Some(Open::Own(_) | Open::Waiting(_)) | None => {
                return self.note(Note::UnexpectedAnswer);
            }
            Some(_) => self.requests.close(&answer.id),
        };
        match (open, answer.body) {
            (Some(Open::Forwarded(mut forwarded)), body) => {
                let end = match body {
                    Body::Error { code, range } => End::Error { code, error: line.slice(range) },
                    Body::Result { is_error, range } => {
                        self.answered_back(&mut forwarded, &line.as_bytes()[range.clone()]);
                        End::Result { is_error, result: line.slice(range) }
                    }
                };
                self.send_client(line.into_wire());
                if !forwarded.cancelled {
                    self.tell_call_end(forwarded.ticket, || Ended::from(&end));
                }
                self.forwarded_ended(forwarded, end, now);
            }
            (Some(Open::Request(requested)), body) => {
                self.request_answered(requested, &body, line, recorder);
            }
            (Some(Open::Own(_) | Open::Waiting(_)) | None, _) => {}
        }
    }

    /// Passes on the answer to a request that is no call, with what is added to it.
    fn request_answered(
        &mut self,
        requested: Requested,
        body: &Body,
        line: Line,
        recorder: &mut impl Recorder,
    ) {
        let (shown, added) = match body {
            Body::Result { range, .. } => {
                self.shown(requested.method, &line, range.clone(), recorder)
            }
            Body::Error { .. } => (None, 0),
        };
        let end = requested.number.map(|_| match body {
            Body::Error { code, range } => {
                Ended::Error { code: *code, error: line.slice(range.clone()) }
            }
            Body::Result { is_error, range } => {
                Ended::Result { is_error: *is_error, result: line.slice(range.clone()) }
            }
        });
        self.send_client(shown.unwrap_or(line).into_wire());
        if let Some(end) = end {
            self.tell_request_end(requested, added, || end);
        }
    }

    /// What the client is shown of a result, where that is another line than the server's, and how
    /// many tools were added to it.
    fn shown(
        &mut self,
        method: Method,
        line: &Line,
        range: Range<usize>,
        recorder: &mut impl Recorder,
    ) -> (Option<Line>, usize) {
        let result = &line.as_bytes()[range.clone()];
        let edited = match method {
            Method::Discover | Method::Initialize => {
                let extras = self.extras.as_mut();
                extras.and_then(|extras| extras.greeted(result)).map(|result| (result, 0))
            }
            Method::ListTools { first } => {
                self.tools.listed(result);
                recorder.listed(result);
                let extras = self.extras.as_mut();
                let listed = extras.and_then(|extras| extras.listed(result, first));
                listed.map(|listed| (listed.result, listed.added))
            }
            Method::GetPrompt
            | Method::Listen
            | Method::ListPrompts
            | Method::ListResources
            | Method::Other
            | Method::ReadResource => None,
        };
        // A line break would end the line; nobody who keeps to the seam's terms adds one.
        match edited.filter(|(result, _)| !result.contains(&b'\n')) {
            Some((result, added)) => (Some(line.replaced(range, [&result, b"", b""])), added),
            None => (None, 0),
        }
    }

    pub(super) fn server_too_long(&mut self, long: &TooLong, now: Instant) {
        self.note(Note::ServerLineTooLong(long.len));
        let Some(id) = overlong_id(long) else { return };
        let message = format!("the server's answer was not passed on: {long}");
        match self.requests.get(&id) {
            Some(Open::Own(_) | Open::Waiting(_)) | None => {}
            Some(_) => {
                let open = self.requests.close(&id);
                self.send_client(answer::unanswered(&id, &message, "answer_too_long"));
                let told = || Ended::Refused {
                    code: answer::NO_ANSWER,
                    message,
                    reason_code: Some("answer_too_long".to_owned()),
                };
                match open {
                    Some(Open::Forwarded(forwarded)) => {
                        if !forwarded.cancelled {
                            self.tell_call_end(forwarded.ticket, told);
                        }
                        let end = End::Error { code: None, error: Bytes::new() };
                        self.forwarded_ended(forwarded, end, now);
                    }
                    Some(Open::Request(requested)) => self.tell_request_end(requested, 0, told),
                    Some(Open::Own(_) | Open::Waiting(_)) | None => {}
                }
            }
        }
    }
}
