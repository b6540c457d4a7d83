//! From starting the process to having read the answer to `initialize`.
//!
//! On one processor, where nothing that a start does can hide behind something else.

use std::process::Command;
use std::time::Duration;

use crate::clock::now;
use crate::peer::Peer;
use crate::processor::Pinned;
use crate::report::{Floor, Line, Outcome, Target, Unit};
use crate::request::Request;
use crate::setup::{Judge, Setup};
use crate::stats::{Samples, Summary};
use crate::trouble::Trouble;

/// Beside the bare server, as a client without a sidecar would start it.
pub(super) fn start(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let _one = Pinned::to_one();
    let enforcer = setup.enforcer(&[])?;
    let rounds = setup.full_or_quick(40, 5);
    let mut server = Samples::default();
    let mut ruled = Samples::default();
    let mut asked = Samples::default();
    let mut baton = Samples::default();
    for round in 0..=rounds {
        let by_rules = &mut setup.sidecar(Judge::Rules, &[])?;
        let by_enforcer = &mut setup.sidecar(Judge::Enforcer(&enforcer.facts), &[])?;
        let times = [
            initialized("server", &mut setup.server(&[]), setup)?,
            initialized("sidecar", by_rules, setup)?,
            initialized("sidecar", by_enforcer, setup)?,
        ];
        if round == 0 {
            continue; // the files were not in memory
        }
        server.push(times[0]);
        ruled.push(times[1]);
        asked.push(times[2]);
        if let Some(mut command) = setup.baton(&[])
            && baton.len() < 20
        {
            baton.push(initialized("baton-proxy", &mut command, setup)?);
        }
    }
    let unit = Duration::from_millis(1);
    let server = server.summary(unit);
    let baton = (baton.len() > 0).then(|| baton.summary(unit));
    let line = |what: &str, sidecar: Summary| Line {
        row: "start",
        what: format!("spawn to `initialize` answered, {what}"),
        unit: Unit::Milliseconds,
        floor: Some(Floor { of: "server", summary: server }),
        sidecar,
        baton,
        outcome: Outcome::weigh(Target::MoreAtMost(10.0), server.p50, sidecar.p50),
        ahead: baton.map(|baton| sidecar.p50 < baton.p50),
    };
    Ok(vec![line("100 rules", ruled.summary(unit)), line("an enforcer", asked.summary(unit))])
}

pub(super) fn initialized(
    name: &'static str,
    command: &mut Command,
    setup: &Setup,
) -> Result<Duration, Trouble> {
    let start = now();
    let mut peer = Peer::spawn(name, command, setup)?;
    peer.exchange(&Request::initialize())?;
    let took = start.elapsed();
    peer.stop()?;
    Ok(took)
}
