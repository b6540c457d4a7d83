//! A call's way through the session: judged, asked about, decided, recorded, and then forwarded,
//! held or refused.

use std::time::Instant;

use bytes::Bytes;

use super::super::answer::{self, Refusal};
use super::super::decide::{self, Basis, Decision, Mode, Opinions, Permit, Ruling};
use super::super::extras::Called;
use super::super::happening::Ended;
use super::super::message::{Call, Outbound, Passthrough, RequestId};
use super::super::record::{Decided, End, Record, Recorder, Ticket};
use super::super::verdict::{
    Answer, Arguments, Effect as Verb, Hold, Keeper, NotArguments, Question, Reply, Verdict,
};
use super::super::waiting::{
    Earlier, Forwarded, Grant, Judged, Open, Pending, Requested, Stage, Waiting, Words,
};
use super::continuing::approved;
use super::{Effect, Session};

/// A call on its way, taken out of wherever it waited.
pub(super) struct Case {
    pub(super) ticket: Ticket,
    pub(super) call: Call,
    /// When it arrived.
    pub(super) since: Instant,
    pub(super) earlier: Earlier,
}

impl Session {
    pub(super) fn call(&mut self, call: Call, now: Instant, recorder: &mut impl Recorder) {
        let (mut call, retry) = match self.taken_back(call) {
            Ok(taken) => taken,
            Err(call) => return self.not_stripped(&call),
        };
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
        if let Err(why) = self.room_for(call.id(), call.size(), now) {
            let told = self.tell_refused(&call, said);
            let end = self.no_room(call.id(), why);
            return self.tell_end(told, end);
        }
        let ticket = self.next_ticket();
        self.tell_call(ticket, &call, said);
        let replaced = self.requests.open(call.id().clone(), Open::Waiting(ticket));
        self.settle_cancelled(replaced, now);

        let case = Case { ticket, call, since: now, earlier: Earlier::default() };
        if let Some(ruling) = self.ordered() {
            return self.ruled(case, ruling, now, recorder);
        }
        match self.earlier(&case.call, retry, now) {
            Ok(earlier) => self.judge(Case { earlier, ..case }, now, recorder),
            Err(ruling) => self.ruled(case, *ruling, now, recorder),
        }
    }

    fn judge(&mut self, case: Case, now: Instant, recorder: &mut impl Recorder) {
        let Judged { verdict: local, modified } = self.judged(&case.call);
        let mode = self.settings.rules.mode;
        let blocked = local.as_ref().is_some_and(|local| decide::is_final(mode, local));
        if !self.settings.remote || blocked {
            let opinions = Opinions { local, remote: None };
            let ruling = decide::decide(case.ticket, self.settings.rules, opinions);
            let modified = ruling.modified.or(modified);
            return self.weighed(case, Ruling { modified, ..ruling }, now, recorder);
        }
        let reply = case.earlier.words.reply_to(Keeper::Enforcer);
        let question = self.question(&case, modified.as_ref(), reply);
        self.effects.push_back(Effect::Ask(question));
        self.wait(case, Stage::Enforcer(Box::new(Judged { verdict: local, modified })));
    }

    /// What is asked about a call, and about what would be sent in place of its arguments.
    pub(super) fn question(
        &self,
        Case { ticket, call, .. }: &Case,
        modified: Option<&Arguments>,
        reply: Option<(Hold, Reply)>,
    ) -> Question {
        let arguments = match modified {
            // What is judged is what is sent: in observe mode, the call's own arguments are.
            Some(modified) if self.settings.rules.mode != Mode::Observe => {
                Bytes::copy_from_slice(modified.as_str().as_bytes())
            }
            Some(_) | None => call.arguments(),
        };
        Question {
            ticket: *ticket,
            tool: call.tool().clone(),
            arguments,
            calls_so_far: self.calls.names().cloned().collect(),
            annotations: self.tools.annotations(call.tool()).map(Into::into),
            reply,
        }
    }

    pub(super) fn wait(&mut self, case: Case, stage: Stage) {
        let Case { ticket, call, since, earlier } = case;
        let (call, calls_before) = (call.detached(), self.calls.total());
        self.requests.wait(ticket, Waiting { call, since, calls_before, earlier, stage });
    }

    /// Refuses a call that cannot be told from what thoth had added to it.
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

    /// Takes in an answer about a call that waits: the enforcer's, the desk's, or a person's.
    pub(super) fn answered_about(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let Some(waiting) = self.take_waiting(ticket) else {
            return;
        };
        let Waiting { call, since, calls_before, earlier, stage } = waiting;
        let case = Case { ticket, call, since, earlier };
        if let Some(ruling) = self.ordered() {
            return self.ruled(case, ruling, now, recorder);
        }
        let overtaken = self.overtaken(&case.call, calls_before);
        let objection = match &answer {
            Answer::Said(Verdict { effect: Verb::Modify(arguments), .. }) => {
                self.objects(&case.call, arguments)
            }
            Answer::Said(_) | Answer::Silent(_) => None,
        };
        let newer = objection.or(overtaken);
        match stage {
            Stage::Enforcer(judged) => self.asked(case, *judged, newer, answer, now, recorder),
            Stage::Desk(pending) => self.desk_said(case, *pending, newer, answer, now, recorder),
            Stage::Held(held) => self.waited(case, *held, newer, answer, now, recorder),
        }
    }

    fn asked(
        &mut self,
        mut case: Case,
        Judged { verdict, modified }: Judged,
        newer: Option<Verdict>,
        answer: Answer,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let rules = self.settings.rules;
        let local = newer.or(verdict);
        // The enforcer lets it through because of what the person at the client has said.
        if let (Words::Agreed(agreed), Answer::Said(said)) = (&case.earlier.words, &answer)
            && agreed.0.keeper == Keeper::Enforcer
            && matches!(said.effect, Verb::Allow | Verb::Modify(_))
            && !local
                .as_ref()
                .is_some_and(|local| decide::outranks_approval(rules.mode, local, true))
            && rules.mode != Mode::Observe
        {
            case.earlier.grant = Some(Box::new(Grant::of(Keeper::Enforcer, &agreed.1)));
            let ruling = decide::decide_held(case.ticket, Keeper::Enforcer, modified, answer);
            return self.ruled(case, ruling, now, recorder);
        }
        let opinions = Opinions { local, remote: Some(answer) };
        let ruling = decide::decide(case.ticket, rules, opinions);
        let modified = ruling.modified.or(modified);
        self.weighed(case, Ruling { modified, ..ruling }, now, recorder);
    }

    /// Lets a step-up go where it is answered: to the approval that the call goes on from, or to the
    /// desk.
    fn weighed(&mut self, case: Case, ruling: Ruling, now: Instant, recorder: &mut impl Recorder) {
        let ruling = self.granted(&case, ruling);
        if self.has_desk() && ruling.is_for_the_desk() {
            let Ruling { verdict, modified, .. } = ruling;
            return self.ask_the_desk(case, Pending { verdict, modified });
        }
        self.ruled(case, ruling, now, recorder);
    }

    /// Writes down what was decided, and lets happen what follows from it.
    pub(super) fn ruled(
        &mut self,
        case: Case,
        ruling: Ruling,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let Ruling { decision, verdict, basis, modified: pending } = ruling;
        let Case { ticket, call, since, .. } = &case;
        let modified = match &decision {
            Decision::Forward(permit) => permit.arguments().map(|new| new.as_str().to_owned()),
            Decision::Hold(_) | Decision::Refuse => None,
        };
        let record = Record::Decision(Box::new(Decided {
            ticket: *ticket,
            id: call.id().literal().to_owned(),
            tool: call.tool().to_string(),
            arguments: call.arguments(),
            modified,
            decision: verdict.effect.word(),
            forwarded: matches!(decision, Decision::Forward(_)),
            basis: basis.word(),
            mode: self.settings.rules.mode.word(),
            grounds: verdict.grounds.clone(),
            took: now.saturating_duration_since(*since),
        }));
        let written = recorder.record(&record);
        match decision {
            Decision::Forward(permit) if written => self.forward(case, permit, now),
            Decision::Hold(hold) if written => {
                self.hold(case, hold, Pending { verdict, modified: pending }, now);
            }
            Decision::Refuse => self.refuse(case.ticket, &case.call, &verdict, basis),
            unwritten @ (Decision::Forward(_) | Decision::Hold(_)) => {
                if let Decision::Hold(hold) = unwritten {
                    self.effects.push_back(Effect::Release(hold));
                }
                // Fail closed: what is not on record does not happen.
                let verdict = Verdict::block(
                    "journal_unavailable",
                    "its decision could not be written to the journal",
                );
                self.refuse(case.ticket, &case.call, &verdict, Basis::Outage);
            }
        }
    }

    fn forward(&mut self, case: Case, permit: Permit, now: Instant) {
        let approved = approved(&case, &permit);
        let Case { call, .. } = case;
        self.calls.add(call.tool());
        let forwarded = Forwarded {
            ticket: permit.ticket(),
            tool: call.tool().clone(),
            since: now,
            modern: call.is_modern(),
            approved,
            cancelled: false,
        };
        self.requests.open(call.id().clone(), Open::Forwarded(forwarded));
        self.send_server(Outbound::permitted(call, permit));
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
                self.effects.push_back(Effect::Withdraw(ticket));
                if let Some(waiting) = self.take_waiting(ticket) {
                    self.outcome(ticket, &waiting.call, waiting.since, End::Withdrawn, now);
                    let hold = match (waiting.stage, waiting.earlier.words) {
                        (Stage::Held(held), _) => Some(held.hold),
                        // Its keeper may have learnt by now that its person agrees.
                        (Stage::Enforcer(_) | Stage::Desk(_), Words::Agreed(agreed)) => {
                            Some(agreed.0)
                        }
                        (
                            Stage::Enforcer(_) | Stage::Desk(_),
                            Words::Unasked | Words::Silence | Words::Opened,
                        ) => None,
                    };
                    self.effects.extend(hold.map(Effect::Release));
                }
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
