//! The one place that reads the clock.

use std::time::Instant;

/// Now. Monotonic; about 20 ns a reading.
#[expect(clippy::disallowed_methods, reason = "time is what is measured here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
