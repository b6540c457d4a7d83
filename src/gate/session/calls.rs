//! A call's way through the session: judged, asked about, decided, recorded, and then forwarded,
//! held or refused.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::answer::{self, Refusal};
use super::super::decide::{self, Basis, Decision, Mode, Opinions, Permit, Ruling};
use super::super::extras::Called;
use super::super::happening::Ended;
use super::super::message::{Call, Outbound, Passthrough, RequestId};
use super::super::record::{Decided, End, Record, Recorder, Ticket};
use super::super::verdict::{
    Answer, Arguments, Effect as Verb, Facts, NotArguments, Question, Verdict,
};
use super::super::waiting::{Forwarded, Held, Open, Requested, Waiting};
use super::{Effect, Ending, Session};

/// How often a client with a progress token is told that its call is held.
const PROGRESS: Duration = Duration::from_secs(5);

impl Session {
    pub(super) fn call(&mut self, mut call: Call, now: Instant, recorder: &mut impl Recorder) {
        let mut said = None;
        if let Some(extras) = &self.extras {
            match extras.called(call.tool(), &call.arguments()) {
                Called::Nothing => {}
                Called::Own(own) => return self.own_call(&call, own, now),
                Called::Arguments { own, said: taken } => match Arguments::of_line(own) {
                    Ok(own) => (call, said) = (call.with_arguments(&own), Some(taken)),
                    Err(NotArguments) => return self.not_stripped(&call),
                },
            }
        }
        if let Err(why) = self.requests.room_for(call.id(), call.size()) {
            let told = self.tell_refused(&call, said);
            let end = self.no_room(call.id(), why);
            return self.tell_end(told, end);
        }
        let ticket = self.next_ticket();
        self.tell_call(ticket, &call, said);
        let replaced = self.requests.open(call.id().clone(), Open::Waiting(ticket));
        self.settle_cancelled(replaced, now);

        if let Some(ruling) = self.ordered() {
            return self.ruled(ticket, call, ruling, [now, now], recorder);
        }
        let local = self.judged(&call);
        let mode = self.settings.rules.mode;
        let blocked = local.as_ref().is_some_and(|local| decide::is_final(mode, local));
        if !self.settings.remote || blocked {
            let opinions = Opinions { local, remote: None };
            let ruling = decide::decide(ticket, self.settings.rules, opinions);
            return self.ruled(ticket, call, ruling, [now, now], recorder);
        }
        let arguments = match &local {
            // What is judged is what is sent: in observe mode, the call's own arguments are.
            Some(Verdict { effect: Verb::Modify(arguments), .. }) if mode != Mode::Observe => {
                Bytes::copy_from_slice(arguments.as_str().as_bytes())
            }
            _ => call.arguments(),
        };
        self.effects.push_back(Effect::Ask(Question {
            ticket,
            tool: call.tool().clone(),
            arguments,
            calls_so_far: self.calls.names().cloned().collect(),
            annotations: self.tools.annotations(call.tool()).map(Into::into),
            reply: None,
        }));
        let calls_before = self.calls.total();
        let call = call.detached();
        let waiting = Waiting { call, since: now, local, calls_before, held: None };
        self.requests.wait(ticket, waiting);
    }

    /// Refuses a call whose arguments cannot be told from what thoth had added to them.
    fn not_stripped(&mut self, call: &Call) {
        let told = self.tell_refused(call, None);
        let why = "thoth failed to take out of it what it had added; please report this";
        let id = Some(call.id().clone());
        let end = self.unreadable(id, answer::NO_ANSWER, why, "internal_error", call.size());
        self.tell_end(told, end);
    }

    pub(super) fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Where an order refuses every call at present.
    fn ordered(&self) -> Option<Ruling> {
        self.judge.as_ref()?.order().map(decide::ordered)
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
            Verb::Allow | Verb::StepUp(_) | Verb::Defer(_) | Verb::Block => Some(verdict),
        }
    }

    /// What the local rules say about other arguments, where that is stricter than to modify.
    fn judged_again(&self, call: &Call, arguments: &Arguments) -> Option<Verdict> {
        let verdict = self.judge.as_ref()?.judge(&self.facts(call, arguments.as_str()));
        (verdict.effect.strictness() >= Verb::StepUp(None).strictness()).then_some(verdict)
    }

    /// What the local rules say about the enforcer's arguments, where they object: rules that would
    /// modify them again and the enforcer cannot both have their way.
    fn objects(&self, call: &Call, arguments: &Arguments) -> Option<Verdict> {
        let verdict = self.judge.as_ref()?.judge(&self.facts(call, arguments.as_str()));
        match verdict.effect {
            Verb::Allow => None,
            Verb::Modify(again) if again == *arguments => None,
            Verb::Modify(_) => Some(Verdict::block(
                "modify_conflict",
                "the local rules would modify the arguments that the enforcer put in",
            )),
            Verb::StepUp(_) | Verb::Defer(_) | Verb::Block => Some(verdict),
        }
    }

    /// What the local rules say by now about a call that others have overtaken while it waited,
    /// where that is stricter than to modify: a rule about sequences must see them.
    fn overtaken(&self, waiting: &Waiting) -> Option<Verdict> {
        if waiting.calls_before == self.calls.total() {
            return None;
        }
        let verdict = self.judged(&waiting.call)?;
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

    pub(super) fn asked(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let Some(waiting) = self.requests.take(ticket) else {
            return;
        };
        if let Some(ruling) = self.ordered() {
            return self.ruled(ticket, waiting.call, ruling, [waiting.since, now], recorder);
        }
        let overtaken = self.overtaken(&waiting);
        let Waiting { call, since, mut local, .. } = waiting;
        if overtaken.is_some() {
            local = overtaken;
        }
        if let Answer::Said(Verdict { effect: Verb::Modify(arguments), .. }) = &answer
            && let Some(stricter) = self.objects(&call, arguments)
        {
            local = Some(stricter);
        }
        let opinions = Opinions { local, remote: Some(answer) };
        let ruling = decide::decide(ticket, self.settings.rules, opinions);
        self.ruled(ticket, call, ruling, [since, now], recorder);
    }

    pub(super) fn waited(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let Some(waiting) = self.requests.take(ticket) else {
            return;
        };
        if let Some(ruling) = self.ordered() {
            return self.ruled(ticket, waiting.call, ruling, [waiting.since, now], recorder);
        }
        let overtaken = self.overtaken(&waiting);
        let Waiting { call, since, held, .. } = waiting;
        let modified = held.and_then(|held| held.modified);
        let mut ruling = decide::decide_held(ticket, modified, answer);
        // A person's approval satisfies a step-up of the rules, and nothing stricter.
        let objection = match &ruling.verdict.effect {
            Verb::Modify(arguments) => self.objects(&call, arguments),
            Verb::Allow | Verb::StepUp(_) | Verb::Defer(_) | Verb::Block => None,
        };
        let mode = self.settings.rules.mode;
        let stricter = objection.or(overtaken).filter(|local| decide::is_final(mode, local));
        if stricter.is_some() && matches!(ruling.decision, Decision::Forward(_)) {
            let opinions = Opinions { local: stricter, remote: None };
            ruling = decide::decide(ticket, self.settings.rules, opinions);
        }
        self.ruled(ticket, call, ruling, [since, now], recorder);
    }

    /// Writes down what was decided, and lets happen what follows from it.
    fn ruled(
        &mut self,
        ticket: Ticket,
        call: Call,
        ruling: Ruling,
        [since, now]: [Instant; 2],
        recorder: &mut impl Recorder,
    ) {
        let Ruling { decision, verdict, basis, modified: pending } = ruling;
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
        let written = recorder.record(&record);
        match decision {
            Decision::Forward(permit) if written => self.forward(call, permit, now),
            Decision::Hold(hold) if written => {
                let asked = Held { hold, verdict, modified: pending, told: 0 };
                self.hold(ticket, call, asked, [since, now]);
            }
            Decision::Refuse => self.refuse(ticket, &call, &verdict, basis),
            Decision::Forward(_) | Decision::Hold(_) => {
                // Fail closed: what is not on record does not happen.
                let verdict = Verdict::block(
                    "journal_unavailable",
                    "its decision could not be written to the journal",
                );
                self.refuse(ticket, &call, &verdict, Basis::Outage);
            }
        }
    }

    fn forward(&mut self, call: Call, permit: Permit, now: Instant) {
        self.calls.add(call.tool());
        let forwarded = Forwarded {
            ticket: permit.ticket(),
            tool: call.tool().clone(),
            since: now,
            cancelled: false,
        };
        self.requests.open(call.id().clone(), Open::Forwarded(forwarded));
        self.send_server(Outbound::permitted(call, permit));
    }

    fn hold(&mut self, ticket: Ticket, call: Call, held: Held, [since, now]: [Instant; 2]) {
        if self.ending != Ending::No {
            // Nobody is there to be asked any more.
            return self.refuse(ticket, &call, &held.verdict, Basis::Enforcer);
        }
        self.effects.push_back(Effect::Wait(ticket, held.hold.clone()));
        let calls_before = self.calls.total();
        let waiting = Waiting { call, since, local: None, calls_before, held: Some(held) };
        self.requests.wait(ticket, waiting);
        self.tell_progress(ticket, now);
    }

    pub(super) fn tell_progress(&mut self, ticket: Ticket, now: Instant) {
        let Some(Waiting { call, held: Some(held), .. }) = self.requests.waiting(ticket) else {
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
        self.send_client(line);
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, call: &Call, verdict: &Verdict, basis: Basis) {
        self.requests.close(call.id());
        let refusal = Refusal::new(call.tool(), verdict, basis);
        self.send_client(refusal.answer(self.settings.denial, call));
        self.tell_call_end(ticket, || refusal.into_end());
    }

    /// A call that still waits is dropped and not answered, as the protocol asks; one that was
    /// forwarded is the server's to cancel.
    pub(super) fn cancelled(&mut self, id: &RequestId, line: Passthrough, now: Instant) {
        match self.requests.get(id) {
            Some(Open::Waiting(ticket)) => {
                let ticket = *ticket;
                self.requests.close(id);
                if let Some(waiting) = self.requests.take(ticket) {
                    self.outcome(ticket, &waiting.call, waiting.since, End::Withdrawn, now);
                }
                self.effects.push_back(Effect::Withdraw(ticket));
                self.tell_call_end(ticket, || Ended::Cancelled);
            }
            Some(Open::Own(ticket)) => {
                let ticket = *ticket;
                self.requests.close_own(ticket);
                self.effects.push_back(Effect::Withdraw(ticket));
            }
            Some(Open::Forwarded(forwarded)) => {
                let told = (!forwarded.cancelled).then_some(forwarded.ticket);
                forwarded.cancelled = true;
                self.send_server(line.into());
                self.tell_end(told, Ended::Cancelled);
            }
            Some(Open::Request(requested)) => {
                let told = *requested;
                *requested = Requested { number: None, cancelled: true, ..told };
                self.send_server(line.into());
                self.tell_request_end(told, 0, || Ended::Cancelled);
            }
            None => self.send_server(line.into()),
        }
    }
}
