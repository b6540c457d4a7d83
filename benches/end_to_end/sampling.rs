//! Takes samples of several subjects in turns.

use std::thread;
use std::time::Duration;

use crate::clock::now;
use crate::peer::Peer;
use crate::request::Request;
use crate::stats::Samples;
use crate::trouble::Trouble;

/// Something of which samples are taken.
pub(crate) trait Subject {
    /// Takes one.
    fn sample(&mut self) -> Result<Duration, Trouble>;
}

/// A peer and what it is asked.
pub(crate) struct Exchange<'a>(pub(crate) Peer<'a>, pub(crate) Request);

impl Subject for Exchange<'_> {
    fn sample(&mut self) -> Result<Duration, Trouble> {
        self.0.exchange(&self.1)
    }
}

/// How samples are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Samples of each subject that count.
    pub(crate) samples: usize,
    /// Samples that are taken of one subject before it is the next one's turn.
    pub(crate) block: usize,
    /// Samples at the start of each block that do not count: caches and clocks wake up.
    pub(crate) waking: usize,
    /// Blocks of each subject that do not count.
    pub(crate) warm_up: usize,
    /// The longest one subject is measured; a slow one ends with fewer samples.
    pub(crate) budget: Duration,
}

/// Takes samples of all subjects in alternating blocks. Between two blocks all is quiet for a
/// moment, so that what a subject still does after its answer is not counted for the next one;
/// within a block it is counted for itself.
pub(crate) fn alternate(
    subjects: &mut [&mut dyn Subject],
    plan: Plan,
) -> Result<Vec<Samples>, Trouble> {
    let mut all: Vec<Samples> = subjects.iter().map(|_| Samples::default()).collect();
    let mut spent = vec![Duration::ZERO; subjects.len()];
    let blocks = plan.samples.div_ceil(plan.block) + plan.warm_up;
    for block in 0..blocks {
        for (index, subject) in subjects.iter_mut().enumerate() {
            if spent[index] > plan.budget && all[index].len() > 0 {
                continue;
            }
            thread::sleep(Duration::from_millis(1));
            let start = now();
            for nth in 0..plan.waking + plan.block {
                let sample = subject.sample()?;
                if block >= plan.warm_up && nth >= plan.waking {
                    all[index].push(sample);
                }
            }
            spent[index] += start.elapsed();
        }
    }
    Ok(all)
}
