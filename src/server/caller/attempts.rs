//! Keys tried in vain, for each neighbour: a leaky bucket.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::server::listen::Neighbour;

/// How many may fail at once.
const BURST: u32 = 30;
/// How long it takes for one to be forgiven.
const FORGIVEN: Duration = Duration::from_secs(2);
/// How many neighbours are remembered.
const MOST: usize = 16_384;

/// Who has failed, and until when that counts.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// When everything will be forgiven.
    clear_at: HashMap<Neighbour, Instant>,
}

// === impl Attempts ===

impl Attempts {
    /// Whether this neighbour may try again now; else, how long it has to wait.
    pub(super) fn check(&self, peer: Neighbour, now: Instant) -> Result<(), Duration> {
        let owed = self.clear_at.get(&peer).map(|clear| clear.saturating_duration_since(now));
        let over = owed.and_then(|owed| owed.checked_sub(FORGIVEN * (BURST - 1)));
        match over {
            Some(over) if !over.is_zero() => Err(over),
            Some(_) | None => Ok(()),
        }
    }

    /// Counts one that failed.
    pub(super) fn count(&mut self, peer: Neighbour, now: Instant) {
        if self.clear_at.len() >= MOST {
            self.clear_at.retain(|_, clear| *clear > now);
        }
        if self.clear_at.len() >= MOST {
            // More than ever fail at one time; whoever is forgotten starts anew.
            self.clear_at.clear();
        }
        let clear = self.clear_at.entry(peer).or_insert(now);
        *clear = (*clear).max(now) + FORGIVEN;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn who_fails_too_often_waits_and_is_forgiven() {
        let peer = |last| Neighbour::from(IpAddr::from([192, 0, 2, last]));
        let mut attempts = Attempts::default();
        let start = Instant::now();
        for count in 0..BURST {
            assert_eq!(attempts.check(peer(1), start), Ok(()), "{count}");
            attempts.count(peer(1), start);
        }
        assert_eq!(attempts.check(peer(1), start), Err(FORGIVEN));
        assert_eq!(attempts.check(peer(2), start), Ok(()), "another one");
        assert_eq!(attempts.check(peer(1), start + FORGIVEN), Ok(()));
        attempts.count(peer(1), start + FORGIVEN);
        assert_eq!(attempts.check(peer(1), start + FORGIVEN), Err(FORGIVEN));
        assert_eq!(attempts.check(peer(1), start + FORGIVEN * BURST * 2), Ok(()));
    }
}
