//! What comes out: a table for people, JSON for programs.

use std::io::{self, Write};
use std::thread;

use serde::Serialize;

use crate::processor;
use crate::setup::Setup;
use crate::stats::Summary;

/// All that was measured in one run.
#[derive(Serialize)]
pub(crate) struct Report {
    date: String,
    quick: bool,
    machine: String,
    processors: usize,
    /// Threads that wanted to run before we came.
    load: Option<f64>,
    sidecar: String,
    lines: Vec<Line>,
}

/// One promise, and what came of it.
#[derive(Serialize)]
pub(crate) struct Line {
    /// The row it belongs to, as in `--rows`.
    pub(crate) row: &'static str,
    /// What is measured.
    pub(crate) what: String,
    /// The unit of all summaries.
    pub(crate) unit: Unit,
    /// What it is measured against; `None` where the number stands for itself.
    pub(crate) floor: Option<Floor>,
    pub(crate) sidecar: Summary,
    pub(crate) baton: Option<Summary>,
    pub(crate) outcome: Outcome,
    /// Whether the sidecar did better than `baton-proxy`, by the figure that the target is about.
    pub(crate) ahead: Option<bool>,
}

/// What it costs without a sidecar.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Floor {
    /// Whose figures these are.
    pub(crate) of: &'static str,
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "µs")]
    Microseconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "calls/s")]
    CallsPerSecond,
    #[serde(rename = "MB")]
    Megabytes,
}

/// A figure, and whether it is as was promised.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Outcome {
    /// What is compared with the target: a ratio, a difference or an amount.
    figure: f64,
    target: Target,
    /// `None` where there is nothing to meet: the number is stated.
    met: Option<bool>,
}

/// What is promised, and in what.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Sidecar ÷ floor, at most.
    RatioAtMost(f64),
    /// Sidecar ÷ floor, at least.
    RatioAtLeast(f64),
    /// Sidecar − floor, at most, in the line's unit.
    MoreAtMost(f64),
    /// An amount, at most, in the line's unit.
    AtMost(f64),
    /// An amount that is stated.
    Stated,
}

// === impl Report ===

impl Report {
    pub(crate) fn new(quick: bool, setup: &Setup) -> Self {
        Self {
            date: jiff::Timestamp::now().to_string(),
            quick,
            machine: processor::machine(),
            processors: thread::available_parallelism().map_or(0, Into::into),
            load: processor::load(),
            sidecar: setup.sidecar_name(),
            lines: Vec::new(),
        }
    }

    /// Prints the table's head.
    pub(crate) fn open(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}; {} processors, {}", self.date, self.processors, self.machine)?;
        writeln!(out, "sidecar: {}", self.sidecar)?;
        if let Some(load) = self.load.filter(|&load| load >= 0.5) {
            writeln!(
                out,
                "others were at work (load {load}): look at ratios only, and at no p99; calls in \
                 flight are not comparable at all, as two threads then get twice the time of one"
            )?;
        }
        if self.quick {
            writeln!(out, "quick: too few samples to conclude anything from")?;
        }
        writeln!(
            out,
            "times are p50 / p99; friction events are written in the rows that say so\n"
        )?;
        writeln!(
            out,
            "{:<52} {:>19} {:>19} {:<7} {:>9} {:>9} {:<6} baton-proxy",
            "what", "floor", "sidecar", "", "measured", "target", ""
        )
    }

    /// Adds lines and prints them.
    pub(crate) fn add(&mut self, lines: Vec<Line>, out: &mut impl Write) -> io::Result<()> {
        for line in &lines {
            line.print(out)?;
        }
        out.flush()?;
        self.lines.extend(lines);
        Ok(())
    }

    /// Prints what it comes to.
    pub(crate) fn close(&self, out: &mut impl Write) -> io::Result<()> {
        let promised = self.lines.iter().filter_map(|line| line.outcome.met);
        let met = promised.clone().filter(|&met| met).count();
        write!(out, "\n{met} of {} targets met", promised.count())?;
        let compared = self.lines.iter().filter_map(|line| line.ahead);
        let ahead = compared.clone().filter(|&ahead| ahead).count();
        match compared.count() {
            0 => writeln!(out, "; not compared with baton-proxy"),
            all => writeln!(out, "; ahead of baton-proxy in {ahead} of {all}"),
        }
    }

    pub(crate) fn json(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

// === impl Line ===

impl Line {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let pair = |summary: Option<Summary>| {
            summary.map_or_else(|| "-".to_owned(), |summary| self.unit.write(summary))
        };
        let (mark, limit) = match self.outcome.target {
            Target::RatioAtMost(limit) => ("×", format!("≤ {limit:.2} ×")),
            Target::RatioAtLeast(limit) => ("×", format!("≥ {limit:.2} ×")),
            Target::MoreAtMost(limit) => (self.unit.word(), format!("≤ +{limit:.0}")),
            Target::AtMost(limit) => (self.unit.word(), format!("≤ {limit:.0}")),
            Target::Stated => (self.unit.word(), "stated".to_owned()),
        };
        let verdict = match self.outcome.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let ahead = match self.ahead {
            Some(true) => " (ahead)",
            Some(false) => " (BEHIND)",
            None => "",
        };
        writeln!(
            out,
            "{:<52} {:>19} {:>19} {:<7} {:>9} {limit:>9} {verdict:<6} {}{ahead}",
            self.what,
            pair(self.floor.map(|floor| floor.summary)),
            pair(Some(self.sidecar)),
            self.unit.word(),
            format!("{:.2} {}", self.outcome.figure, if mark == "×" { mark } else { "" }).trim(),
            pair(self.baton),
        )
    }
}

// === impl Unit ===

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::CallsPerSecond => "calls/s",
            Self::Megabytes => "MB",
        }
    }

    fn write(self, summary: Summary) -> String {
        match self {
            Self::Microseconds => format!("{:.1} / {:.1}", summary.p50, summary.p99),
            Self::Milliseconds => format!("{:.2} / {:.2}", summary.p50, summary.p99),
            Self::CallsPerSecond => format!("{:.0}", summary.p50),
            Self::Megabytes => format!("{:.1}", summary.p50),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Weighs the sidecar's figure against its target.
    pub(crate) fn weigh(target: Target, floor: f64, sidecar: f64) -> Self {
        let (figure, met) = match target {
            Target::RatioAtMost(limit) => (sidecar / floor, Some(sidecar / floor <= limit)),
            Target::RatioAtLeast(limit) => (sidecar / floor, Some(sidecar / floor >= limit)),
            Target::MoreAtMost(limit) => (sidecar - floor, Some(sidecar - floor <= limit)),
            Target::AtMost(limit) => (sidecar, Some(sidecar <= limit)),
            Target::Stated => (sidecar, None),
        };
        Self { figure, target, met }
    }
}
