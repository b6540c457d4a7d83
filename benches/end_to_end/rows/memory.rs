//! What a sidecar holds: idle, after many calls, and with large ones in flight.
//!
//! Idle is what is resident after a handshake and one call; the others are the most that ever
//! was. Large calls are in flight in the two places where they can be: forwarded to a server that
//! has not answered yet, and held for an enforcer that has not answered yet.

use crate::peer::Peer;
use crate::processor::{self, Memory};
use crate::report::{Line, Outcome, Target, Unit};
use crate::request::Request;
use crate::setup::{Judge, Setup};
use crate::stats::Summary;
use crate::trouble::Trouble;

const IN_FLIGHT: usize = 64;
const ANSWERS_TOGETHER: &[&str] = &["--together", "64"];

pub(super) fn memory(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let calls = if setup.is_quick() { 2_000 } else { 100_000 };
    let mut sidecar = setup.sidecar(Judge::Rules, &[])?;
    let small = over_many_calls("sidecar", &mut sidecar, setup, calls)?;
    let mut sidecar = setup.sidecar(Judge::Rules, ANSWERS_TOGETHER)?;
    let forwarded = with_large_calls("sidecar", &mut sidecar, setup)?;
    let enforcer = setup.enforcer(ANSWERS_TOGETHER)?;
    let mut sidecar = setup.sidecar(Judge::Enforcer(&enforcer.facts), &[])?;
    let held = with_large_calls("sidecar", &mut sidecar, setup)?;

    let few = calls / 5; // some 0.4 ms each
    let baton = match setup.baton(&[]) {
        Some(mut baton) => over_many_calls("baton-proxy", &mut baton, setup, few)?,
        None => None,
    };
    let baton_forwarded = match setup.baton(ANSWERS_TOGETHER) {
        Some(mut baton) => with_large_calls("baton-proxy", &mut baton, setup)?,
        None => None,
    };

    let mut lines = Vec::new();
    if let Some((idle, after)) = small {
        let own = idle.own;
        lines.push(line(
            format!("memory, idle ({own:.1} MB of it heap and stacks)"),
            idle.resident,
            baton.map(|(idle, _)| idle.resident),
            Target::AtMost(12.0),
        ));
        lines.push(line(
            format!("memory, after {calls} calls, peak"),
            after.peak,
            baton.map(|(_, after)| after.peak),
            Target::AtMost(16.0),
        ));
    }
    for (place, memory, baton) in
        [("at the server", forwarded, baton_forwarded), ("held for an enforcer", held, None)]
    {
        if let Some(memory) = memory {
            lines.push(line(
                format!("memory, {IN_FLIGHT} × 1 MB in flight {place}, peak"),
                memory.peak,
                baton.map(|baton| baton.peak),
                Target::Stated,
            ));
        }
    }
    Ok(lines)
}

/// Idle, and after this many calls.
pub(super) fn over_many_calls(
    name: &'static str,
    command: &mut std::process::Command,
    setup: &Setup,
    calls: u32,
) -> Result<Option<(Memory, Memory)>, Trouble> {
    let request = Request::read_file();
    let mut peer = Peer::greeted(name, command, setup)?;
    peer.exchange(&request)?;
    let idle = processor::memory(peer.pid());
    peer.pipeline(&request, IN_FLIGHT, |made, _| made >= calls)?;
    let after = processor::memory(peer.pid());
    peer.stop()?;
    Ok(idle.zip(after))
}

/// After 64 calls of a megabyte that were in flight together.
fn with_large_calls(
    name: &'static str,
    command: &mut std::process::Command,
    setup: &Setup,
) -> Result<Option<Memory>, Trouble> {
    let mut peer = Peer::greeted(name, command, setup)?;
    peer.burst(&Request::write_file(1_000_000), IN_FLIGHT)?;
    let memory = processor::memory(peer.pid());
    peer.stop()?;
    Ok(memory)
}

fn line(what: String, sidecar: f64, baton: Option<f64>, target: Target) -> Line {
    Line {
        row: "memory",
        what,
        unit: Unit::Megabytes,
        floor: None,
        sidecar: Summary::single(sidecar),
        baton: baton.map(Summary::single),
        outcome: Outcome::weigh(target, f64::NAN, sidecar),
        ahead: baton.map(|baton| sidecar < baton),
    }
}
