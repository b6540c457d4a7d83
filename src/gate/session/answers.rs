//! What the server says: answers to forwarded requests, and everything else.

use std::time::Instant;

use bytes::Bytes;

use super::super::answer;
use super::super::framing::{Line, TooLong};
use super::super::message::client::Method;
use super::super::message::overlong_id;
use super::super::message::server::{self, Body};
use super::super::record::{End, Recorder};
use super::super::waiting::Open;
use super::{Note, Session};

/// How many requests of the server are remembered, to tell answers to them from others.
const MOST_ASKED: usize = 4096;

impl Session {
    pub(super) fn server_line(&mut self, line: Line, now: Instant, recorder: &mut impl Recorder) {
        match server::read(&line) {
            server::Message::Ambiguous => self.note(Note::AmbiguousAnswer),
            server::Message::Other => self.send_client(line.into_wire()),
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
            Some(Open::Waiting(_)) | None => return self.note(Note::UnexpectedAnswer),
            Some(_) => self.requests.close(&answer.id),
        };
        match (open, answer.body) {
            (Some(Open::Forwarded(forwarded)), body) => {
                let end = match body {
                    Body::Error { code, range } => End::Error { code, error: line.slice(range) },
                    Body::Result { is_error, range } => {
                        End::Result { is_error, result: line.slice(range) }
                    }
                };
                self.send_client(line.into_wire());
                self.forwarded_ended(forwarded, end, now);
            }
            (Some(Open::Request(Method::ListTools, _)), Body::Result { range, .. }) => {
                let result = &line.as_bytes()[range];
                self.tools.listed(result);
                recorder.listed(result);
                self.send_client(line.into_wire());
            }
            _ => self.send_client(line.into_wire()),
        }
    }

    pub(super) fn server_too_long(&mut self, long: &TooLong, now: Instant) {
        self.note(Note::ServerLineTooLong(long.len));
        let Some(id) = overlong_id(long) else { return };
        let message = format!("the server's answer was not passed on: {long}");
        match self.requests.get(&id) {
            Some(Open::Waiting(_)) | None => {}
            Some(_) => {
                if let Some(Open::Forwarded(forwarded)) = self.requests.close(&id) {
                    let end = End::Error { code: None, error: Bytes::new() };
                    self.forwarded_ended(forwarded, end, now);
                }
                self.send_client(answer::unanswered(&id, &message, "answer_too_long"));
            }
        }
    }
}
