//! The real clock.

use std::time::{SystemTime, UNIX_EPOCH};

use statehold_core::{Clock, Time};

/// The host's clock: the only place that asks the operating system for the time of day.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one real clock; everything else asks a `Clock`"
    )]
    fn now(&self) -> Time {
        // A host whose clock stands before 1970 gets the epoch: deadlines are then far away, never in the past.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_a_plausible_time() {
        let time = SystemClock.now();
        assert!(time.millis() > 1_700_000_000_000 && time.millis() < 10_000_000_000_000, "{time:?}");
    }
}
