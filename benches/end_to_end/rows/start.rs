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
use crate::stats::Samples;
use crate::trouble::Trouble;

/// Beside the bare server, as a client without a sidecar would start it.
pub(super) fn start(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let _one = Pinned::to_one();
    let rounds = setup.full_or_quick(60, 5);
    let mut floor = Samples::default();
    let mut sidecar = Samples::default();
    let mut baton = Samples::default();
    for round in 0..=rounds {
        let bare = initialized("server", &mut setup.server(&[]), setup)?;
        let through = initialized("sidecar", &mut setup.sidecar(Judge::Rules, &[])?, setup)?;
        if round == 0 {
            continue; // the files were not in memory
        }
        floor.push(bare);
        sidecar.push(through);
        if let Some(mut command) = setup.baton(&[])
            && baton.len() < 20
        {
            baton.push(initialized("baton-proxy", &mut command, setup)?);
        }
    }
    let unit = Duration::from_millis(1);
    let (floor, sidecar) = (floor.summary(unit), sidecar.summary(unit));
    let baton = (baton.len() > 0).then(|| baton.summary(unit));
    Ok(vec![Line {
        row: "start",
        what: "spawn to `initialize` answered, over the bare server".to_owned(),
        unit: Unit::Milliseconds,
        floor: Some(Floor { of: "server", summary: floor }),
        sidecar,
        baton,
        outcome: Outcome::weigh(Target::MoreAtMost(10.0), floor.p50, sidecar.p50),
        ahead: baton.map(|baton| sidecar.p50 < baton.p50),
    }])
}

fn initialized(
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
