//! How a session ends: the client closes its end, the server does, or thoth is told to stop.

use std::time::Instant;

use super::super::answer;
use super::super::decide::Basis;
use super::super::happening::Ended;
use super::super::record::End;
use super::super::verdict::{Effect as Verb, Grounds, Verdict};
use super::super::waiting::{Open, Stage, Waiting};
use super::{DRAIN, Effect, Ending, PATIENCE, Session};

impl Session {
    /// Answers whatever still waits for the server, which is gone.
    pub(super) fn server_closed(&mut self, now: Instant) {
        self.end_server();
        self.refuse_waiting("server_gone", "the server has ended", now);
        self.end_own();
        for (id, open) in self.requests.drain().collect::<Vec<_>>() {
            match open {
                Open::Forwarded(forwarded) if forwarded.cancelled => {
                    self.forwarded_ended(forwarded, End::Cancelled, now);
                }
                Open::Forwarded(forwarded) => {
                    let message = "the server ended before it answered; whether the call took effect is not known";
                    self.send_client(answer::unanswered(&id, message, "server_gone"));
                    self.tell_call_end(forwarded.ticket, || Ended::Unanswered);
                    self.forwarded_ended(forwarded, End::Unanswered, now);
                }
                Open::Request(requested) => {
                    self.tell_request_end(requested, 0, || Ended::Unanswered);
                }
                Open::Own(_) | Open::Waiting(_) => {}
            }
        }
    }

    pub(super) fn client_closed(&mut self, now: Instant) {
        if self.ending == Ending::No {
            self.ending = Ending::Draining { since: now };
        }
        // A person's answer could reach nobody: what is held is answered as it stands.
        for ticket in self.requests.held() {
            let Some(Waiting { call, stage, .. }) = self.take_waiting(ticket) else { continue };
            if let Stage::Held(held) = stage {
                self.effects.push_back(Effect::Withdraw(ticket));
                let basis = Basis::of(held.hold.keeper);
                self.refuse(ticket, &call, &held.pending.verdict, basis);
            }
        }
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.refuse_waiting("stopping", "thoth was told to stop", now);
        self.end_own();
        self.end_server();
    }

    /// Refuses every call that waits. It is not worth a decision's record: nothing was decided.
    pub(super) fn refuse_waiting(&mut self, reason_code: &str, reason: &str, now: Instant) {
        let verdict = Verdict { effect: Verb::Block, grounds: Grounds::coded(reason_code, reason) };
        for ticket in self.requests.tickets() {
            if let Some(waiting) = self.take_waiting(ticket) {
                self.effects.push_back(Effect::Withdraw(ticket));
                self.outcome(ticket, &waiting.call, waiting.since, End::Withdrawn, now);
                self.refuse(ticket, &waiting.call, &verdict, Basis::Outage);
            }
        }
    }

    /// When [`Session::go_on_ending`] has something to do by itself.
    pub(super) fn next_end(&self) -> Option<Instant> {
        match self.ending {
            Ending::Draining { since } if self.requests.waits_for_server_only() => {
                Some(since + PATIENCE)
            }
            Ending::Draining { since } | Ending::Closed { since } => Some(since + DRAIN),
            Ending::No | Ending::Over => None,
        }
    }

    /// Goes on with an end that has begun: as soon as nothing is outstanding, or when it is time.
    pub(super) fn go_on_ending(&mut self, now: Instant) {
        let (Ending::Draining { since } | Ending::Closed { since }) = self.ending else {
            return;
        };
        if !self.requests.is_busy() {
            self.end_server();
        } else if now >= since + DRAIN {
            self.stop(now);
        } else if matches!(self.ending, Ending::Draining { .. })
            && now >= since + PATIENCE
            && self.requests.waits_for_server_only()
        {
            self.ending = Ending::Closed { since };
            self.effects.push_back(Effect::CloseServer);
        }
    }

    fn end_server(&mut self) {
        if matches!(self.ending, Ending::No | Ending::Draining { .. }) {
            self.effects.push_back(Effect::CloseServer);
        }
        if self.ending != Ending::Over {
            self.ending = Ending::Over;
            self.effects.push_back(Effect::EndServer);
        }
    }
}
