//! What it costs to tell what happens: calls with friction events to a file, beside calls without
//! any, of the same sidecar; and what a collector costs that never answers.

use std::net::TcpListener;
use std::time::Duration;

use super::{latency, memory, start};
use crate::peer::Peer;
use crate::processor::Pinned;
use crate::report::{Floor, Line, Outcome, Target, Unit};
use crate::request::Request;
use crate::sampling::{Exchange, Subject, alternate};
use crate::setup::{Judge, Setup, Telling};
use crate::stats::{Samples, Summary};
use crate::trouble::Trouble;

/// Whose figures the floors are.
const OFF: &str = "friction off";
/// Calls that are in flight at any time.
const WINDOW: usize = 64;

pub(super) fn friction(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let mut lines = one_call(setup)?;
    lines.push(in_flight(setup)?);
    lines.push(started(setup)?);
    lines.extend(no_answer(setup)?);
    Ok(lines)
}

/// One call at a time.
fn one_call(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let _one = Pinned::to_one();
    let request = Request::read_file();
    let mut off = Exchange(peer("off", Telling::Nothing, setup)?, request.clone());
    let mut on = Exchange(peer("on", Telling::File, setup)?, request);
    let subjects: &mut [&mut dyn Subject] = &mut [&mut off, &mut on];
    let mut samples = alternate(subjects, latency::small(setup))?.into_iter();
    off.0.stop()?;
    on.0.stop()?;
    let mut next = || samples.next().unwrap_or_default().summary(Duration::from_micros(1));
    let (off, on) = (next(), next());
    let what = "governed call, friction to a file";
    Ok(vec![
        line(&format!("{what}, p50"), off, on, Target::RatioAtMost(1.1), |summary| summary.p50),
        line(&format!("{what}, p99"), off, on, Target::RatioAtMost(1.5), |summary| summary.p99),
    ])
}

/// Many calls at once.
fn in_flight(setup: &Setup) -> Result<Line, Trouble> {
    let rounds = setup.full_or_quick(9, 2);
    let round = Duration::from_millis(if setup.is_quick() { 20 } else { 250 });
    let request = Request::read_file();
    let mut peers = [peer("off", Telling::Nothing, setup)?, peer("on", Telling::File, setup)?];
    let mut rates = [Vec::new(), Vec::new()];
    for nth in 0..=rounds {
        for (peer, rates) in peers.iter_mut().zip(&mut rates) {
            let rate = peer.pipeline(&request, WINDOW, |_, spent| spent >= round)?;
            if nth > 0 {
                rates.push(rate); // the first round warms up
            }
        }
    }
    for peer in peers {
        peer.stop()?;
    }
    let [off, on] = rates.map(Summary::of_rates);
    let what = format!("{WINDOW} governed calls in flight, friction to a file");
    let target = Target::RatioAtLeast(0.85);
    Ok(Line { unit: Unit::CallsPerSecond, ..line(&what, off, on, target, |summary| summary.p50) })
}

/// From starting the process to having read the answer to `initialize`.
fn started(setup: &Setup) -> Result<Line, Trouble> {
    let _one = Pinned::to_one();
    let mut times = [Samples::default(), Samples::default()];
    for round in 0..=setup.full_or_quick(40, 5) {
        for (telling, times) in [Telling::Nothing, Telling::File].into_iter().zip(&mut times) {
            let mut command = setup.sidecar_telling(Judge::Rules, telling, &[])?;
            let time = start::initialized("sidecar", &mut command, setup)?;
            if round > 0 {
                times.push(time); // at first, the files were not in memory
            }
        }
    }
    let [off, on] = times.map(|times| times.summary(Duration::from_millis(1)));
    let what = "spawn to `initialize` answered, friction to a file";
    let target = Target::MoreAtMost(2.0);
    Ok(Line { unit: Unit::Milliseconds, ..line(what, off, on, target, |summary| summary.p50) })
}

/// Memory, with events to a file and with a collector that takes connections and never answers.
fn no_answer(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let silent = TcpListener::bind("127.0.0.1:0")?; // connections wait there, and nobody takes them
    let port = silent.local_addr()?.port();
    let calls = if setup.is_quick() { 2_000 } else { 100_000 };
    let mut lines = Vec::new();
    for (telling, of, target) in [
        (Telling::File, "friction to a file", Target::AtMost(16.0)),
        (Telling::Collector(port), "a collector that never answers", Target::Stated),
    ] {
        let mut command = setup.sidecar_telling(Judge::Rules, telling, &[])?;
        let Some((idle, after)) = memory::over_many_calls("sidecar", &mut command, setup, calls)?
        else {
            continue;
        };
        let what = |what: &str| format!("memory, {of}, {what}");
        lines.push(amount(what("idle"), idle.resident, Target::Stated));
        lines.push(amount(what(&format!("after {calls} calls, peak")), after.peak, target));
    }
    Ok(lines)
}

fn peer<'a>(name: &'static str, telling: Telling, setup: &'a Setup) -> Result<Peer<'a>, Trouble> {
    Peer::greeted(name, &mut setup.sidecar_telling(Judge::Rules, telling, &[])?, setup)
}

fn line(what: &str, off: Summary, on: Summary, target: Target, of: fn(Summary) -> f64) -> Line {
    Line {
        row: "friction",
        what: what.to_owned(),
        unit: Unit::Microseconds,
        floor: Some(Floor { of: OFF, summary: off }),
        sidecar: on,
        baton: None,
        outcome: Outcome::weigh(target, of(off), of(on)),
        ahead: None,
    }
}

fn amount(what: String, megabytes: f64, target: Target) -> Line {
    Line {
        row: "friction",
        what,
        unit: Unit::Megabytes,
        floor: None,
        sidecar: Summary::single(megabytes),
        baton: None,
        outcome: Outcome::weigh(target, f64::NAN, megabytes),
        ahead: None,
    }
}
