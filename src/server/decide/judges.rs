//! The rules as they are bound to who asks: remembered for those who asked last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::question::Question;
use crate::gate::verdict::{Facts, Judge, Verdict};
use crate::policy::{BoundPolicy, Scope, Who};
use crate::server::rulebook::Book;

/// How many of those who ask are remembered for sure; twice as many at most.
const REMEMBERED: usize = 128;

/// The rules, bound to those who asked last.
///
/// Two generations: who is asked for goes to the young one; when that is full, the old one is
/// forgotten. Binding anew costs some microseconds.
#[derive(Debug, Default)]
pub struct Judges(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    /// What they were bound to.
    revision: String,
    young: Bound,
    old: Bound,
}

type Bound = HashMap<Box<str>, Arc<BoundPolicy>>;

// === impl Judges ===

impl Judges {
    /// What the approved scope, and then the rules, say about a call.
    pub(super) fn judge(&self, book: &Book, question: &Question<'_>) -> Verdict {
        if !question.approved_scope.is_empty() {
            let scope = Scope::new(&question.approved_scope, &question.who.intent, &[], None);
            if let Some(block) = scope.verdict(&question.tool) {
                return block;
            }
        }
        self.bound(book, &question.who).judge(&Facts {
            tool: &question.tool,
            arguments: question.arguments.as_str(),
            annotations: question.annotations,
            calls: &question.calls,
        })
    }

    fn bound(&self, book: &Book, who: &Who) -> Arc<BoundPolicy> {
        // No name holds a line break.
        let Who { agent, server, user, intent, environment } = who;
        let key = [agent.as_str(), server, user, intent, environment].join("\n");
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.revision != book.revision {
            *generations =
                Generations { revision: book.revision.clone(), ..Generations::default() };
        }
        if let Some(found) = generations.young.get(key.as_str()) {
            return Arc::clone(found);
        }
        let aged = generations.old.remove(key.as_str());
        let bound = aged.unwrap_or_else(|| Arc::new(book.set.bind(who.clone())));
        if generations.young.len() >= REMEMBERED {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key.into(), Arc::clone(&bound));
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, PolicySet};

    fn book(revision: &str) -> Book {
        let text = "[policy]\nid = \"p\"\nversion = 1\ndefault = \"block\"\n";
        let policy = Policy::parse("p", text).unwrap();
        Book { set: PolicySet::new(vec![policy]).unwrap(), revision: revision.to_owned() }
    }

    fn who(agent: usize) -> Who {
        Who { agent: agent.to_string(), ..Who::default() }
    }

    #[test]
    fn who_asks_again_and_again_is_remembered_and_others_are_not() {
        let judges = Judges::default();
        let (one, first) = (book("1"), judges.bound(&book("1"), &who(0)));
        for agent in 1..10 * REMEMBERED {
            judges.bound(&one, &who(agent));
            assert!(Arc::ptr_eq(&first, &judges.bound(&one, &who(0))), "{agent}");
        }
        let generations = judges.0.lock().unwrap();
        assert!(generations.young.len() <= REMEMBERED && generations.old.len() <= REMEMBERED);
        assert!(!generations.young.contains_key("1\n\n\n\n"));
    }

    #[test]
    fn another_revision_is_bound_anew() {
        let judges = Judges::default();
        let first = judges.bound(&book("1"), &who(0));
        assert!(!Arc::ptr_eq(&first, &judges.bound(&book("2"), &who(0))));
    }
}
