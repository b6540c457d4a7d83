//! One request at a time, on one processor: from writing its line to having read its answer.

use std::process::Command;
use std::time::Duration;

use crate::https::Https;
use crate::peer::Peer;
use crate::processor::Pinned;
use crate::report::{Floor, Line, Outcome, Target, Unit};
use crate::request::Request;
use crate::sampling::{Exchange, Plan, Subject, alternate};
use crate::setup::{Judge, Setup};
use crate::stats::Summary;
use crate::trouble::Trouble;

const MICROSECOND: Duration = Duration::from_micros(1);
const MEGABYTE: &str = "1000000";

/// What is sent through all subjects, and to what server.
struct Course {
    row: &'static str,
    request: Request,
    server: &'static [&'static str],
    plan: Plan,
}

/// What the subjects of a course took.
struct Times {
    floor: Floor,
    sidecar: Summary,
    baton: Option<Summary>,
}

/// A line that nobody decides about.
pub(super) fn ungoverned(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let course =
        Course { row: "ungoverned", request: Request::ping(), server: &[], plan: small(setup) };
    let times = course.run(setup)?;
    Ok(vec![times.p50(&course, "ungoverned line (ping), p50", Target::RatioAtMost(1.5))])
}

/// A call that 100 local rules decide about, and that is written to the journal.
pub(super) fn governed(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let course =
        Course { row: "governed", request: Request::read_file(), server: &[], plan: small(setup) };
    let times = course.run(setup)?;
    let what = "governed call, 100 local rules, journal on";
    Ok(vec![
        times.p50(&course, &format!("{what}, p50"), Target::RatioAtMost(3.0)),
        times.p99(&course, &format!("{what}, p99"), Target::RatioAtMost(3.0)),
    ])
}

/// A call that a remote enforcer decides about, beside a relay and a bare HTTPS exchange.
pub(super) fn enforcer(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let _one = Pinned::to_one();
    let enforcer = setup.enforcer(&[])?;
    let mut bare = Https::connect(&enforcer.facts)?;
    let course =
        Course { row: "enforcer", request: Request::read_file(), server: &[], plan: small(setup) };
    let judge = Judge::Enforcer(&enforcer.facts);
    let (relayed, asked) = course.beside(&mut [&mut bare], judge, None, setup)?;
    let [bare] = asked[..] else {
        unreachable!("one was asked");
    };
    let times = Times {
        floor: Floor { of: "relay and bare HTTPS", summary: relayed.floor.summary.and_then(bare) },
        ..relayed
    };
    let what = "governed call, warm pinned TLS to an enforcer, p50";
    Ok(vec![times.p50(&course, what, Target::RatioAtMost(1.5))])
}

/// A megabyte in, and a megabyte out; both are judged by the same 100 rules.
pub(super) fn large(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let plan = Plan {
        samples: setup.full_or_quick(400, 10),
        block: 5,
        waking: 1,
        warm_up: 1,
        budget: Duration::from_secs(10),
    };
    let course = |request, server| Course { row: "large", request, server, plan };
    let argument = course(Request::write_file(1_000_000), &[]);
    let result = course(Request::read_file(), &["--result-bytes", MEGABYTE]);
    let target = Target::RatioAtMost(2.0);
    Ok(vec![
        argument.run(setup)?.p50(&argument, "governed call, 1 MB argument, p50", target),
        result.run(setup)?.p50(&result, "governed call, 1 MB result, p50", target),
    ])
}

/// How small requests are sampled.
pub(super) fn small(setup: &Setup) -> Plan {
    Plan {
        samples: setup.full_or_quick(10_000, 200),
        block: 100,
        waking: 5,
        warm_up: 3,
        budget: Duration::from_secs(10),
    }
}

// === impl Course ===

impl Course {
    /// Decided by the rules, and beside `baton-proxy` where there is one.
    fn run(&self, setup: &Setup) -> Result<Times, Trouble> {
        let _one = Pinned::to_one();
        let baton = setup.baton(self.server);
        let (times, _) = self.beside(&mut [], Judge::Rules, baton, setup)?;
        Ok(times)
    }

    /// Measures the relays, the sidecar and `baton`, in turns with these others.
    fn beside(
        &self,
        others: &mut [&mut dyn Subject],
        judge: Judge<'_>,
        baton: Option<Command>,
        setup: &Setup,
    ) -> Result<(Times, Vec<Summary>), Trouble> {
        let mut commands = setup.relays(self.server);
        let relays = commands.len();
        commands.push(("sidecar", setup.sidecar(judge, self.server)?));
        commands.extend(baton.map(|command| ("baton-proxy", command)));

        let mut exchanges = Vec::new();
        for (name, command) in &mut commands {
            let peer = Peer::greeted(name, command, setup)?;
            exchanges.push(Exchange(peer, self.request.clone()));
        }
        let mut subjects: Vec<&mut dyn Subject> = Vec::new();
        for exchange in &mut exchanges {
            subjects.push(exchange);
        }
        for other in others {
            subjects.push(*other);
        }
        let samples = alternate(&mut subjects, self.plan)?;
        for exchange in exchanges {
            exchange.0.stop()?;
        }

        let mut summaries: Vec<Summary> =
            samples.into_iter().map(|samples| samples.summary(MICROSECOND)).collect();
        let others = summaries.split_off(commands.len());
        let floor = commands
            .iter()
            .zip(&summaries[..relays])
            .map(|(&(of, _), &summary)| Floor { of, summary })
            .min_by(|a, b| a.summary.p50.total_cmp(&b.summary.p50));
        let times = Times {
            floor: floor.unwrap_or_else(|| unreachable!("there is a relay")),
            sidecar: summaries[relays],
            baton: summaries.get(relays + 1).copied(),
        };
        Ok((times, others))
    }
}

// === impl Times ===

impl Times {
    fn p50(&self, course: &Course, what: &str, target: Target) -> Line {
        self.line(course, what, target, |summary| summary.p50)
    }

    fn p99(&self, course: &Course, what: &str, target: Target) -> Line {
        self.line(course, what, target, |summary| summary.p99)
    }

    fn line(&self, course: &Course, what: &str, target: Target, of: fn(Summary) -> f64) -> Line {
        Line {
            row: course.row,
            what: what.to_owned(),
            unit: Unit::Microseconds,
            floor: Some(self.floor),
            sidecar: self.sidecar,
            baton: self.baton,
            outcome: Outcome::weigh(target, of(self.floor.summary), of(self.sidecar)),
            ahead: self.baton.map(|baton| of(self.sidecar) < of(baton)),
        }
    }
}
