//! Instants, deadlines and the one way to ask for the time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The instant so many microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant so many milliseconds after the epoch, saturating.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// This instant moved forward, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// This instant moved back, stopping at the epoch.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}µs", self.0)
    }
}

/// The instant from which an item is absent: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(u64);

impl Deadline {
    /// A deadline at so many milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The first whole millisecond that is not before `time`: an item never ends early by rounding.
    pub const fn at(time: Time) -> Self {
        Self(time.0.div_ceil(1_000))
    }

    /// The deadline `ttl` after `now`.
    pub fn after(now: Time, ttl: Duration) -> Self {
        Self::at(now.plus(ttl))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The deadline as an instant.
    pub const fn time(self) -> Time {
        Time::from_millis(self.0)
    }

    /// Whether an item with this deadline is absent at `now`.
    pub const fn passed(self, now: Time) -> bool {
        self.0 <= now.millis()
    }

    /// Time left at `now`; zero when it has passed.
    pub const fn left(self, now: Time) -> Duration {
        self.time().since(now)
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// The one way to ask for the time. The only real implementation is made by the front door.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present instant. May step back when the host's clock is set back.
    fn now(&self) -> Time;
}

/// A clock that a test turns by hand. Every test that is about expiry uses this one and never sleeps.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub const fn at(start: Time) -> Self {
        Self(AtomicU64::new(start.micros()))
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Sets the clock to any instant, an earlier one included.
    pub fn set(&self, to: Time) {
        self.0.store(to.micros(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::at(Time::from_millis(1_700_000_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}
