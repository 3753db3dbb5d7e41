//! Rate limits as one would explain them: written from the policies' descriptions, without a look at the engine's
//! code. Slow on purpose; nothing is packed, nothing is forgotten early.

use std::time::Duration;

use statehold_core::{LimitPolicy, Time};

/// What the reference says of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// Units that the next call could still take at this instant.
    pub(crate) remaining: u64,
    /// Zero when allowed, else how long until one call of that cost would be admitted, to the microsecond.
    pub(crate) wait: Duration,
}

/// One limit and everything it ever admitted: an instant per unit.
#[derive(Debug)]
pub(crate) struct Reference {
    policy: LimitPolicy,
    admitted: Vec<Time>,
    latest: Time,
}

impl Reference {
    pub(crate) fn new(policy: LimitPolicy) -> Self {
        Self { policy, admitted: Vec::new(), latest: Time::default() }
    }

    /// Decides a call at an instant; the limit's own time never goes back behind what it admitted.
    pub(crate) fn call(&mut self, now: Time, cost: u32) -> Verdict {
        let called = now;
        let now = match self.policy {
            LimitPolicy::TokenBucket { .. } => now,
            LimitPolicy::Sliding { .. } | LimitPolicy::Fixed { .. } => now.max(self.latest),
        };
        let left = self.left(now);
        if left >= u64::from(cost) {
            self.admitted.extend((0..cost).map(|_| now));
            self.latest = self.latest.max(now);
            return Verdict { allowed: true, remaining: self.left(now), wait: Duration::ZERO };
        }
        Verdict { allowed: false, remaining: left, wait: self.wait(now, cost) + now.since(called) }
    }

    /// Units that could be taken at an instant.
    fn left(&self, now: Time) -> u64 {
        match self.policy {
            LimitPolicy::Sliding { limit, window } => {
                let counted = self.admitted.iter().filter(|at| at.plus(window) > now).count();
                u64::from(limit) - counted as u64
            }
            LimitPolicy::Fixed { limit, window } => {
                let number = |at: Time| u128::from(at.micros()) / window.as_micros();
                let counted = self.admitted.iter().filter(|at| number(**at) == number(now)).count();
                u64::from(limit) - counted as u64
            }
            LimitPolicy::TokenBucket { interval, burst } => {
                let room = nanos(now) + u128::from(burst) * interval.as_nanos();
                (room.saturating_sub(self.empty_at(interval).max(nanos(now))) / interval.as_nanos()) as u64
            }
        }
    }

    /// When the bucket is whole again, in nanoseconds: each admitted unit takes one interval to come back, one after
    /// the other.
    fn empty_at(&self, interval: Duration) -> u128 {
        self.admitted.iter().fold(0, |empty, at| empty.max(nanos(*at)) + interval.as_nanos())
    }

    /// How long until a call of this cost is admitted, in the microseconds that clocks show.
    fn wait(&self, now: Time, cost: u32) -> Duration {
        match self.policy {
            LimitPolicy::Sliding { window, .. } => {
                let ends = self.admitted.iter().map(|at| at.plus(window)).filter(|end| *end > now);
                let first = ends.filter(|end| self.left(*end) >= u64::from(cost)).min();
                first.map_or(Duration::ZERO, |first| first.since(now))
            }
            LimitPolicy::Fixed { window, .. } => {
                let inside = u128::from(now.micros()) % window.as_micros();
                window.saturating_sub(Duration::from_micros(inside as u64))
            }
            LimitPolicy::TokenBucket { interval, burst } => {
                let needed = self.empty_at(interval).max(nanos(now)) + u128::from(cost) * interval.as_nanos();
                let wait = needed - u128::from(burst) * interval.as_nanos() - nanos(now);
                Duration::from_micros(wait.div_ceil(1_000) as u64)
            }
        }
    }
}

fn nanos(at: Time) -> u128 {
    u128::from(at.micros()) * 1_000
}
