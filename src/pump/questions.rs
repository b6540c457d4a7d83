//! Questions that are being asked, each in a task of its own.
//!
//! # Invariants
//!
//! - Each question ends in exactly one answer, unless it is withdrawn: a task that panics is an
//!   answer that blocks.

use std::collections::BTreeMap;

use tokio::task::{AbortHandle, Id, JoinSet};

use crate::gate::record::Ticket;
use crate::gate::session::Input;
use crate::gate::verdict::{Answer, Hold, Question, Verdict};

/// Who is asked about calls: the enforcer, or a table in tests.
///
/// Both futures must end by themselves, and must be safe to drop.
pub trait Ask: Clone + Send + 'static {
    /// Asks about one call.
    fn ask(&self, question: Question) -> impl Future<Output = Answer> + Send;
    /// Waits until a person has answered about a held call.
    fn wait(&self, hold: Hold) -> impl Future<Output = Answer> + Send;
}

/// The questions that have no answer yet. The session bounds their number.
#[derive(Debug)]
pub(super) struct Questions<A> {
    asker: Option<A>,
    tasks: JoinSet<Input>,
    tickets: BTreeMap<Id, Ticket>,
    handles: BTreeMap<Ticket, AbortHandle>,
}

impl<A: Ask> Questions<A> {
    pub(super) fn new(asker: Option<A>) -> Self {
        Self { asker, tasks: JoinSet::new(), tickets: BTreeMap::new(), handles: BTreeMap::new() }
    }

    pub(super) fn ask(&mut self, question: Question) {
        let (asker, ticket) = (self.asker.clone(), question.ticket);
        self.spawn(ticket, async move {
            let answer = match asker {
                Some(asker) => asker.ask(question).await,
                None => nobody(),
            };
            Input::Asked(ticket, answer)
        });
    }

    pub(super) fn wait(&mut self, ticket: Ticket, hold: Hold) {
        let asker = self.asker.clone();
        self.spawn(ticket, async move {
            let answer = match asker {
                Some(asker) => asker.wait(hold).await,
                None => nobody(),
            };
            Input::Waited(ticket, answer)
        });
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
            let Some(ticket) = self.tickets.remove(&id) else { continue };
            let withdrawn = self.handles.get(&ticket).is_none_or(|handle| handle.id() != id);
            if withdrawn {
                continue;
            }
            self.handles.remove(&ticket);
            return Some(input.unwrap_or_else(|| {
                tracing::error!("asking about a call failed inside thoth; the call is blocked");
                Input::Asked(ticket, Answer::Said(internal()))
            }));
        }
    }

    pub(super) async fn end(&mut self) {
        self.tasks.shutdown().await;
    }

    fn spawn(&mut self, ticket: Ticket, task: impl Future<Output = Input> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.tickets.insert(handle.id(), ticket);
        self.handles.insert(ticket, handle);
    }
}

fn internal() -> Verdict {
    Verdict::block("internal_error", "thoth failed to ask about it; please report this")
}

fn nobody() -> Answer {
    Answer::Said(Verdict::block("no_decision", "there is nobody to ask"))
}
