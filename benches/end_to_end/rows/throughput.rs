//! Many calls at once, on all processors: how many are answered in a second.

use std::time::Duration;

use crate::peer::Peer;
use crate::report::{Floor, Line, Outcome, Target, Unit};
use crate::request::Request;
use crate::setup::{Judge, Setup};
use crate::stats::Samples;
use crate::trouble::Trouble;

/// Calls that are in flight at any time.
const WINDOW: usize = 64;

/// 64 calls in flight, decided by 100 rules, journal on.
pub(super) fn in_flight(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let calls = setup.full_or_quick(4_000, 300);
    let rounds = setup.full_or_quick(9, 2);
    let request = Request::read_file();
    let mut sidecar = setup.sidecar(Judge::Rules, &[])?;
    let mut peers = Vec::new();
    let mut relays = setup.relays(&[]);
    for (role, command) in &mut relays {
        peers.push(Peer::greeted(role, command, setup)?);
    }
    peers.push(Peer::greeted("sidecar", &mut sidecar, setup)?);
    if let Some(mut baton) = setup.baton(&[]) {
        peers.push(Peer::greeted("baton-proxy", &mut baton, setup)?);
    }
    let mut times: Vec<Samples> = peers.iter().map(|_| Samples::default()).collect();
    for peer in &mut peers {
        peer.pipeline(&request, calls / 2, WINDOW)?;
    }
    for _ in 0..rounds {
        for (peer, times) in peers.iter_mut().zip(&mut times) {
            times.push(peer.pipeline(&request, calls, WINDOW)?);
            peer.exchange(&request)?; // shows that it is the server who answers
        }
    }
    for peer in peers {
        peer.stop()?;
    }

    let calls = u32::try_from(calls).map_or(f64::NAN, f64::from);
    let mut rates = times.into_iter().map(|times| times.summary(Duration::from_secs(1)).per(calls));
    let floor = relays
        .iter()
        .zip(&mut rates)
        .map(|((of, _), summary)| Floor { of, summary })
        .max_by(|a, b| a.summary.p50.total_cmp(&b.summary.p50));
    let (Some(floor), Some(sidecar), baton) = (floor, rates.next(), rates.next()) else {
        unreachable!("there are as many rates as peers");
    };
    Ok(vec![Line {
        row: "in-flight",
        what: format!("{WINDOW} governed calls in flight, not pinned"),
        unit: Unit::CallsPerSecond,
        floor: Some(floor),
        sidecar,
        baton,
        outcome: Outcome::weigh(Target::RatioAtLeast(1.0 / 3.0), floor.summary.p50, sidecar.p50),
        ahead: baton.map(|baton| sidecar.p50 > baton.p50),
    }])
}
