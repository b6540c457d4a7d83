//! When to look at a hold again, and when to stop.
//!
//! Pure: the time and the dice are arguments. The shell looks; this says what the look means and
//! when the next one is due.
//!
//! # Invariants
//!
//! - Looking ends: with an answer, a refusal, or the deadline, which never moves back.
//! - A `Retry-After` is never undercut, and an enforcer that asks for ever more looks does not get
//!   them: see [`SHORTEST`].

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::outcome::Look;
use super::wire::Standing;
use crate::gate::verdict::{Hold, Verdict};

/// How often a hold is looked at where the enforcer does not say.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// How long a hold is waited for where the enforcer does not say.
const KEPT_OPEN: Duration = Duration::from_secs(15 * 60);
/// The shortest interval between two looks that an enforcer can ask for.
const SHORTEST: Duration = Duration::from_millis(100);
/// No wait is longer, whoever asks for it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Trouble doubles the interval this many times at most.
const DOUBLINGS: u32 = 3;
/// After so many looks in a row at which the enforcer knew no such hold, there is none.
const UNKNOWN_LIMIT: u32 = 3;

/// A hold that is being looked at.
#[derive(Debug)]
pub(super) struct Watch {
    deadline: Instant,
    interval: Duration,
    /// Looks in a row that came to nothing.
    troubles: u32,
    /// Looks in a row at which the hold was unknown.
    unknown: u32,
}

/// What to do after a look.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Look again at this time.
    At(Instant),
    /// Stop: this is the answer.
    Over(Box<Verdict>),
}

/// One moment, on both clocks, and a throw of the dice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
    /// Evenly spread; makes the jitter.
    pub(super) dice: u8,
}

// === impl Watch ===

impl Watch {
    /// Begins to watch a hold, for at most `longest` (and a day), with one look at least: an `expires_at` that
    /// is past by this machine's clock still leaves `grace` for it.
    pub(super) fn new(
        hold: &Hold,
        longest: Duration,
        interval: Duration,
        grace: Duration,
        moment: Moment,
    ) -> Self {
        let kept_open = hold.timeout.unwrap_or(KEPT_OPEN).min(longest).min(LONGEST);
        let mut watch =
            Self { deadline: moment.now + kept_open, interval, troubles: 0, unknown: 0 };
        if let Some(expires_at) = &hold.expires_at {
            watch.expire(expires_at, grace, moment);
        }
        watch
    }

    /// When to give up.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes in what a look has shown.
    pub(super) fn saw(&mut self, look: Look, moment: Moment) -> Next {
        let (troubles, unknown) = (self.troubles + 1, self.unknown + 1);
        (self.troubles, self.unknown) = (0, 0);
        let not_before = match look {
            Look::Refused(verdict) | Look::Standing(Standing::Final(verdict), _) => {
                return Next::Over(verdict);
            }
            Look::Standing(Standing::Pending(hint), after) => {
                if let Some(interval) = hint.interval {
                    self.interval = interval.clamp(SHORTEST, LONGEST);
                }
                if let Some(expires_at) = &hint.expires_at {
                    self.expire(expires_at, Duration::ZERO, moment);
                }
                after
            }
            Look::Standing(Standing::Unclear, after) | Look::Trouble(after) => {
                self.troubles = troubles;
                after
            }
            Look::Unknown if unknown == UNKNOWN_LIMIT => {
                return Next::Over(Box::new(Verdict::block(
                    "hold_unknown",
                    "the enforcer no longer knows the hold that a person was to answer",
                )));
            }
            Look::Unknown => {
                self.unknown = unknown;
                None
            }
        };
        let interval = self.interval * 2_u32.pow(self.troubles.min(DOUBLINGS));
        let wait = match not_before {
            Some(after) => after.min(LONGEST).max(interval) + spread(interval, moment.dice) / 2,
            None => interval * 4 / 5 + spread(interval, moment.dice),
        };
        Next::At(moment.now + wait)
    }

    fn expire(&mut self, expires_at: &str, grace: Duration, moment: Moment) {
        let Ok(expires_at) = expires_at.parse::<Timestamp>() else {
            return; // the other limits hold
        };
        let left = Duration::try_from(expires_at.duration_since(moment.wall)).unwrap_or_default();
        self.deadline = self.deadline.min(moment.now + left.max(grace));
    }
}

/// Up to two fifths of the interval: the width of ±20 %.
fn spread(interval: Duration, dice: u8) -> Duration {
    interval * 2 / 5 * u32::from(dice) / u32::from(u8::MAX)
}

/// The verdict where the deadline has passed.
pub(super) fn timed_out(waited: Duration) -> Verdict {
    Verdict::block(
        "step_up_timeout",
        &format!("nobody approved the call within {} s", waited.as_secs()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforcer::wire::Hint;
    use crate::gate::verdict::Keeper;

    const GRACE: Duration = Duration::from_secs(5);

    fn moment(dice: u8) -> Moment {
        Moment { now: Instant::now(), wall: "2026-11-21T10:00:00Z".parse().unwrap(), dice }
    }

    fn hold(timeout: Option<u64>, expires_at: Option<&str>) -> Hold {
        Hold {
            token: "h".to_owned(),
            approval_url: None,
            expires_at: expires_at.map(str::to_owned),
            timeout: timeout.map(Duration::from_secs),
            keeper: Keeper::Enforcer,
        }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn pending(interval: Option<f64>, after: Option<u64>) -> Look {
        let hint = Hint { interval: interval.map(seconds), expires_at: None };
        Look::Standing(Standing::Pending(hint), after.map(Duration::from_secs))
    }

    #[test]
    fn the_shortest_limit_counts() {
        for (timeout, longest, expires_at, expected) in [
            (None, 3600, None, 900),
            (None, 60, None, 60),
            (Some(30), 60, None, 30),
            (Some(90), 60, None, 60),
            (Some(90), 3600, Some("2026-11-21T10:00:20Z"), 20),
            (Some(90), 3600, Some("2026-11-21T11:00:20+01:00"), 20),
            (Some(90), 3600, Some("2026-11-21T10:10:00Z"), 90),
            (Some(90), 3600, Some("2026-11-21T09:00:00Z"), 5), // one look all the same
            (Some(3), 3600, Some("2026-11-21T09:00:00Z"), 3),
            (Some(90), 3600, Some("soon"), 90),
        ] {
            let moment = moment(0);
            let longest = Duration::from_secs(longest);
            let hold = hold(timeout, expires_at);
            let watch = Watch::new(&hold, longest, INTERVAL, GRACE, moment);
            assert_eq!(
                watch.deadline() - moment.now,
                Duration::from_secs(expected),
                "{hold:?} {longest:?}"
            );
        }
    }

    #[test]
    fn when_the_next_look_is_due() {
        for (dice, look, expected) in [
            (0, pending(None, None), 1.6),
            (255, pending(None, None), 2.4),
            (0, pending(Some(10.0), None), 8.0),
            (255, pending(Some(10.0), None), 12.0),
            (0, pending(Some(0.0), None), 0.08),
            (0, pending(None, Some(1)), 2.0),
            (0, pending(None, Some(30)), 30.0),
            (255, pending(None, Some(30)), 30.4),
            (0, Look::Trouble(None), 3.2),
            (0, Look::Trouble(Some(seconds(30.0))), 30.0),
            (0, Look::Standing(Standing::Unclear, None), 3.2),
            (0, Look::Unknown, 1.6),
        ] {
            let row = format!("{dice} {look:?}");
            let moment = moment(dice);
            let mut watch = Watch::new(&hold(None, None), KEPT_OPEN, INTERVAL, GRACE, moment);
            let Next::At(due) = watch.saw(look, moment) else {
                panic!("{row}");
            };
            assert_eq!(due - moment.now, seconds(expected), "{row}");
        }
    }

    #[test]
    fn absurd_times_are_cut_short() {
        let moment = moment(255);
        let forever =
            Hold { timeout: Some(Duration::MAX), ..hold(None, Some("9999-01-01T00:00:00Z")) };
        let mut watch = Watch::new(&forever, Duration::MAX, INTERVAL, GRACE, moment);
        assert_eq!(watch.deadline() - moment.now, LONGEST);
        for _ in 0..4 {
            for look in [
                pending(Some(1e18), None),
                pending(None, Some(u64::MAX)),
                Look::Trouble(Some(Duration::MAX)),
            ] {
                assert!(matches!(watch.saw(look, moment), Next::At(_)));
            }
        }
    }

    #[test]
    fn trouble_slows_down_and_is_forgotten() {
        let moment = moment(0);
        let mut watch = Watch::new(&hold(None, None), KEPT_OPEN, INTERVAL, GRACE, moment);
        let mut due = |look| match watch.saw(look, moment) {
            Next::At(due) => due - moment.now,
            Next::Over(verdict) => panic!("{verdict:?}"),
        };
        let waits: Vec<_> = (0..5).map(|_| due(Look::Trouble(None))).collect();
        assert_eq!(waits, [3.2, 6.4, 12.8, 12.8, 12.8].map(seconds));
        assert_eq!(due(pending(None, None)), seconds(1.6));
        assert_eq!(due(Look::Trouble(None)), seconds(3.2));
    }

    #[test]
    fn a_hold_nobody_knows_three_times_in_a_row_is_gone() {
        let moment = moment(0);
        let mut watch = Watch::new(&hold(None, None), KEPT_OPEN, INTERVAL, GRACE, moment);
        for look in
            [Look::Unknown, Look::Unknown, Look::Trouble(None), Look::Unknown, Look::Unknown]
        {
            assert!(matches!(watch.saw(look, moment), Next::At(_)));
        }
        let Next::Over(verdict) = watch.saw(Look::Unknown, moment) else {
            panic!("still looking");
        };
        assert_eq!(verdict.grounds.reason_code.as_deref(), Some("hold_unknown"));
    }

    #[test]
    fn an_answer_ends_it() {
        let moment = moment(0);
        let mut watch = Watch::new(&hold(None, None), KEPT_OPEN, INTERVAL, GRACE, moment);
        let allow = Box::new(Verdict::allow());
        let look = Look::Standing(Standing::Final(allow.clone()), None);
        assert_eq!(watch.saw(look, moment), Next::Over(allow));
        let block = Box::new(Verdict::block("enforcer_auth_failed", "no"));
        assert_eq!(watch.saw(Look::Refused(block.clone()), moment), Next::Over(block));
    }

    #[test]
    fn a_pending_hold_may_bring_its_end_forward_and_never_back() {
        let moment = moment(0);
        let mut watch = Watch::new(&hold(Some(60), None), KEPT_OPEN, INTERVAL, GRACE, moment);
        for (expires_at, expected) in [
            ("2026-11-21T10:00:30Z", 30),
            ("2026-11-21T10:00:50Z", 30),
            ("2026-11-21T09:00:00Z", 0),
        ] {
            let hint = Hint { interval: None, expires_at: Some(expires_at.to_owned()) };
            watch.saw(Look::Standing(Standing::Pending(hint), None), moment);
            let left = watch.deadline() - moment.now;
            assert_eq!(left, Duration::from_secs(expected), "{expires_at}");
        }
    }
}
