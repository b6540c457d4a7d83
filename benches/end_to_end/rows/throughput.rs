//! Many calls at once, on all processors: how many are answered in a second.

use std::time::Duration;

use crate::peer::Peer;
use crate::report::{Floor, Line, Outcome, Target, Unit};
use crate::request::Request;
use crate::setup::{Judge, Setup};
use crate::stats::Summary;
use crate::trouble::Trouble;

/// Calls that are in flight at any time.
const WINDOW: usize = 64;

/// 64 calls in flight, decided by 100 rules, journal on.
pub(super) fn in_flight(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let rounds = setup.full_or_quick(9, 2);
    let round = Duration::from_millis(if setup.is_quick() { 20 } else { 250 });
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
    let mut rates: Vec<Vec<f64>> = peers.iter().map(|_| Vec::new()).collect();
    for nth in 0..=rounds {
        for (peer, rates) in peers.iter_mut().zip(&mut rates) {
            let rate = peer.pipeline(&request, WINDOW, |_, spent| spent >= round)?;
            peer.exchange(&request)?; // shows that it is the server who answers
            if nth > 0 {
                rates.push(rate); // the first round warms up
            }
        }
    }
    for peer in peers {
        peer.stop()?;
    }

    let mut rates = rates.into_iter().map(Summary::of_rates);
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
