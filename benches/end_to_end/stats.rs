//! Samples, and what is said about them.

use std::time::Duration;

use serde::Serialize;

/// Times of one kind, in the order they were taken.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

/// What is said about samples. All figures have the unit that [`Samples::summary`] was given.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) samples: usize,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

// === impl Samples ===

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Nearest-rank percentiles, counted in `unit`s. Without samples, all figures are NaN.
    pub(crate) fn summary(mut self, unit: Duration) -> Summary {
        self.0.sort_unstable();
        let rank = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100).max(1);
            let sample = self.0.get(rank - 1);
            sample.map_or(f64::NAN, |sample| sample.div_duration_f64(unit))
        };
        Summary { samples: self.0.len(), min: rank(0), p50: rank(50), p99: rank(99) }
    }
}

// === impl Summary ===

impl Summary {
    /// A figure that was taken once.
    pub(crate) fn single(figure: f64) -> Self {
        Self { samples: 1, min: figure, p50: figure, p99: figure }
    }

    /// What two things take that are done one after the other, percentile by percentile.
    pub(crate) fn and_then(self, next: Self) -> Self {
        Self {
            samples: self.samples.min(next.samples),
            min: self.min + next.min,
            p50: self.p50 + next.p50,
            p99: self.p99 + next.p99,
        }
    }

    /// Of rates, where more is better: `p99` is the rate that 99 % reach.
    pub(crate) fn of_rates(mut rates: Vec<f64>) -> Self {
        rates.sort_unstable_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (rates.len() * percent).div_ceil(100).max(1);
            rates.get(rank - 1).copied().unwrap_or(f64::NAN)
        };
        Self { samples: rates.len(), min: rank(0), p50: rank(50), p99: rank(1) }
    }
}
