//! The judge on this machine under an order of the GovAPI: while the machine is quarantined, no call
//! goes on.

use crate::endpoint::quarantine::Quarantine;
use crate::gate::verdict::{Facts, Grounds, Judge, Verdict};

/// A judge that lets an order go before its own judgement.
#[derive(Debug)]
pub(super) struct Obedient<J> {
    pub(super) judge: J,
    pub(super) quarantine: Quarantine,
}

impl<J: Judge> Judge for Obedient<J> {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        self.judge.judge(facts)
    }

    fn order(&self) -> Option<Grounds> {
        if !self.quarantine.is_on() {
            return None;
        }
        let reason = match self.quarantine.reason() {
            Some(reason) => format!("this machine is quarantined: {reason}"),
            None => "this machine is quarantined by whoever manages it".to_owned(),
        };
        Some(Grounds::coded("endpoint_quarantined", &reason))
    }
}
