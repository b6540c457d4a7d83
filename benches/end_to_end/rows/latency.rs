//! One request at a time, on one processor: from writing its line to having read its answer.

use std::time::Duration;

use crate::https::Https;
use crate::peer::{Exchange, Peer, Plan, Subject, alternate};
use crate::processor::Pinned;
use crate::report::{Line, Outcome, Target, Unit};
use crate::request::Request;
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
    floor: Summary,
    sidecar: Summary,
    baton: Option<Summary>,
}

/// A line that nobody decides about.
pub(super) fn ungoverned(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let course = Course {
        row: "ungoverned",
        request: Request::ping(),
        server: &[],
        plan: small(setup),
    };
    let times = course.run(setup)?;
    Ok(vec![times.p50(
        &course,
        "ungoverned line (ping), p50",
        Target::RatioAtMost(1.5),
    )])
}

/// A call that 100 local rules decide about, and that is written to the journal.
pub(super) fn governed(setup: &Setup) -> Result<Vec<Line>, Trouble> {
    let course = Course {
        row: "governed",
        request: Request::read_file(),
        server: &[],
        plan: small(setup),
    };
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
    let judge = Judge::Enforcer(&enforcer.facts);
    let request = Request::read_file();
    let relay = Peer::greeted("relay", &mut setup.relay(&[]), setup)?;
    let sidecar = Peer::greeted("sidecar", &mut setup.sidecar(judge, &[])?, setup)?;
    let mut relay = Exchange(relay, request.clone());
    let mut sidecar = Exchange(sidecar, request);
    let samples = alternate(&mut [&mut relay, &mut bare, &mut sidecar], small(setup))?;
    relay.0.stop()?;
    sidecar.0.stop()?;

    let summaries: Vec<Summary> = samples
        .into_iter()
        .map(|samples| samples.summary(MICROSECOND))
        .collect();
    let [relay, bare, sidecar] = summaries[..] else {
        unreachable!("there are as many summaries as subjects");
    };
    let floor = relay.and_then(bare);
    Ok(vec![Line {
        row: "enforcer",
        what: "governed call, warm pinned TLS to an enforcer, p50".to_owned(),
        unit: Unit::Microseconds,
        floor: Some(floor),
        sidecar,
        baton: None,
        outcome: Outcome::weigh(Target::RatioAtMost(1.5), floor.p50, sidecar.p50),
        ahead: None,
    }])
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
    let course = |request, server| Course {
        row: "large",
        request,
        server,
        plan,
    };
    let argument = course(Request::write_file(1_000_000), &[]);
    let result = course(Request::read_file(), &["--result-bytes", MEGABYTE]);
    let target = Target::RatioAtMost(2.0);
    Ok(vec![
        argument
            .run(setup)?
            .p50(&argument, "governed call, 1 MB argument, p50", target),
        result
            .run(setup)?
            .p50(&result, "governed call, 1 MB result, p50", target),
    ])
}

/// How small requests are sampled.
fn small(setup: &Setup) -> Plan {
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
    fn run(&self, setup: &Setup) -> Result<Times, Trouble> {
        let _one = Pinned::to_one();
        let mut floor = setup.relay(self.server);
        let mut sidecar = setup.sidecar(Judge::Rules, self.server)?;
        let mut peers = vec![
            Peer::greeted("relay", &mut floor, setup)?,
            Peer::greeted("sidecar", &mut sidecar, setup)?,
        ];
        if let Some(mut baton) = setup.baton(self.server) {
            peers.push(Peer::greeted("baton-proxy", &mut baton, setup)?);
        }
        let mut exchanges: Vec<Exchange<'_>> = peers
            .into_iter()
            .map(|peer| Exchange(peer, self.request.clone()))
            .collect();
        let mut subjects: Vec<&mut dyn Subject> = exchanges
            .iter_mut()
            .map(|exchange| -> &mut dyn Subject { exchange })
            .collect();
        let samples = alternate(&mut subjects, self.plan)?;
        for exchange in exchanges {
            exchange.0.stop()?;
        }
        let summaries: Vec<Summary> = samples
            .into_iter()
            .map(|samples| samples.summary(MICROSECOND))
            .collect();
        let [floor, sidecar, rest @ ..] = &summaries[..] else {
            unreachable!("there are as many summaries as subjects");
        };
        Ok(Times {
            floor: *floor,
            sidecar: *sidecar,
            baton: rest.first().copied(),
        })
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
            outcome: Outcome::weigh(target, of(self.floor), of(self.sidecar)),
            ahead: self.baton.map(|baton| of(self.sidecar) < of(baton)),
        }
    }
}
