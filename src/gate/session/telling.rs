//! What is told of a session: beginnings before their lines leave, ends with their answers.
//!
//! Where nothing is told ([`super::Settings::tells`]), nothing here makes anything.

use std::sync::Arc;

use bytes::Bytes;

use super::super::extras::Called;
use super::super::happening::{CallMade, Ended, Happening};
use super::super::message::Call;
use super::super::message::client::{Attempt, Request};
use super::super::record::Ticket;
use super::super::waiting::Requested;
use super::{Effect, Session};

impl Session {
    /// Tells that a call was made. `said` is what was taken out of its arguments.
    pub(super) fn tell_call(&mut self, ticket: Ticket, call: &Call, said: Option<Vec<u8>>) {
        self.tell(|| {
            Happening::CallMade(CallMade {
                ticket,
                tool: Arc::clone(call.tool()),
                arguments: call.arguments(),
                said: said.map(Bytes::from),
                meta: call.meta(),
            })
        });
    }

    /// Tells that a call was made which is refused at once. `None` where it is not told.
    pub(super) fn tell_refused(&mut self, call: &Call, said: Option<Vec<u8>>) -> Option<Ticket> {
        if !self.settings.tells {
            return None;
        }
        let ticket = self.next_ticket();
        self.tell_call(ticket, call, said);
        Some(ticket)
    }

    /// Tells of a line that would have been a call. `None` where it is not told, as a call of one of
    /// thoth's own tools is not.
    pub(super) fn tell_attempt(&mut self, attempt: Attempt) -> Option<Ticket> {
        if !self.settings.tells {
            return None;
        }
        let Attempt { tool, arguments, meta } = attempt;
        let called = self.extras.as_ref().map(|extras| extras.called(&tool, &arguments));
        let (arguments, said) = match called {
            Some(Called::Own(_)) => return None,
            Some(Called::Arguments { own, said }) => (own.into(), Some(said.into())),
            Some(Called::Nothing) | None => (arguments, None),
        };
        let ticket = self.next_ticket();
        self.tell(|| Happening::CallMade(CallMade { ticket, tool, arguments, said, meta }));
        Some(ticket)
    }

    /// Tells that a call is over, if its beginning was told.
    pub(super) fn tell_end(&mut self, ticket: Option<Ticket>, end: Ended) {
        if let Some(ticket) = ticket {
            self.tell_call_end(ticket, || end);
        }
    }

    pub(super) fn tell_call_end(&mut self, ticket: Ticket, end: impl FnOnce() -> Ended) {
        self.tell(|| Happening::CallEnded(ticket, end()));
    }

    /// Tells that a request was made which is no call. `None` where it is not told.
    pub(super) fn tell_request(&mut self, request: &Request) -> Option<u64> {
        if !self.settings.tells || !request.method.is_told() {
            return None;
        }
        self.numbers += 1;
        let (number, method) = (self.numbers, request.method);
        self.tell(|| Happening::RequestMade { number, method, params: request.params() });
        Some(number)
    }

    /// Tells that such a request is over, if its beginning was told and its end was not.
    pub(super) fn tell_request_end(
        &mut self,
        requested: Requested,
        added: usize,
        end: impl FnOnce() -> Ended,
    ) {
        if let Some(number) = requested.number {
            self.tell(|| Happening::RequestEnded { number, end: end(), added });
        }
    }

    pub(super) fn tell(&mut self, happening: impl FnOnce() -> Happening) {
        if self.settings.tells {
            self.effects.push_back(Effect::Tell(Box::new(happening())));
        }
    }
}
