//! Holds that this sidecar keeps itself: a local rule's step-up where no enforcer keeps it.
//!
//! A [`Desk`] answers as an enforcer would. A call waits until a person has said yes or no, by
//! `thoth approvals` ([`visit`]) or inside the client where the rule allows that; what is open, and what
//! becomes of it, stands in `book`. The way in is a Unix socket (`door`), made with the first hold,
//! and who may come in is judged in `kin`. On Windows there is no socket: there, only the client asks.
//!
//! In memory only: what is pending ends with the sidecar, and nothing that an agent could write is
//! ever read as an answer.
//!
//! # Invariants
//!
//! - A yes lets one call through, the very call that was asked about.
//! - What a rule keeps from whoever makes the call (`self_approval = false`), and outside `dev` what it
//!   does not give them, is not answered here at all.
//! - Every wait ends: with an answer, with the hold, or after [`Settings::step_up_wait`].

#[cfg_attr(not(unix), expect(dead_code, reason = "people answer by the socket"))]
mod book;
#[cfg(unix)]
mod door;
#[cfg(unix)]
mod kin;
#[cfg(unix)]
mod place;
#[cfg(unix)]
pub mod visit;
#[cfg_attr(not(unix), expect(dead_code, reason = "the socket's words"))]
pub mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

#[cfg(unix)]
use self::book::Unanswered;
use self::book::{Asked, Book, Call};
#[cfg(unix)]
use self::door::Door;
#[cfg(unix)]
use self::kin::Kin;
#[cfg(unix)]
use self::wire::{Decision, Holds, LONGEST_NOTE, Refusal, Request};
#[cfg(unix)]
use crate::approval::record::Closed;
use crate::approval::record::{Answered, Assurance};
use crate::approval::{Binding, CallHash};
use crate::gate::verdict::{Answer, Effect, Grounds, Hold, Keeper, Reply, SteppedUp, Verdict};

/// Whose calls are held, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// thoth's own directory: `~/.thoth`.
    pub home: PathBuf,
    /// The agent.
    pub agent: String,
    /// The server that is called.
    pub server: String,
    /// The person, where that is known.
    pub user: Option<String>,
    /// Whether this is a developer's machine, where a rule that does not say who may answer lets this
    /// account answer.
    pub environment_is_dev: bool,
    /// Which rules are in force.
    pub policy_revision: String,
    /// How long a call waits for its answer.
    pub step_up_wait: Duration,
    /// The sidecar's session, which the socket is named after.
    pub session_id: String,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
}

/// The holds of one sidecar. Clones share them.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    #[cfg(unix)]
    kin: Kin,
    #[cfg(unix)]
    door: Mutex<Option<Door>>,
}

/// What the calls that wait and the people who answer share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    book: Mutex<Book>,
    /// Moves with everything that a waiting call may want to know.
    changed: watch::Sender<()>,
}

/// A call that waits, until this is dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    token: &'a str,
}

// === impl Desk ===

impl Desk {
    /// A desk with nothing on it. Makes no file, no socket and no task before the first hold.
    pub fn open(settings: Settings) -> Self {
        let changed = watch::Sender::new(());
        Self(Arc::new(Inner {
            shared: Arc::new(Shared { settings, book: Mutex::default(), changed }),
            #[cfg(unix)]
            kin: Kin::of_process(),
            #[cfg(unix)]
            door: Mutex::default(),
        }))
    }

    /// Asks about a call that the local rules step up. Says a step-up with its hold while nobody has
    /// answered; an allow, once, where a person has agreed to this very call before; a block where one
    /// has refused it; a step-up without a hold where nobody can be asked.
    ///
    /// What a person has answered inside the client comes first ([`Question::reply`]), where the rule
    /// lets whoever makes the call agree to it, and the answer is about this call.
    ///
    /// Needs a tokio runtime. Cancel safe: it never waits.
    ///
    /// [`Question::reply`]: crate::gate::verdict::Question::reply
    #[expect(clippy::unused_async, reason = "the one who calls asks an enforcer in the same words")]
    pub async fn hold(&self, stepped_up: SteppedUp) -> Answer {
        let SteppedUp { question, grounds } = stepped_up;
        let nobody = |grounds| Verdict { effect: Effect::StepUp(None), grounds };
        let shared = &self.0.shared;
        if !shared.may_ask(&grounds) {
            return Answer::Said(nobody(grounds));
        }
        let Some((arguments, hash)) = shared.bind(&question.tool, &question.arguments) else {
            let reason = "the call's arguments are not one unambiguous JSON object";
            return Answer::Said(Verdict::block("question_unreadable", reason));
        };
        if let Some((hold, reply)) = question.reply.filter(|(hold, _)| is_ours(hold)) {
            shared.reply(&hold, Some(hash), reply);
        }
        let call =
            Call { hash, tool: question.tool.to_string(), arguments, grounds: grounds.clone() };
        let id = Uuid::new_v4().simple().to_string();
        let now = (shared.settings.clock)();
        let asked = shared.book().ask(call, id, now);
        Answer::Said(match asked {
            Asked::Decided(verdict) => {
                shared.changed.send_replace(()); // it may have used what others wait for
                *verdict
            }
            Asked::Held(hold) => {
                let can_be_answered = self.let_in() || grounds.self_approval == Some(true);
                if can_be_answered {
                    Verdict { effect: Effect::StepUp(Some(hold)), grounds }
                } else {
                    shared.book().forget(&hold.token);
                    nobody(grounds)
                }
            }
            Asked::Full => {
                let reason = grounds.reason.as_deref().unwrap_or("a person must agree");
                let reason = format!("{reason}; too much waits for a person already");
                nobody(Grounds { reason: Some(reason), ..grounds })
            }
        })
    }

    /// Waits until a person has answered, the hold has ended, or [`Settings::step_up_wait`] is over:
    /// then it says a step-up with the same hold, which stays open.
    ///
    /// Of several calls that wait for one hold, one yes lets one through; the others are blocked, and
    /// ask anew when they are made again.
    ///
    /// Cancel safe: dropping the future stops the waiting; the hold stays open.
    pub async fn wait(&self, hold: Hold) -> Answer {
        let shared = &*self.0.shared;
        let longest = shared.settings.step_up_wait;
        let deadline = Instant::now() + longest;
        let mut changed = shared.changed.subscribe();
        let _waiting = Waiting::begin(shared, &hold.token);
        loop {
            changed.borrow_and_update();
            let now = (shared.settings.clock)();
            let claimed = shared.book().claim(&hold.token, now);
            if let Some(verdict) = claimed {
                shared.changed.send_replace(());
                return Answer::Said(verdict);
            }
            if Instant::now() >= deadline {
                return Answer::Said(shared.book().timed_out(hold.clone(), longest));
            }
            let end = shared.book().end(&hold.token);
            let left = end.and_then(|end| Duration::try_from(end.duration_since(now)).ok());
            let until = left.map_or(deadline, |left| deadline.min(Instant::now() + left));
            // Which of them it was shows at the next look.
            let _ = timeout_at(until, changed.changed()).await;
        }
    }

    /// Takes what a person has answered inside the client. It counts only where the rule lets whoever
    /// makes the call agree to it.
    #[expect(clippy::unused_async, reason = "the one who calls asks an enforcer in the same words")]
    pub async fn reply(&self, hold: Hold, reply: Reply) {
        if is_ours(&hold) {
            self.0.shared.reply(&hold, None, reply);
        }
    }

    /// Gives a call up: unless another call waits for the same hold, it is withdrawn, and a late yes
    /// changes nothing. What was denied stays denied.
    #[expect(clippy::unused_async, reason = "the one who calls asks an enforcer in the same words")]
    pub async fn release(&self, hold: Hold) {
        if is_ours(&hold) {
            let shared = &self.0.shared;
            let now = (shared.settings.clock)();
            shared.book().release(&hold.token, now);
            shared.changed.send_replace(());
        }
    }

    /// Closes the way in, and removes the socket. What is pending ends with the sidecar.
    pub async fn end(&self) {
        #[cfg(unix)]
        {
            let door = self.0.door.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(door) = door {
                door.close().await;
            }
        }
    }

    /// Makes the way in for `thoth approvals`, unless there is one; says whether there is.
    #[cfg(unix)]
    fn let_in(&self) -> bool {
        let mut door = self.0.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.is_none() {
            match Door::open(&self.0.shared, self.0.kin) {
                Ok(opened) => *door = Some(opened),
                Err(why) => {
                    let cause = std::error::Error::source(&why).map(ToString::to_string);
                    tracing::warn!(%why, cause, "thoth approvals cannot answer this sidecar's holds");
                }
            }
        }
        door.is_some()
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "there is a way in on Unix")]
    fn let_in(&self) -> bool {
        false
    }
}

fn is_ours(hold: &Hold) -> bool {
    hold.keeper == Keeper::Sidecar
}

// === impl Shared ===

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this account may be asked.
    fn may_ask(&self, grounds: &Grounds) -> bool {
        grounds.self_approval.unwrap_or(self.settings.environment_is_dev)
    }

    /// The text of the arguments, and what its approval is bound to.
    fn bind(&self, tool: &str, arguments: &[u8]) -> Option<(String, CallHash)> {
        let arguments = std::str::from_utf8(arguments).ok()?;
        let Settings { agent, server, policy_revision, .. } = &self.settings;
        let hash = Binding { agent, server, tool, arguments, policy: policy_revision }.hash();
        Some((arguments.to_owned(), hash.ok()?))
    }

    fn reply(&self, hold: &Hold, call: Option<CallHash>, reply: Reply) {
        let user = self.settings.user.as_deref();
        let answered = Answered {
            by: user.unwrap_or("the person at the client").to_owned(),
            assurance: Assurance::Elicitation,
            at: (self.settings.clock)(),
            note: None,
        };
        self.book().reply(&hold.token, call, reply, answered);
        self.changed.send_replace(());
    }

    /// Does what `thoth approvals` asks for, in the name of this account.
    #[cfg(unix)]
    fn serve(&self, request: Request, account: &str) -> wire::Answer {
        let now = (self.settings.clock)();
        match request {
            Request::List {} => {
                let Settings { session_id, agent, server, user, .. } = &self.settings;
                wire::Answer::Holds(Holds {
                    session_id: session_id.clone(),
                    agent_id: agent.clone(),
                    server: server.clone(),
                    user_id: user.clone(),
                    holds: self.book().pending(now),
                })
            }
            Request::Resolve { id, decision, note } => {
                if note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
                    return wire::Answer::Refused(Refusal::Unreadable);
                }
                let reply = match decision {
                    Decision::Approve => Reply::Approve,
                    Decision::Deny => Reply::Deny,
                };
                let by = account.to_owned();
                let answered = Answered { by, assurance: Assurance::Terminal, at: now, note };
                let said = self.book().answer(&id, reply, answered);
                self.changed.send_replace(());
                match said {
                    Ok(()) => {
                        tracing::info!(id, ?decision, account, "a held call was answered");
                        wire::Answer::Resolved
                    }
                    Err(Unanswered::Unknown) => wire::Answer::Refused(Refusal::Unknown),
                    Err(Unanswered::Closed(closed)) => wire::Answer::Refused(match closed {
                        Closed::Answered => Refusal::Answered,
                        Closed::Withdrawn => Refusal::Withdrawn,
                        Closed::Expired => Refusal::Expired,
                    }),
                }
            }
        }
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared, token: &'a str) -> Self {
        shared.book().waits(token, true);
        Self { shared, token }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.book().waits(self.token, false);
    }
}

#[cfg(test)]
mod tests;
