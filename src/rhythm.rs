//! When the next attempt is. Pure: chance comes in as an argument.

use std::time::Duration;

/// The first wait after a failure.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait after a failure: a fleet is back within a minute of its peer.
const LONGEST: Duration = Duration::from_mins(1);
/// The longest `Retry-After` that is honoured: nobody keeps this machine silent for a day.
const MOST_PATIENT: Duration = Duration::from_mins(15);

/// The beat of one task that talks to a peer: the GovAPI, a collector.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rhythm {
    /// How many attempts have failed in a row.
    failures: u32,
}

impl Rhythm {
    /// After a success: the interval, give or take a tenth, so that a fleet that was started at
    /// once does not report at once for ever. `dice` is a random byte.
    pub fn after_success(&mut self, interval: Duration, dice: u8) -> Duration {
        self.failures = 0;
        interval.mul_f64(0.9 + 0.2 * f64::from(dice) / 255.0)
    }

    /// After a failure: 1 s, doubling up to a minute, of which chance takes up to a half; but what
    /// the peer asks for, where that is longer.
    pub fn after_failure(&mut self, retry_after: Option<Duration>, dice: u8) -> Duration {
        let longest = SHORTEST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = longest.mul_f64(1.0 - 0.5 * f64::from(dice) / 255.0);
        retry_after.map_or(wait, |asked| asked.min(MOST_PATIENT).max(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn an_interval_varies_by_a_tenth() {
        let mut rhythm = Rhythm::default();
        for (dice, millis) in [(0, 54_000), (255, 66_000)] {
            let wait = rhythm.after_success(MINUTE, dice);
            assert_eq!(wait.as_millis(), millis, "{dice}");
        }
    }

    #[test]
    fn failures_are_waited_out_longer_and_longer() {
        let mut rhythm = Rhythm::default();
        let waits: Vec<_> = (0..9).map(|_| rhythm.after_failure(None, 0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(rhythm.after_failure(None, 255).as_secs(), 30);
        rhythm.after_success(MINUTE, 0);
        assert_eq!(rhythm.after_failure(None, 0).as_secs(), 1);
    }

    #[test]
    fn retry_after_is_honoured_within_bounds() {
        for (asked, waited) in [(0, 1), (7, 7), (900, 900), (86_400, 900), (u64::MAX, 900)] {
            let asked = Some(Duration::from_secs(asked));
            assert_eq!(Rhythm::default().after_failure(asked, 0).as_secs(), waited);
        }
    }
}
