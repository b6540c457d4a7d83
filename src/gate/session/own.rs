//! Calls of thoth's own tools: answered here, once; never judged, never forwarded, and told as no
//! call.

use std::time::Instant;

use super::super::answer;
use super::super::extras::Own;
use super::super::happening::Happening;
use super::super::message::Call;
use super::super::record::Ticket;
use super::super::waiting::OwnCall;
use super::{Effect, Ending, Session};

/// What an agent is told whose report is not made.
const LATER: &str = "No report was made: others are being made. Ask again when they are done.";
const OVER: &str = "No report was made: the session is over.";

impl Session {
    pub(super) fn own_call(&mut self, call: &Call, own: Own, now: Instant) {
        if let Err(why) = self.room_for(call.id(), 0, now) {
            self.no_room(call.id(), why);
            return;
        }
        let replaced = self.requests.close(call.id());
        self.settle_cancelled(replaced, now);
        if call.is_task() {
            return self.send_client(answer::no_task(call));
        }
        match own {
            Own::Noted(text) => {
                self.tell(|| Happening::Noted { arguments: call.arguments(), meta: call.meta() });
                self.say(call, &text, false);
            }
            Own::Refused(text) => self.say(call, &text, true),
            Own::Report if self.ending == Ending::Over => self.say(call, OVER, true),
            Own::Report => {
                let ticket = self.next_ticket();
                let waits = OwnCall { id: call.id().clone(), modern: call.is_modern() };
                match self.requests.wait_own(ticket, waits) {
                    Ok(()) => self.effects.push_back(Effect::Report(ticket)),
                    Err(_) => self.say(call, LATER, true),
                }
            }
        }
    }

    pub(super) fn reported(&mut self, ticket: Ticket, text: &str) {
        if let Some(OwnCall { id, modern }) = self.requests.close_own(ticket) {
            self.send_client(answer::said(&id, modern, text, false));
        }
    }

    /// Answers the calls of own tools that wait: nothing is waited for any more.
    pub(super) fn end_own(&mut self) {
        for ticket in self.requests.own() {
            if let Some(OwnCall { id, modern }) = self.requests.close_own(ticket) {
                self.effects.push_back(Effect::Withdraw(ticket));
                self.send_client(answer::said(&id, modern, OVER, true));
            }
        }
    }

    fn say(&mut self, call: &Call, text: &str, is_error: bool) {
        self.send_client(answer::said(call.id(), call.is_modern(), text, is_error));
    }
}
