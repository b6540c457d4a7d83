//! Asking the person at the client: by a request of thoth's own in the handshake era, and by an answer
//! that asks back in the era without (MCP 2026-07-28), where the retry brings their word.
//!
//! # Invariants
//!
//! - What the client answers to thoth's own requests, and what it sends back of thoth's own, never
//!   reaches the server.
//! - A name that is thoth's is never the server's: a request of the server under such a name is
//!   dropped, so that no answer can be taken for another's.
//! - An answer counts once, for the call it was asked about.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::answer::{self, Refusal};
use super::super::decide::{self, Basis, Ruling, StepUp};
use super::super::message::elicitation::{self, Foreign, Modes, Question, Way, Word};
use super::super::message::{Call, Passthrough, RequestId};
use super::super::record::{Recorder, Ticket};
use super::super::token::{Digest, FAMILY, Kind, Secret};
use super::super::verdict::{Grounds, Hold, Reply, Verdict};
use super::super::waiting::{Continuation, Earlier, Held, Stage, Waiting, Words};
use super::calls::Case;
use super::held::declined;
use super::{Effect, Note, Session};

/// How many questions the client may have open at once: further calls wait, or are refused, without.
pub(super) const MOST_OPEN: usize = 16;

/// How many calls that were answered with a question are remembered; of more, the oldest are judged
/// as if they were new.
pub(super) const MOST_RETURNED: usize = 64;

/// How long they are, where the hold does not say, and at most.
const REMEMBERED: Duration = Duration::from_mins(15);
const LONGEST: Duration = Duration::from_hours(24);

/// How many answers under names of thoth's family a call may bring. An honest client brings one.
const MOST_ANSWERS: usize = 16;

/// What was asked, and not answered yet.
#[derive(Debug, Default)]
pub(super) struct Elicitations {
    secret: Option<Secret>,
    /// What the client has declared in its handshake.
    pub(super) greeted: Modes,
    /// The number of the last name that was made.
    made: u64,
    /// Questions that the client has not answered.
    pub(super) open: BTreeMap<u64, (Ticket, Way)>,
    /// Oldest first.
    returned: VecDeque<Returned>,
    /// What the server has asked back about approved calls, oldest first: the digest of its state.
    pub(super) continuing: VecDeque<(Digest, Continuation)>,
    /// States of thoth's family that the server has said, being a sidecar, too; oldest first.
    pub(super) said: VecDeque<Box<str>>,
}

/// A call that was answered with a question.
#[derive(Debug)]
struct Returned {
    number: u64,
    call: Digest,
    way: Way,
    hold: Hold,
    grounds: Grounds,
    until: Instant,
}

/// What a call brings of an earlier one.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// The number of the question, and its answer's text.
    ours: Option<(u64, Option<Bytes>)>,
    /// What there is for the server.
    theirs: Theirs,
}

/// What a call brings for the server.
#[derive(Debug, Default)]
enum Theirs {
    #[default]
    Nothing,
    Answers,
    State(Box<str>),
}

impl Session {
    /// The same session, which may ask the person at the client where rules and client let it
    /// ([`StepUp::Elicit`], [`StepUp::Auto`]). `secret` must come from a source of randomness.
    #[must_use]
    pub fn eliciting(mut self, secret: [u8; 16]) -> Self {
        self.asking.secret = Some(Secret::new(secret));
        self
    }

    /// Takes note of what the client says it can, in its handshake.
    pub(super) fn greeted(&mut self, params: &[u8]) {
        if self.asking.secret.is_some() {
            self.asking.greeted = Modes::of_greeting(params);
        }
    }

    pub(super) fn may_elicit(&self) -> bool {
        self.asking.secret.is_some() && self.asking.open.len() < MOST_OPEN
    }

    /// Asks about a held call.
    pub(super) fn elicit(&mut self, ticket: Ticket, way: Way) {
        let Elicitations { secret: Some(secret), made, open, .. } = &mut self.asking else {
            return;
        };
        let Some(Waiting { call, stage: Stage::Held(held), .. }) = self.requests.waiting(ticket)
        else {
            return;
        };
        let name = loop {
            *made += 1;
            let name = secret.name(Kind::Request, *made);
            // Nobody can have guessed it; if the server has, its own question has the name.
            if !self.asked.contains(&RequestId::of_text(&name)) {
                break name;
            }
        };
        let page = secret.name(Kind::Page, *made);
        let params = params(call, held, way, Some(&page));
        held.elicited = Some(*made);
        open.insert(*made, (ticket, way));
        self.send_client(elicitation::create(&name, &params));
    }

    /// Takes back what was asked about a call that waits no more.
    pub(super) fn unelicit(&mut self, held: &Held) {
        let Some(secret) = &self.asking.secret else { return };
        if let Some(number) = held.opened {
            let page = secret.name(Kind::Page, number);
            self.effects.push_back(Effect::ToClient(elicitation::completed(&page)));
        }
        if let Some(number) =
            held.elicited.filter(|number| self.asking.open.remove(number).is_some())
        {
            let name = secret.name(Kind::Request, number);
            self.effects.push_back(Effect::ToClient(elicitation::cancelled(&name)));
        }
    }

    /// The number of a question of thoth's own, asked by now or not.
    pub(super) fn own_number(&self, id: &RequestId) -> Option<u64> {
        self.asking.secret.as_ref()?.number(Kind::Request, id.as_text()?)
    }

    /// Takes in what the client answers to a question of thoth's own.
    pub(super) fn elicited(
        &mut self,
        number: u64,
        line: &Passthrough,
        now: Instant,
        recorder: &mut impl Recorder,
    ) {
        let Some((ticket, way)) = self.asking.open.get(&number).copied() else {
            return self.note(Note::AnswerToNobody);
        };
        let word = match elicitation::answer(line.as_bytes(), way) {
            Ok(word) => word,
            Err(Foreign) => return self.note(Note::ForeignAnswer),
        };
        self.asking.open.remove(&number);
        let Some(Waiting { stage: Stage::Held(held), .. }) = self.requests.waiting(ticket) else {
            return;
        };
        held.elicited = None;
        match word {
            Word::Agree | Word::Deny => {
                let reply = if word == Word::Agree { Reply::Approve } else { Reply::Deny };
                held.reply = Some(reply);
                let asked_about = held.hold.clone();
                self.effects.push_back(Effect::Reply(asked_about, reply));
            }
            Word::Open => held.opened = Some(number),
            Word::Decline => self.let_go(ticket, now, recorder),
            Word::Dismiss | Word::Unsupported => {
                if self.settings.rules.step_up == StepUp::Elicit {
                    self.give_up(ticket, now, recorder);
                }
            }
        }
    }

    /// Answers a call with a question. Nobody waits for it meanwhile: the retry does.
    pub(super) fn ask_back(&mut self, case: Case, held: Held, way: Way, now: Instant) {
        let Case { ticket, call, .. } = case;
        let Elicitations { secret: Some(secret), made, returned, .. } = &mut self.asking else {
            return;
        };
        *made += 1;
        let (key, state) = (secret.name(Kind::Input, *made), secret.name(Kind::State, *made));
        let params = params(&call, &held, way, None);
        let Held { hold, pending, .. } = held;
        let refusal = Refusal::new(call.tool(), &pending.verdict, Basis::of(hold.keeper));
        let end = refusal.into_end();
        let open_for = hold.timeout.unwrap_or(REMEMBERED).min(LONGEST);
        if returned.len() == MOST_RETURNED {
            returned.pop_front();
        }
        returned.push_back(Returned {
            number: *made,
            call: call.digest(),
            way,
            hold,
            grounds: pending.verdict.grounds,
            until: now + open_for,
        });
        self.requests.close(call.id());
        self.send_client(answer::input_required(call.id(), &key, &params, &state));
        self.tell_call_end(ticket, || end);
    }

    /// Takes out of a call what is thoth's: answers to what it had asked back, and its state. The call
    /// is given back as it was where that fails.
    pub(super) fn taken_back(&self, mut call: Call) -> Result<(Call, Retry), Box<Call>> {
        let mut retry = Retry::default();
        let Some(secret) = self.asking.secret.as_ref().filter(|_| call.is_retry()) else {
            return Ok((call, retry));
        };
        let state = call.request_state().map(|state| Box::<str>::from(&*state));
        let number = state.as_deref().and_then(|state| secret.number(Kind::State, state));
        // Of another sidecar: of one that the server is, or of this one before it was restarted.
        let is_stale = number.is_none()
            && state.as_ref().is_some_and(|state| {
                state.starts_with(FAMILY) && !self.asking.said.contains(state)
            });
        let mut answer = None;
        let answers = call.answers_of_the_family();
        if answers.len() > MOST_ANSWERS {
            return Err(Box::new(call));
        }
        for (name, text) in answers {
            let asked = secret.number(Kind::Input, &name);
            if asked.is_none() && !is_stale {
                continue;
            }
            if asked.is_some() && asked == number {
                answer = Some(text);
            }
            call = match call.without_answer(&name) {
                Ok(without) => without,
                Err(_) => return Err(Box::new(call)),
            };
        }
        if number.is_some() || is_stale {
            call = match call.without_state() {
                Ok(without) => without,
                Err(_) => return Err(Box::new(call)),
            };
        }
        retry.ours = number.map(|number| (number, answer));
        if call.is_retry() {
            retry.theirs = match call.request_state() {
                Some(state) => Theirs::State(Box::from(&*state)),
                None => Theirs::Answers,
            };
        }
        Ok((call, retry))
    }

    /// What earlier tries of this call have brought; a ruling where that is a no.
    pub(super) fn earlier(
        &mut self,
        call: &Call,
        retry: Retry,
        now: Instant,
    ) -> Result<Earlier, Box<Ruling>> {
        let mut earlier = Earlier::default();
        if let Some((number, answer)) = retry.ours {
            self.asking.returned.retain(|returned| returned.until > now);
            let digest = call.digest();
            let asked = |returned: &Returned| returned.number == number && returned.call == digest;
            let at = self.asking.returned.iter().position(asked);
            if let Some(returned) = at.and_then(|at| self.asking.returned.remove(at)) {
                earlier.words = self.words(returned, answer)?;
            }
        } else {
            earlier.continues = match retry.theirs {
                Theirs::Nothing => None,
                Theirs::Answers => self.continued(call, None),
                Theirs::State(state) => self.continued(call, Some(&state)),
            };
        }
        Ok(earlier)
    }

    fn words(&mut self, returned: Returned, answer: Option<Bytes>) -> Result<Words, Box<Ruling>> {
        let Returned { way, hold, grounds, .. } = returned;
        let word = answer.and_then(|text| elicitation::word(&text, way).ok());
        let keeper = hold.keeper;
        let verdict = match word {
            Some(Word::Agree) => return Ok(Words::Agreed(Box::new((hold, grounds)))),
            Some(Word::Open) => return Ok(Words::Opened),
            Some(Word::Dismiss | Word::Unsupported) | None => return Ok(Words::Silence),
            Some(Word::Deny) => {
                self.effects.push_back(Effect::Reply(hold, Reply::Deny));
                denied(grounds)
            }
            Some(Word::Decline) => {
                self.effects.push_back(Effect::Release(hold));
                declined(grounds)
            }
        };
        Err(Box::new(decide::given_up(keeper, verdict)))
    }
}

/// A call that its person at the client has denied.
pub(super) fn denied(grounds: Grounds) -> Verdict {
    let Grounds { rule_ids, control_ids, policy, .. } = grounds;
    let verdict = Verdict::block("approval_denied", "the person at the client denied it");
    Verdict { grounds: Grounds { rule_ids, control_ids, policy, ..verdict.grounds }, ..verdict }
}

fn params(call: &Call, held: &Held, way: Way, page: Option<&str>) -> String {
    let own = call.arguments();
    let arguments = match &held.pending.modified {
        Some(modified) => modified.as_str(),
        None => std::str::from_utf8(&own).unwrap_or("{}"),
    };
    let grounds = &held.pending.verdict.grounds;
    let question = Question { tool: call.tool(), arguments, grounds, hold: &held.hold };
    question.params(way, page)
}
