//! When to look at a hold again, and when to stop.
//!
//! Pure: the time and the dice are arguments. The shell looks; this says what the look means and
//! when the next one is due.
//!
//! A look asks the enforcer to keep it until somebody has answered (`Prefer: wait`, RFC 7240 §4.3).
//! One that does answers at once when there is an answer, and is looked at again as soon as it has
//! let a look go; one that does not is looked at again and again, as without.
//!
//! # Invariants
//!
//! - Looking ends: with an answer, a refusal, or the deadline, which never moves back.
//! - A `Retry-After` is never undercut, and an enforcer that asks for ever more looks does not get
//!   them: see [`SHORTEST`]. Only one that has kept a look about as long as it was asked to is looked
//!   at again at once.
//! - Time that is up is no answer: the call is one that a person would still have to approve.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::outcome::Look;
use super::wire::Standing;
use crate::gate::verdict::{Effect, Grounds, Hold, Verdict};

/// How often a hold is looked at where the enforcer does not say.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// How long a hold is waited for where the enforcer does not say.
const KEPT_OPEN: Duration = Duration::from_mins(15);
/// The shortest interval between two looks that an enforcer can ask for.
const SHORTEST: Duration = Duration::from_millis(100);
/// No wait is longer, whoever asks for it.
const LONGEST: Duration = Duration::from_hours(24);
/// Trouble doubles the interval this many times at most.
const DOUBLINGS: u32 = 3;
/// After so many looks in a row at which the enforcer knew no such hold, there is none.
const UNKNOWN_LIMIT: u32 = 3;

/// How much sooner than its time a look is to be let go, so that its answer is there in time.
const MARGIN: Duration = Duration::from_secs(1);
/// The longest a look asks to be kept. Enforcers let one go after 20 s at the latest.
const LONGEST_LOOK: Duration = Duration::from_secs(20);

/// A hold that is being looked at.
#[derive(Debug)]
pub(super) struct Watch {
    /// When waiting ends, whatever becomes of the hold.
    limit: Instant,
    /// When the hold ends, where that is known.
    expiry: Option<Instant>,
    interval: Duration,
    /// Looks in a row that came to nothing.
    troubles: u32,
    /// Looks in a row at which the hold was unknown.
    unknown: u32,
}

/// A look that the enforcer was asked to keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// How long it was to keep it.
    pub(super) wanted: Duration,
    /// How long it took to answer.
    pub(super) took: Duration,
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
        let unsaid = if hold.timeout.is_some() { LONGEST } else { KEPT_OPEN };
        let limit = moment.now + longest.min(unsaid);
        let expiry = hold.timeout.map(|kept_open| moment.now + kept_open.min(LONGEST));
        let mut watch = Self { limit, expiry, interval, troubles: 0, unknown: 0 };
        if let Some(expires_at) = &hold.expires_at {
            watch.expire(expires_at, grace, moment);
        }
        watch
    }

    /// When to give up.
    pub(super) fn deadline(&self) -> Instant {
        self.expiry.map_or(self.limit, |expiry| expiry.min(self.limit))
    }

    /// How many seconds the enforcer is to keep a look that may take `longest` in all; `None` where
    /// it had better answer at once.
    pub(super) fn keep(&self, longest: Duration, now: Instant) -> Option<u64> {
        let left = self.deadline().saturating_duration_since(now);
        let keep = longest.saturating_sub(MARGIN).min(LONGEST_LOOK).min(left);
        Some(keep.as_secs()).filter(|seconds| *seconds > 0)
    }

    /// The verdict where the deadline has passed: the hold's token, as long as that is good for
    /// anything.
    pub(super) fn over(self, hold: Hold, waited: Duration) -> Verdict {
        let waited = waited.as_secs();
        let (hold, grounds) = if self.expiry.is_some_and(|expiry| expiry <= self.limit) {
            let reason = format!(
                "nobody approved the call within {waited} s, and its hold has ended; \
                 the same call, made again, asks anew"
            );
            (None, Grounds::coded("hold_expired", &reason))
        } else {
            let reason = format!(
                "nobody has approved the call within {waited} s; it can still be approved, \
                 and the same call, made again, goes on then"
            );
            (Some(hold), Grounds::coded("step_up_timeout", &reason))
        };
        Verdict { effect: Effect::StepUp(hold), grounds }
    }

    /// Takes in what a look has shown; `kept` where the enforcer was asked to keep it.
    pub(super) fn saw(&mut self, look: Look, kept: Option<Kept>, moment: Moment) -> Next {
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
                if after.is_none() && kept.is_some_and(Kept::is_full) {
                    return Next::At(moment.now);
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
        let expiry = moment.now + left.max(grace).min(LONGEST);
        self.expiry = Some(self.expiry.map_or(expiry, |known| known.min(expiry)));
    }
}

/// Up to two fifths of the interval: the width of ±20 %.
fn spread(interval: Duration, dice: u8) -> Duration {
    interval * 2 / 5 * u32::from(dice) / u32::from(u8::MAX)
}

// === impl Kept ===

impl Kept {
    /// Whether it was kept about as long as was asked for: four fifths of it.
    fn is_full(self) -> bool {
        self.took >= self.wanted * 4 / 5
    }
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
            let Next::At(due) = watch.saw(look, None, moment) else {
                panic!("{row}");
            };
            assert_eq!(due - moment.now, seconds(expected), "{row}");
        }
    }

    #[test]
    fn a_look_asks_to_be_kept_as_long_as_there_is_time() {
        for (longest_look, longest, expires_at, expected) in [
            (5.0, 60, None, Some(4)),
            (30.0, 60, None, Some(20)), // enforcers keep none longer
            (2.9, 60, None, Some(1)),
            (1.5, 60, None, None),
            (0.5, 60, None, None),
            (5.0, 3, None, Some(3)),
            (30.0, 60, Some("2026-11-21T10:00:07Z"), Some(7)),
            (30.0, 60, Some("2026-11-21T09:00:00Z"), Some(5)),
        ] {
            let moment = moment(0);
            let longest = Duration::from_secs(longest);
            let watch = Watch::new(&hold(None, expires_at), longest, INTERVAL, GRACE, moment);
            let kept = watch.keep(seconds(longest_look), moment.now);
            assert_eq!(kept, expected, "{longest_look} {longest:?} {expires_at:?}");
            assert_eq!(watch.keep(seconds(longest_look), watch.deadline()), None);
        }
    }

    #[test]
    fn a_look_that_was_kept_is_followed_by_the_next_at_once_and_no_other_is() {
        for (took, look, expected) in [
            (4.0, pending(None, None), 0.0),
            (3.2, pending(None, None), 0.0),
            (9.0, pending(Some(10.0), None), 0.0),
            // It answered at once: it keeps no looks, or knows nothing of it.
            (0.01, pending(None, None), 1.6),
            (3.1, pending(None, None), 1.6),
            // It says when to come back.
            (4.0, pending(None, Some(7)), 7.0),
            // It is in trouble.
            (4.0, Look::Trouble(None), 3.2),
            (4.0, Look::Standing(Standing::Unclear, None), 3.2),
            (4.0, Look::Unknown, 1.6),
        ] {
            let row = format!("{took} {look:?}");
            let moment = moment(0);
            let kept = Kept { wanted: seconds(4.0), took: seconds(took) };
            let mut watch = Watch::new(&hold(None, None), KEPT_OPEN, INTERVAL, GRACE, moment);
            let Next::At(due) = watch.saw(look, Some(kept), moment) else {
                panic!("{row}");
            };
            assert_eq!(due - moment.now, seconds(expected), "{row}");
        }
    }

    #[test]
    fn time_that_is_up_leaves_the_token_as_long_as_it_is_good() {
        for (timeout, longest, expires_at, expected) in [
            (None, 50, None, (Some("h"), "step_up_timeout")),
            (Some(900), 50, Some("2026-11-21T10:10:00Z"), (Some("h"), "step_up_timeout")),
            (Some(30), 50, None, (None, "hold_expired")),
            (None, 50, Some("2026-11-21T10:00:30Z"), (None, "hold_expired")),
            (None, 50, Some("2026-11-21T09:00:00Z"), (None, "hold_expired")),
        ] {
            let row = format!("{timeout:?} {longest} {expires_at:?}");
            let hold = hold(timeout, expires_at);
            let longest = Duration::from_secs(longest);
            let watch = Watch::new(&hold, longest, INTERVAL, GRACE, moment(0));
            let verdict = watch.over(hold, longest);
            let Effect::StepUp(kept) = verdict.effect else {
                panic!("{row}");
            };
            let code = verdict.grounds.reason_code.as_deref();
            let kept = kept.as_ref().map(|hold| &*hold.token);
            assert_eq!((kept, code), (expected.0, Some(expected.1)), "{row}");
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
                assert!(matches!(watch.saw(look, None, moment), Next::At(_)));
            }
        }
    }

    #[test]
    fn trouble_slows_down_and_is_forgotten() {
        let moment = moment(0);
        let mut watch = Watch::new(&hold(None, None), KEPT_OPEN, INTERVAL, GRACE, moment);
        let mut due = |look| match watch.saw(look, None, moment) {
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
            assert!(matches!(watch.saw(look, None, moment), Next::At(_)));
        }
        let Next::Over(verdict) = watch.saw(Look::Unknown, None, moment) else {
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
        assert_eq!(watch.saw(look, None, moment), Next::Over(allow));
        let block = Box::new(Verdict::block("enforcer_auth_failed", "no"));
        assert_eq!(watch.saw(Look::Refused(block.clone()), None, moment), Next::Over(block));
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
            watch.saw(Look::Standing(Standing::Pending(hint), None), None, moment);
            let left = watch.deadline() - moment.now;
            assert_eq!(left, Duration::from_secs(expected), "{expires_at}");
        }
    }
}
