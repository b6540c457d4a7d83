//! How often who may ask.
//!
//! Each key has a bucket for each family of routes, so that a flood of events takes nothing from
//! decisions. Only keys that were found good have buckets, hence no more than there are keys; those
//! that are full again are forgotten from time to time.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::Fault;
use super::listen::route::Family;

/// After how many requests full buckets are forgotten.
const SWEEP: u32 = 4096;

/// What each key may ask for each second, by default. A sidecar asks a few times each minute; a
/// thousand of them may share a key.
pub const DEFAULT_PER_SECOND: NonZeroU32 = NonZeroU32::new(600).unwrap();

type Key = (Box<str>, Family);
type Buckets =
    RateLimiter<Key, DefaultKeyedStateStore<Key>, DefaultClock, StateInformationMiddleware>;

/// The limits in force.
#[derive(Default)]
pub struct Limits {
    buckets: Option<Buckets>,
    /// How many a bucket holds.
    burst: u32,
    since_sweep: AtomicU32,
}

/// What was left of a request's bucket, told in its answer's headers. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Allowance(Arc<OnceLock<Left>>);

#[derive(Clone, Copy, Debug)]
struct Left {
    limit: u32,
    remaining: u32,
    /// When all of it is there again.
    reset: Duration,
}

// === impl Limits ===

impl Limits {
    /// So many requests each second, twice as many at once, for each key and family.
    pub fn per_second(rate: NonZeroU32) -> Self {
        let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        let quota = Quota::per_second(rate).allow_burst(burst);
        let buckets = RateLimiter::dashmap(quota).with_middleware();
        Self { buckets: Some(buckets), burst: burst.get(), since_sweep: AtomicU32::new(0) }
    }

    /// No limits.
    pub fn off() -> Self {
        Self::default()
    }

    /// Counts one request of a key.
    ///
    /// # Errors
    ///
    /// 429, with the time after which the next one may come.
    pub fn check(&self, key_id: &str, family: Family, told: &Allowance) -> Result<(), Fault> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        if self.since_sweep.fetch_add(1, Ordering::Relaxed) >= SWEEP {
            self.since_sweep.store(0, Ordering::Relaxed);
            buckets.retain_recent();
        }
        let full = |remaining: u32, period: Duration| {
            period.saturating_mul(self.burst.saturating_sub(remaining))
        };
        match buckets.check_key(&(key_id.into(), family)) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let reset = full(remaining, state.quota().replenish_interval());
                told.set(Left { limit: self.burst, remaining, reset });
                Ok(())
            }
            Err(refused) => {
                let period = refused.quota().replenish_interval();
                told.set(Left { limit: self.burst, remaining: 0, reset: full(0, period) });
                Err(Fault::too_many(refused.wait_time_from(DefaultClock::default().now())))
            }
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("burst", &self.burst).finish_non_exhaustive()
    }
}

// === impl Allowance ===

impl Allowance {
    fn set(&self, left: Left) {
        // One request is counted once: a second key in it would be refused before.
        let _ = self.0.set(left);
    }

    /// Writes it into the headers that clients know (draft-ietf-httpapi-ratelimit-headers-06).
    pub fn tell(&self, headers: &mut HeaderMap) {
        let Some(left) = self.0.get() else { return };
        headers.insert("ratelimit-limit", HeaderValue::from(left.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(left.remaining));
        let seconds = left.reset.as_secs() + u64::from(left.reset.subsec_nanos() > 0);
        headers.insert("ratelimit-reset", HeaderValue::from(seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_key_and_kind_leaves_the_others_alone() {
        let limits = Limits::per_second(NonZeroU32::MIN);
        let ask = |key, family| limits.check(key, family, &Allowance::default());
        assert_eq!(ask("a", Family::Enforce), Ok(()));
        assert_eq!(ask("a", Family::Enforce), Ok(()));
        let told = Allowance::default();
        let refused = limits.check("a", Family::Enforce, &told).unwrap_err();
        assert_eq!(refused.status().as_u16(), 429);
        let mut headers = HeaderMap::new();
        told.tell(&mut headers);
        assert_eq!(
            (&headers["ratelimit-limit"], &headers["ratelimit-remaining"]),
            (&HeaderValue::from(2), &HeaderValue::from(0))
        );
        assert_eq!(ask("a", Family::Hold), Ok(()));
        assert_eq!(ask("b", Family::Enforce), Ok(()));
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let told = Allowance::default();
        for _ in 0..10_000 {
            assert_eq!(Limits::off().check("a", Family::Enforce, &told), Ok(()));
        }
        let mut headers = HeaderMap::new();
        told.tell(&mut headers);
        assert!(headers.is_empty());
    }
}
