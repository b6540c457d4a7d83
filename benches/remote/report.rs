//! What comes out: a table for people, JSON for programs.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

/// Times of one kind.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

/// What is said about them, in µs.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Summary {
    p50: f64,
    p99: f64,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    what: &'static str,
    unit: &'static str,
    bare: Option<Summary>,
    sidecar: Summary,
    /// Sidecar ÷ bare by their p50, or the amount itself.
    figure: f64,
    target: Option<f64>,
    met: Option<bool>,
}

// === impl Samples ===

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Nearest-rank percentiles.
    pub(crate) fn summary(mut self) -> Summary {
        self.0.sort_unstable();
        let rank = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100).max(1);
            self.0.get(rank - 1).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e6)
        };
        Summary { p50: rank(50), p99: rank(99) }
    }
}

// === impl Row ===

impl Row {
    pub(crate) fn ratio(what: &'static str, bare: &Summary, sidecar: &Summary) -> Self {
        let figure = sidecar.p50 / bare.p50;
        let (target, met) = (Some(1.5), Some(figure <= 1.5));
        Self { what, unit: "µs", bare: Some(*bare), sidecar: *sidecar, figure, target, met }
    }

    pub(crate) fn memory(
        what: &'static str,
        amount: Option<f64>,
        target: Option<f64>,
    ) -> Option<Self> {
        let figure = amount?;
        let met = target.map(|target| figure <= target);
        let sidecar = Summary { p50: figure, p99: figure };
        Some(Self { what, unit: "MB", bare: None, sidecar, figure, target, met })
    }
}

pub(crate) fn print(rows: &[Row], quick: bool, out: &mut impl Write) -> io::Result<()> {
    if quick {
        writeln!(out, "quick: too few samples to conclude anything from")?;
    }
    writeln!(
        out,
        "{:<30} {:>18} {:>18} {:>8} {:>8}",
        "", "bare p50/p99", "thoth p50/p99", "figure", "target"
    )?;
    for row in rows {
        let pair =
            |summary: &Summary| format!("{:.0} / {:.0} {}", summary.p50, summary.p99, row.unit);
        let met = match row.met {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        writeln!(
            out,
            "{:<30} {:>18} {:>18} {:>8.2} {:>8} {met}",
            row.what,
            row.bare.as_ref().map(pair).unwrap_or_default(),
            pair(&row.sidecar),
            row.figure,
            row.target.map(|target| format!("≤ {target}")).unwrap_or_default(),
        )?;
    }
    Ok(())
}
