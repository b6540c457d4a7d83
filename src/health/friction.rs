//! Friction events: whether there are any, what waits for a collector, and what was lost.
//!
//! They are telemetry: whatever is wrong with them, no call is the worse for it, so every problem
//! here is a warning.

use serde::Serialize;

use super::facts::Facts;
use super::plain;
use super::problem::{Code, Problem};
use super::servers;
use crate::endpoint::sidecar;

/// How friction stands on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Friction {
    /// `on`, `events` or `off`, as `thoth run` would start.
    pub mode: &'static str,
    /// Where events go.
    pub sinks: Vec<String>,
    /// What lies between events and their collectors, also those that are no longer configured.
    pub spools: Vec<Spool>,
}

/// The spool of one collector.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Spool {
    /// The collector.
    pub place: String,
    /// How many bytes wait, or were sent a moment ago.
    pub waiting_bytes: u64,
    /// What was lost, by all processes since the spool was made.
    pub lost: Lost,
}

/// How many events were lost, and to what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Lost {
    /// The spool was full, or they were too old.
    pub evicted: u64,
    /// The collector did not want them.
    pub refused: u64,
    /// They could not be read back.
    pub damaged: u64,
}

/// How friction stands; what is wrong is added to `problems`.
pub(super) fn judge(facts: &Facts, problems: &mut Vec<Problem>) -> Friction {
    let friction = &facts.friction;
    let mut spools = friction.spools.clone();
    for spool in &mut spools {
        spool.place = plain(&spool.place);
    }
    problems.extend(of_spools(&spools));
    problems.extend(of_sidecars(facts));
    problems.extend(of_collectors(facts));
    let sinks = friction.sinks.iter().map(|sink| plain(sink)).collect();
    Friction { mode: friction.mode, sinks, spools }
}

fn of_spools(spools: &[Spool]) -> Option<Problem> {
    let told = spools.iter().filter(|spool| spool.lost.total() > 0);
    let told = told.map(|Spool { place, lost, .. }| format!("{place}: {}", lost.in_words()));
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| {
        Problem::new(
            Code::FrictionLost,
            format!("friction events were lost on their way to {}", servers::some(&told)),
            "see that the collector can be reached and takes them; once that is done, remove \
             losses.json from its directory in ~/.thoth/spool to count anew",
        )
    })
}

/// What a sidecar could not tell. It is over with the sidecar.
fn of_sidecars(facts: &Facts) -> Option<Problem> {
    let told = facts.sidecars.iter().filter_map(|sidecar| {
        let friction = sidecar.friction.as_ref()?;
        let sinks: u64 = friction.sinks.iter().map(|sink| sink.dropped).sum();
        let dropped = friction.dropped.saturating_add(sinks);
        (dropped > 0).then(|| format!("{} ({dropped})", plain(&sidecar.agent_id)))
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| {
        Problem::new(
            Code::FrictionDropped,
            format!("friction events were not told in full: {}", servers::some(&told)),
            "see that the places events go to can be written, and are quick enough",
        )
    })
}

fn of_collectors(facts: &Facts) -> Option<Problem> {
    let sinks = facts.sidecars.iter().filter_map(|sidecar| sidecar.friction.as_ref());
    let sinks = sinks.flat_map(|friction| &friction.sinks);
    let mut told: Vec<_> = sinks
        .filter_map(|sink| Some(plain(&format!("{}: {}", sink.place, sink.trouble.as_ref()?))))
        .collect();
    told.sort();
    told.dedup();
    (!told.is_empty()).then(|| {
        Problem::new(
            Code::FrictionWaiting,
            format!("friction events wait on this machine; {}", servers::some(&told)),
            "check the collector's address, the key and the network; sidecars try again by \
             themselves",
        )
    })
}

// === impl Friction ===

impl Friction {
    /// How many bytes wait, in all spools.
    pub fn waiting_bytes(&self) -> u64 {
        self.spools.iter().map(|spool| spool.waiting_bytes).sum()
    }

    /// How many events were lost, in all spools.
    pub fn lost(&self) -> u64 {
        self.spools.iter().map(|spool| spool.lost.total()).sum()
    }

    /// In one line.
    pub fn in_words(&self) -> String {
        let mut told = vec![self.mode.to_owned()];
        if !self.sinks.is_empty() {
            told.push(format!("to {}", self.sinks.join(", ")));
        }
        let (waiting, lost) = (self.waiting_bytes(), self.lost());
        told.extend((waiting > 0).then(|| format!("{waiting} bytes in spools")));
        told.extend((lost > 0).then(|| format!("{lost} events lost")));
        told.join(", ")
    }
}

// === impl Lost ===

impl Lost {
    fn total(self) -> u64 {
        self.evicted.saturating_add(self.refused).saturating_add(self.damaged)
    }

    fn in_words(self) -> String {
        let counts =
            [(self.evicted, "evicted"), (self.refused, "refused"), (self.damaged, "damaged")];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        counts.join(", ")
    }
}

/// How one sidecar's friction stands, in one line.
pub fn of_sidecar(friction: &sidecar::Friction) -> String {
    let mut told = vec![format!("{} events", friction.events)];
    told.extend((friction.dropped > 0).then(|| format!("{} not in full", friction.dropped)));
    for sink in &friction.sinks {
        let mut of_sink = format!("{} {} written", sink.place, sink.written);
        if sink.dropped > 0 {
            of_sink = format!("{of_sink}, {} dropped", sink.dropped);
        }
        if let Some(delivered) = sink.delivered {
            of_sink = format!("{of_sink}, {delivered} delivered");
        }
        if let Some(trouble) = &sink.trouble {
            of_sink = format!("{of_sink} ({trouble})");
        }
        told.push(plain(&of_sink));
    }
    told.join("; ")
}
