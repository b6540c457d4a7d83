//! Calls that a person must agree to: held at the desk, waited for, told about, and let go.

use std::time::{Duration, Instant};

use super::super::answer;
use super::super::decide::{self, Asking, Basis, Course, Decision, Opinions, Ruling};
use super::super::message::elicitation::Modes;
use super::super::plain::excerpt;
use super::super::record::{Recorder, Ticket};
use super::super::verdict::{
    Answer, Effect as Verb, Grounds, Hold, Keeper, Reply, SteppedUp, Verdict,
};
use super::super::waiting::{Grant, Held, Pending, Stage, Waiting, Words};
use super::asking::denied;
use super::calls::Case;
use super::{Effect, Ending, Session};

/// How often a client with a progress token is told that its call is held.
const PROGRESS: Duration = Duration::from_secs(5);

/// How much of the tool's name it is told each time, in bytes.
const TOOL_SHOWN: usize = 128;

impl Session {
    /// Whether the desk may be asked: there is one, and somebody to tell what it says.
    pub(super) fn has_desk(&self) -> bool {
        self.settings.desk && self.ending == Ending::No
    }

    pub(super) fn ask_the_desk(&mut self, case: Case, pending: Pending) {
        let reply = case.earlier.words.reply_to(Keeper::Sidecar);
        let question = self.question(&case, pending.modified.as_ref(), reply);
        let grounds = pending.verdict.grounds.clone();
        self.effects.push_back(Effect::Hold(Box::new(SteppedUp { question, grounds })));
        self.wait(case, Stage::Desk(Box::new(pending)));
    }

    /// The desk keeps a hold, or knows the answer already.
    pub(super) fn desk_said(
        &mut self,
        mut case: Case,
        Pending { verdict, modified }: Pending,
        newer: Option<Verdict>,
        answer: Answer,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let in_client = matches!(case.earlier.words, Words::Agreed(_))
            || is_beyond_the_desk(newer.as_ref(), &verdict.grounds);
        let rules = self.settings.rules;
        let ruling = decide::decide_at_desk(case.ticket, rules, modified, answer);
        case.earlier.grant = Some(Box::new(Grant::of(Keeper::Sidecar, &verdict.grounds)));
        let ruling = credited(ruling, &verdict.grounds);
        let ruling = self.unless_objected(case.ticket, ruling, newer, in_client);
        self.ruled(case, ruling, now, recorder);
    }

    /// Waiting for a person has ended.
    pub(super) fn waited(
        &mut self,
        mut case: Case,
        Held { hold, pending, reply, .. }: Held,
        newer: Option<Verdict>,
        answer: Answer,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let Pending { verdict, modified } = pending;
        let in_client = reply.is_some()
            || matches!(case.earlier.words, Words::Agreed(_))
            || hold.keeper == Keeper::Sidecar
                && is_beyond_the_desk(newer.as_ref(), &verdict.grounds);
        let mut ruling = decide::decide_held(case.ticket, hold.keeper, modified, answer);
        if reply == Some(Reply::Deny) && matches!(ruling.decision, Decision::Forward(_)) {
            // Whoever sits there has said no, and would see it happen.
            ruling = decide::given_up(hold.keeper, denied(verdict.grounds.clone()));
        }
        case.earlier.grant = Some(Box::new(Grant::of(hold.keeper, &verdict.grounds)));
        let ruling = credited(ruling, &verdict.grounds);
        let ruling = self.unless_objected(case.ticket, ruling, newer, in_client);
        self.ruled(case, ruling, now, recorder);
    }

    /// An approval satisfies a step-up of the rules, and nothing stricter that they say by now.
    fn unless_objected(
        &self,
        ticket: Ticket,
        ruling: Ruling,
        newer: Option<Verdict>,
        in_client: bool,
    ) -> Ruling {
        let rules = self.settings.rules;
        let stricter =
            newer.filter(|local| decide::outranks_approval(rules.mode, local, in_client));
        if stricter.is_none() || !matches!(ruling.decision, Decision::Forward(_)) {
            return ruling;
        }
        decide::decide(ticket, rules, Opinions { local: stricter, remote: None })
    }

    /// Lets a call wait for a person, asks the one at the client, or refuses it with the token.
    pub(super) fn hold(&mut self, case: Case, hold: Hold, pending: Pending, now: Instant) {
        let Case { ticket, call, earlier, .. } = &case;
        let asking = match &earlier.words {
            Words::Unasked => Asking::May(self.modes(call)),
            Words::Opened => Asking::Opened,
            Words::Silence | Words::Agreed(_) => Asking::Asked,
        };
        let self_approval = pending.verdict.grounds.self_approval;
        let step_up = self.settings.rules.step_up;
        let course = match self.ending {
            Ending::No => step_up.course(asking, self_approval, &hold),
            // Nobody is there to be asked any more.
            Ending::Draining { .. } | Ending::Closed { .. } | Ending::Over => Course::Refuse,
        };
        let step = Held::new(hold, pending);
        match course {
            Course::Refuse => {
                let basis = Basis::of(step.hold.keeper);
                self.refuse(*ticket, call, &step.pending.verdict, basis);
            }
            Course::Ask(way) if call.is_modern() => self.ask_back(case, step, way, now),
            Course::Ask(way) => {
                let ticket = *ticket;
                self.wait_for_person(case, step, now);
                self.elicit(ticket, way);
            }
            Course::Wait => self.wait_for_person(case, step, now),
        }
    }

    fn wait_for_person(&mut self, case: Case, held: Held, now: Instant) {
        let ticket = case.ticket;
        self.effects.push_back(Effect::Wait(ticket, held.hold.clone()));
        self.wait(case, Stage::Held(Box::new(held)));
        self.tell_progress(ticket, now);
    }

    /// Takes a call out of waiting. Whatever its person is still asked is taken back.
    pub(super) fn take_waiting(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.requests.take(ticket)?;
        if let Stage::Held(held) = &waiting.stage {
            self.unelicit(held);
        }
        Some(waiting)
    }

    /// Refuses a held call with its token, since its person does not answer: the hold stays.
    pub(super) fn give_up(&mut self, ticket: Ticket, now: Instant, recorder: &mut impl Recorder) {
        if let Some((case, held)) = self.take_held(ticket) {
            let ruling = decide::given_up(held.hold.keeper, held.pending.verdict);
            self.ruled(case, ruling, now, recorder);
        }
    }

    /// Refuses a held call whose person will not answer: nobody keeps it any more.
    pub(super) fn let_go(&mut self, ticket: Ticket, now: Instant, recorder: &mut impl Recorder) {
        if let Some((case, held)) = self.take_held(ticket) {
            let keeper = held.hold.keeper;
            self.effects.push_back(Effect::Release(held.hold));
            let ruling = decide::given_up(keeper, declined(held.pending.verdict.grounds));
            self.ruled(case, ruling, now, recorder);
        }
    }

    fn take_held(&mut self, ticket: Ticket) -> Option<(Case, Held)> {
        match self.take_waiting(ticket)? {
            Waiting { call, since, earlier, stage: Stage::Held(held), .. } => {
                self.effects.push_back(Effect::Withdraw(ticket));
                Some((Case { ticket, call, since, earlier }, *held))
            }
            waiting => {
                self.requests.wait(ticket, waiting);
                None
            }
        }
    }

    pub(super) fn tell_progress(&mut self, ticket: Ticket, now: Instant) {
        let Some(Waiting { call, stage: Stage::Held(held), .. }) = self.requests.waiting(ticket)
        else {
            return;
        };
        let Some(token) = call.progress_token() else {
            return;
        };
        held.told += 1;
        let tool = excerpt(call.tool(), TOOL_SHOWN);
        let message =
            format!("`{tool}` waits for a person's approval{}", answer::place(&held.hold));
        let line = answer::progress(token, held.told, &message);
        self.requests.tell_again(ticket, now + PROGRESS);
        self.send_client(line);
    }

    /// What the client of this call can ask its person.
    fn modes(&self, call: &super::Call) -> Modes {
        if !self.may_elicit() || !self.settings.rules.step_up.elicits() {
            return Modes::NONE;
        }
        match call.meta() {
            // The answer to a task must be a task; and what the server has asked back is made again
            // only once, so that its state would be lost.
            _ if call.is_modern() && (call.is_task() || call.is_retry()) => Modes::NONE,
            Some(meta) if call.is_modern() => Modes::of_meta(&meta),
            _ => self.asking.greeted,
        }
    }
}

/// Whether the desk might not have been asked about what the rules say by now, since they say
/// something else about who may answer: then its yes counts for no more than one inside the client.
fn is_beyond_the_desk(newer: Option<&Verdict>, stepped_up: &Grounds) -> bool {
    newer.is_some_and(|newer| newer.grounds.self_approval != stepped_up.self_approval)
}

/// Names the rules that asked for a person, where whoever answered names none. What whoever made the
/// call may agree to is theirs to say, too.
fn credited(mut ruling: Ruling, stepped_up: &Grounds) -> Ruling {
    let grounds = &mut ruling.verdict.grounds;
    if grounds.rule_ids.is_empty() {
        grounds.rule_ids.clone_from(&stepped_up.rule_ids);
        grounds.policy = grounds.policy.take().or_else(|| stepped_up.policy.clone());
    }
    if grounds.control_ids.is_empty() {
        grounds.control_ids.clone_from(&stepped_up.control_ids);
    }
    if matches!(ruling.verdict.effect, Verb::StepUp(_)) {
        grounds.self_approval = stepped_up.self_approval;
        grounds.reason = grounds.reason.take().or_else(|| stepped_up.reason.clone());
        grounds.reason_code = grounds.reason_code.take().or_else(|| stepped_up.reason_code.clone());
    }
    ruling
}

/// A step-up that its person has declined to look at.
pub(super) fn declined(grounds: Grounds) -> Verdict {
    let grounds = Grounds {
        reason: Some("the user declined to open the page on which it is approved".to_owned()),
        reason_code: Some("approval_declined".to_owned()),
        ..grounds
    };
    Verdict { effect: Verb::StepUp(None), grounds }
}
