//! What comes out: a table for people, JSON for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::stats::Summary;

/// All that was measured in one run.
#[derive(Serialize)]
pub(crate) struct Report {
    date: String,
    quick: bool,
    processors: usize,
    /// How many threads wanted to run before we came, where the system says.
    load: Option<f64>,
    lines: Vec<Line>,
}

/// One promise, and what came of it.
#[derive(Serialize)]
pub(crate) struct Line {
    /// The row it belongs to, as in `--rows`.
    pub(crate) row: &'static str,
    /// What is measured.
    pub(crate) what: String,
    /// The unit of all figures.
    pub(crate) unit: &'static str,
    /// The same without caller, rules and record.
    pub(crate) floor: Option<Summary>,
    pub(crate) measured: Summary,
    pub(crate) target: Target,
    /// `None` where there is nothing to meet.
    pub(crate) met: Option<bool>,
    /// What else is worth knowing, with its unit.
    pub(crate) beside: Vec<(&'static str, f64)>,
}

/// What is promised, in the line's unit.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The median, at least.
    AtLeast(f64),
    /// The 99th percentile, at most.
    P99AtMost(f64),
    /// The median, less than.
    Below(f64),
    /// A figure that is stated.
    Stated,
}

// === impl Line ===

impl Line {
    pub(crate) fn new(
        row: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        measured: Summary,
        target: Target,
    ) -> Self {
        let met = match target {
            Target::AtLeast(least) => Some(measured.p50 >= least),
            Target::P99AtMost(most) => Some(measured.p99 <= most),
            Target::Below(most) => Some(measured.p50 < most),
            Target::Stated => None,
        };
        Self {
            row,
            what: what.into(),
            unit,
            floor: None,
            measured,
            target,
            met,
            beside: Vec::new(),
        }
    }

    pub(crate) fn with_floor(self, floor: Summary) -> Self {
        Self { floor: Some(floor), ..self }
    }

    pub(crate) fn beside(mut self, what: &'static str, figure: f64) -> Self {
        self.beside.push((what, figure));
        self
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(quick: bool) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        Self {
            date: jiff::Timestamp::now().to_string(),
            quick,
            processors: std::thread::available_parallelism().map_or(0, Into::into),
            load: load.and_then(|load| load.split(' ').next()?.parse().ok()),
            lines: Vec::new(),
        }
    }

    /// Prints the table's head.
    pub(crate) fn open(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}; {} processors", self.date, self.processors)?;
        if let Some(load) = self.load.filter(|&load| load >= 0.5) {
            writeln!(out, "others were at work (load {load}): look at ratios only, and at no p99")?;
        }
        if self.quick {
            writeln!(out, "quick: too few samples to conclude anything from")?;
        }
        writeln!(
            out,
            "figures are p50 / p99; of rates, what half and 99 % of the blocks reached\n"
        )?;
        writeln!(
            out,
            "{:<56} {:>19} {:>19} {:<9} {:>5} {:>9}",
            "what", "floor", "measured", "", "ratio", "target"
        )
    }

    /// Adds a line and prints it.
    pub(crate) fn add(&mut self, line: Line, out: &mut impl Write) -> io::Result<()> {
        let pair = |figures: Summary| {
            if figures.samples > 1 {
                format!("{:.1} / {:.1}", figures.p50, figures.p99)
            } else {
                format!("{:.1}", figures.p50)
            }
        };
        let ratio = line.floor.map(|floor| format!("{:.2}", line.measured.p50 / floor.p50));
        let target = match line.target {
            Target::AtLeast(least) => format!("≥ {least}"),
            Target::P99AtMost(most) => format!("≤ {most}"),
            Target::Below(most) => format!("< {most}"),
            Target::Stated => String::new(),
        };
        let met = match line.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        writeln!(
            out,
            "{:<56} {:>19} {:>19} {:<9} {:>5} {:>9} {met}",
            line.what,
            line.floor.map(pair).unwrap_or_default(),
            pair(line.measured),
            line.unit,
            ratio.unwrap_or_default(),
            target,
        )?;
        for (what, figure) in &line.beside {
            writeln!(out, "    {what}: {figure:.2}")?;
        }
        out.flush()?;
        self.lines.push(line);
        Ok(())
    }

    pub(crate) fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
