//! Questions that are being asked, each in a task of its own.
//!
//! # Invariants
//!
//! - Each question ends in exactly one answer, unless it is withdrawn: a task that panics is an
//!   answer that blocks, or a report that says so.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;

use crate::gate::record::Ticket;
use crate::gate::session::Input;
use crate::gate::verdict::{Answer, Hold, Question, Reply, SteppedUp, Verdict};

/// Who is asked: the enforcer about calls, whoever keeps the session's story for a report; or a table
/// in tests. What a session does not ask for ([`Settings::remote`](crate::gate::session::Settings),
/// [`Own::Report`](crate::gate::extras::Own)) need not be there.
///
/// All futures must end by themselves, and must be safe to drop.
pub trait Ask: Clone + Send + 'static {
    /// Asks about one call.
    fn ask(&self, question: Question) -> impl Future<Output = Answer> + Send;
    /// Lets a call that the local rules step up be held by this sidecar. Says a step-up with its hold,
    /// an allow where a person has agreed to this very call before, a block where one has refused it,
    /// or a step-up without a hold where nobody can be asked.
    fn hold(&self, stepped_up: SteppedUp) -> impl Future<Output = Answer> + Send;
    /// Tells the hold's keeper that nobody will make its call any more. Best effort.
    fn release(&self, hold: Hold) -> impl Future<Output = ()> + Send;
    /// Tells the hold's keeper what a person has answered inside the client. Best effort: whoever
    /// waits for the hold learns what came of it.
    fn reply(&self, hold: Hold, reply: Reply) -> impl Future<Output = ()> + Send;
    /// Makes a report on the session so far, for the agent.
    fn report(&self) -> impl Future<Output = String> + Send;
    /// Waits until a person has answered about a held call.
    fn wait(&self, hold: Hold) -> impl Future<Output = Answer> + Send;
}

/// The questions that have no answer yet. The session bounds their number.
#[derive(Debug)]
pub(super) struct Questions<A> {
    asker: A,
    tasks: JoinSet<Input>,
    /// What each task's end is, should it panic.
    failures: BTreeMap<Id, Failure>,
    handles: BTreeMap<Ticket, AbortHandle>,
    /// What is told to keepers of holds; nothing comes back.
    words: JoinSet<()>,
}

/// How many words to keepers of holds may be under way at once; further ones are not said. A client
/// may cancel many calls in one breath.
const MOST_WORDS: usize = 1024;

/// How long they are waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What becomes of a task that panics.
#[derive(Debug)]
enum Failure {
    /// The call it was about is blocked.
    Blocks(Ticket),
    /// The report says so.
    SaysSo(Ticket),
}

// === impl Questions ===

impl<A: Ask> Questions<A> {
    pub(super) fn new(asker: A) -> Self {
        Self {
            asker,
            tasks: JoinSet::new(),
            failures: BTreeMap::new(),
            handles: BTreeMap::new(),
            words: JoinSet::new(),
        }
    }

    pub(super) fn ask(&mut self, question: Question) {
        let (asker, ticket) = (self.asker.clone(), question.ticket);
        let task = async move { Input::Asked(ticket, asker.ask(question).await) };
        self.spawn(Failure::Blocks(ticket), task);
    }

    pub(super) fn hold(&mut self, stepped_up: SteppedUp) {
        let (asker, ticket) = (self.asker.clone(), stepped_up.question.ticket);
        let task = async move { Input::Asked(ticket, asker.hold(stepped_up).await) };
        self.spawn(Failure::Blocks(ticket), task);
    }

    pub(super) fn release(&mut self, hold: Hold) {
        let asker = self.asker.clone();
        self.say(async move { asker.release(hold).await });
    }

    pub(super) fn reply(&mut self, hold: Hold, reply: Reply) {
        let asker = self.asker.clone();
        self.say(async move { asker.reply(hold, reply).await });
    }

    pub(super) fn report(&mut self, ticket: Ticket) {
        let asker = self.asker.clone();
        let task = async move { Input::Reported(ticket, asker.report().await) };
        self.spawn(Failure::SaysSo(ticket), task);
    }

    pub(super) fn wait(&mut self, ticket: Ticket, hold: Hold) {
        let asker = self.asker.clone();
        let task = async move { Input::Waited(ticket, asker.wait(hold).await) };
        self.spawn(Failure::Blocks(ticket), task);
    }

    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        if let Some(handle) = self.handles.remove(&ticket) {
            handle.abort();
        }
    }

    /// The next question that has ended. `None` where none is being asked; never for ever pending
    /// on one that was withdrawn.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Input> {
        loop {
            let (id, input) = match self.tasks.join_next_with_id().await? {
                Ok((id, input)) => (id, Some(input)),
                Err(ended) => (ended.id(), None),
            };
            let Some(failure) = self.failures.remove(&id) else { continue };
            let ticket = failure.ticket();
            let withdrawn = self.handles.get(&ticket).is_none_or(|handle| handle.id() != id);
            if withdrawn {
                continue;
            }
            self.handles.remove(&ticket);
            return Some(input.unwrap_or_else(|| {
                tracing::error!("what was asked about a call failed inside thoth");
                failure.into_input()
            }));
        }
    }

    pub(super) async fn end(&mut self) {
        self.tasks.shutdown().await;
        let _ =
            timeout(LAST_WORDS, async { while self.words.join_next().await.is_some() {} }).await;
        self.words.shutdown().await;
    }

    fn say(&mut self, word: impl Future<Output = ()> + Send + 'static) {
        while self.words.try_join_next().is_some() {}
        if self.words.len() < MOST_WORDS {
            self.words.spawn(word);
        }
    }

    fn spawn(&mut self, failure: Failure, task: impl Future<Output = Input> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        let ticket = failure.ticket();
        self.failures.insert(handle.id(), failure);
        self.handles.insert(ticket, handle);
    }
}

// === impl Failure ===

impl Failure {
    fn ticket(&self) -> Ticket {
        match self {
            Self::Blocks(ticket) | Self::SaysSo(ticket) => *ticket,
        }
    }

    fn into_input(self) -> Input {
        match self {
            Self::Blocks(ticket) => {
                let reason = "thoth failed to ask about it; please report this";
                Input::Asked(ticket, Answer::Said(Verdict::block("internal_error", reason)))
            }
            Self::SaysSo(ticket) => {
                let text = "The report failed inside thoth; please tell its makers.";
                Input::Reported(ticket, text.to_owned())
            }
        }
    }
}
