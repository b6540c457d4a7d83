//! How calls were carried, kept from their answer until their outcome is written down.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::gate::record::Carried;

/// How many calls are remembered whose outcome nobody has asked about yet.
const REMEMBERED: usize = 4096;

/// What the courier has written and the journal reads. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    by_id: BTreeMap<Box<str>, Carried>,
    /// The same, the oldest first; those that were taken out may still stand here.
    order: VecDeque<Box<str>>,
}

// === impl Ledger ===

impl Ledger {
    /// Writes down how the call with this id, as the client spelled it, was carried.
    pub(super) fn enter(&self, id: &str, carried: Carried) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.by_id.insert(id.into(), carried).is_none() {
            calls.order.push_back(id.into());
        }
        while calls.order.len() > REMEMBERED {
            if let Some(oldest) = calls.order.pop_front() {
                calls.by_id.remove(&oldest);
            }
        }
    }

    /// Takes out what was written about the call with this id.
    pub fn take(&self, id: &str) -> Option<Carried> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let carried = calls.by_id.remove(id)?;
        if let Some(at) = calls.order.iter().position(|known| **known == *id) {
            calls.order.remove(at);
        }
        Some(carried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_about_is_forgotten_the_oldest_first() {
        let ledger = Ledger::default();
        let carried = Carried { attempts: 1, generation: 2, epoch: 3 };
        for id in 0..=REMEMBERED {
            ledger.enter(&id.to_string(), carried);
        }
        assert_eq!(ledger.take("0"), None);
        assert_eq!(ledger.take("1"), Some(carried));
        assert_eq!(ledger.take("1"), None, "it is taken out");
        ledger.enter("1", carried);
        ledger.enter("new", carried);
        assert_eq!(ledger.take("2"), None);
        assert_eq!(ledger.take("1"), Some(carried));
    }
}
