//! The time axis of a timeline: where in 0 to 100 a moment lies.
//!
//! Agents call for milliseconds and think for minutes. Time in which no call runs is shortened to a
//! bound that grows with the time in which one does, so that a long pause does not press everything
//! else into a few pixels. Within what is left the axis is linear, and moments keep their order.

/// The shortest bound for idle time, in milliseconds.
const LEAST: u64 = 250;

/// Where moments lie.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Moments, and how much shown time lies before each; both rise.
    knots: Vec<(u64, u64)>,
    /// Idle times that were shortened: from, to.
    pub(super) pauses: Vec<(u64, u64)>,
}

impl Axis {
    /// An axis for what lasted from and to, in milliseconds, over a session that lasted so long.
    pub(super) fn of(mut spans: Vec<(u64, u64)>, lasted: u64) -> Self {
        spans.sort_unstable();
        // Idle times are between the ends of all before and the next beginning.
        let (mut idle, mut busy_until) = (Vec::new(), 0);
        for (from, to) in spans {
            if from > busy_until {
                idle.push((busy_until, from));
            }
            busy_until = busy_until.max(to);
        }
        if lasted > busy_until {
            idle.push((busy_until, lasted));
        }
        let end = busy_until.max(lasted);
        let all: u64 = idle.iter().map(|(from, to)| to - from).sum();
        let bound = ((end - all) / 8).max(LEAST);

        let mut axis = Self { knots: vec![(0, 0)], pauses: Vec::new() };
        let mut cut = 0;
        for (from, to) in idle {
            let over = (to - from).saturating_sub(bound);
            if over > 0 {
                axis.knots.push((from, from - cut));
                cut += over;
                axis.knots.push((to, to - cut));
                axis.pauses.push((from, to));
            }
        }
        axis.knots.push((end, end - cut));
        axis
    }

    /// Where a moment lies: 0 to 100.
    pub(super) fn place(&self, at: u64) -> f64 {
        let whole = self.knots.last().map_or(0, |knot| knot.1);
        if whole == 0 {
            return 0.0;
        }
        let next = self.knots.partition_point(|knot| knot.0 < at);
        let shown = match (next.checked_sub(1).map(|last| self.knots[last]), self.knots.get(next)) {
            (_, None) => ratio(whole),
            (None, Some(knot)) => ratio(knot.1),
            (Some(last), Some(knot)) => {
                let part = ratio(at - last.0) / ratio(knot.0 - last.0);
                ratio(last.1) + part * ratio(knot.1 - last.1)
            }
        };
        100.0 * shown / ratio(whole)
    }

    /// The moment that lies at so many of 100 parts.
    pub(super) fn moment(&self, percent: u64) -> u64 {
        let whole = self.knots.last().map_or(0, |knot| knot.1);
        let shown = whole / 100 * percent + whole % 100 * percent / 100;
        let next = self.knots.partition_point(|knot| knot.1 < shown);
        match (next.checked_sub(1).map(|last| self.knots[last]), self.knots.get(next)) {
            (_, None) => self.knots.last().map_or(0, |knot| knot.0),
            (None, Some(knot)) => knot.0,
            (Some(last), Some(knot)) => {
                let part = u128::from(shown - last.1) * u128::from(knot.0 - last.0);
                last.0 + u64::try_from(part / u128::from(knot.1 - last.1)).unwrap_or(0)
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it becomes a place on a screen")]
fn ratio(ms: u64) -> f64 {
    ms as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(axis: &Axis, moments: &[u64]) -> Vec<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "0 to 100")]
        moments.iter().map(|at| axis.place(*at).round() as i64).collect()
    }

    #[test]
    fn busy_time_is_linear_and_long_pauses_are_shortened() {
        let dense = Axis::of(vec![(0, 50), (50, 100)], 100);
        assert_eq!(places(&dense, &[0, 25, 50, 100, 200]), [0, 25, 50, 100, 100]);
        assert_eq!(dense.pauses, []);
        // A second, an hour of nothing, a second: 1000 + 250 + 1000.
        let hour = 3_600_000;
        let paused = Axis::of(vec![(0, 1000), (hour, hour + 1000)], hour + 1000);
        assert_eq!(paused.pauses, [(1000, hour)]);
        assert_eq!(places(&paused, &[0, 1000, hour, hour + 1000]), [0, 44, 56, 100]);
        // Nothing at all.
        assert_eq!(places(&Axis::of(vec![], 0), &[0, 7]), [0, 0]);
        assert_eq!(places(&Axis::of(vec![(0, 0)], 0), &[0]), [0]);
        assert_eq!(places(&Axis::of(vec![], 1000), &[0, 1000]), [0, 100]);
    }

    proptest! {
        #[test]
        fn moments_keep_their_order(
            spans in prop::collection::vec((0..10_000_000_u64, 0..100_000_u64), 0..20),
            mut moments in prop::collection::vec(0..10_200_000_u64, 2..20),
        ) {
            let spans: Vec<_> = spans.into_iter().map(|(from, took)| (from, from + took)).collect();
            let lasted = spans.iter().map(|span| span.1).max().unwrap_or(0);
            let axis = Axis::of(spans, lasted);
            moments.sort_unstable();
            let ticks: Vec<_> = (0..=100).map(|percent| axis.moment(percent)).collect();
            prop_assert!(ticks.is_sorted() && ticks[100] == lasted);
            let places: Vec<_> = moments.iter().map(|at| axis.place(*at)).collect();
            prop_assert!(places.is_sorted());
            prop_assert!(places.iter().all(|place| (0.0..=100.0).contains(place)));
        }
    }
}
