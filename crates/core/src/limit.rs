//! One rate-limit decision, the same on every engine: same history, same answer.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::clock::{Deadline, Time};
use crate::error::{Error, Result};

/// The largest limit of a sliding window: its log is exact and bounded.
pub const SLIDING_LIMIT_MAX: u32 = 1_000;

/// How calls are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitPolicy {
    /// At most `limit` admitted units in any window: an exact log.
    Sliding {
        /// Units per window, 1..=[`SLIDING_LIMIT_MAX`].
        limit: u32,
        /// The window, whole microseconds.
        window: Duration,
    },
    /// The generic cell rate algorithm (ITU-T I.371): one unit per `interval`, `burst` at once.
    TokenBucket {
        /// Time one unit takes to come back, whole nanoseconds.
        interval: Duration,
        /// Units that may be taken at once.
        burst: u32,
    },
    /// At most `limit` units in `[k·window, (k+1)·window)`, counted from the epoch.
    Fixed {
        /// Units per window.
        limit: u32,
        /// The window, whole microseconds.
        window: Duration,
    },
}

/// The answer of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the call is admitted.
    pub allowed: bool,
    /// The policy's limit (its burst, for a token bucket).
    pub limit: u64,
    /// Units that could still be taken at this instant.
    pub remaining: u64,
    /// When the limit is whole again if nothing more is taken.
    pub reset_at: Time,
    /// How long until one call of that cost would be admitted if nothing more is taken, counted from the instant of
    /// this call, whole microseconds; none when admitted; at least one millisecond. Where the clock went back behind
    /// what was admitted before, the wait says when it has caught up.
    pub retry_after: Option<Duration>,
}

/// What a decision leaves behind when it is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) value: Bytes,
    pub(crate) deadline: Deadline,
}

const VERSION_SLIDING: u8 = 1;
const VERSION_BUCKET: u8 = 2;
const VERSION_FIXED: u8 = 3;

impl LimitPolicy {
    /// Checks the policy's own bounds and the cost of a call.
    ///
    /// # Errors
    /// `Invalid` when a limit, window, interval, burst or cost is zero, a sliding limit is above
    /// [`SLIDING_LIMIT_MAX`], or the cost is above the limit.
    pub fn validate(&self, cost: u32) -> Result<()> {
        let (limit, span, limit_max) = match *self {
            Self::Sliding { limit, window } => (limit, window, SLIDING_LIMIT_MAX),
            Self::TokenBucket { interval, burst } => (burst, interval, 1_000_000),
            Self::Fixed { limit, window } => (limit, window, 1_000_000_000),
        };
        let micros = !matches!(self, Self::TokenBucket { .. });
        if limit == 0
            || limit > limit_max
            || span.is_zero()
            || (micros && !span.as_nanos().is_multiple_of(1_000))
        {
            return Err(Error::invalid("a limit policy is out of bounds"));
        }
        if cost == 0 || cost > limit {
            return Err(Error::invalid("a take costs 1 up to the limit"));
        }
        Ok(())
    }

    /// What a call of cost 1 would meet now, taking nothing.
    ///
    /// # Errors
    /// `Corrupt` when the state is not one this policy wrote.
    pub fn peek(&self, state: Option<&[u8]>, now: Time) -> Result<Decision> {
        Ok(self.decide(state, now, 1)?.0)
    }

    /// Decides one call. `state` is what an earlier admitted call left; time never goes back for an item.
    pub(crate) fn decide(
        &self,
        state: Option<&[u8]>,
        now: Time,
        cost: u32,
    ) -> Result<(Decision, Option<Taken>)> {
        match *self {
            Self::Sliding { limit, window } => sliding(limit, window, state, now, cost),
            Self::TokenBucket { interval, burst } => bucket(interval, burst, state, now, cost),
            Self::Fixed { limit, window } => fixed(limit, window, state, now, cost),
        }
    }
}

fn at_least_a_millisecond(wait: Duration) -> Duration {
    wait.max(Duration::from_millis(1))
}

/// State: version, then (microseconds u64, units u32) per admitted instant, oldest first; big-endian.
fn sliding(
    limit: u32,
    window: Duration,
    state: Option<&[u8]>,
    now: Time,
    cost: u32,
) -> Result<(Decision, Option<Taken>)> {
    let mut log = read_log(state)?;
    let called = now;
    let now = log.last().map_or(now, |last| now.max(last.0));
    // A call at exactly window age no longer counts.
    log.retain(|(at, _)| at.plus(window) > now);
    let used: u32 = log.iter().map(|(_, units)| units).sum();
    let newest = log.last().map_or(now, |last| last.0);
    if used + cost > limit {
        let mut freed = 0;
        let admits_at = log.iter().find_map(|(at, units)| {
            freed += units;
            (used - freed + cost <= limit).then(|| at.plus(window))
        });
        let retry_after = at_least_a_millisecond(admits_at.unwrap_or(now).since(called));
        let decision = Decision {
            allowed: false,
            limit: limit.into(),
            remaining: (limit.saturating_sub(used)).into(),
            reset_at: newest.plus(window),
            retry_after: Some(retry_after),
        };
        return Ok((decision, None));
    }
    match log.last_mut() {
        Some(last) if last.0 == now => last.1 += cost,
        _ => log.push((now, cost)),
    }
    let reset_at = now.plus(window);
    let decision = Decision {
        allowed: true,
        limit: limit.into(),
        remaining: (limit - used - cost).into(),
        reset_at,
        retry_after: None,
    };
    Ok((decision, Some(Taken { value: write_log(&log), deadline: Deadline::at(reset_at) })))
}

fn read_log(state: Option<&[u8]>) -> Result<Vec<(Time, u32)>> {
    let Some(entries) = own_state(VERSION_SLIDING, 0, state)? else { return Ok(Vec::new()) };
    let (entries, rest) = entries.as_chunks::<12>();
    if !rest.is_empty() {
        return Err(unreadable());
    }
    Ok(entries.iter().map(|entry| (Time::from_micros(u64_at(entry, 0)), u32_at(entry, 8))).collect())
}

/// The state behind its version byte. The state of another algorithm counts as none: the policy was redefined, and
/// its limit begins anew. `length` 0 leaves the length to the caller.
fn own_state(version: u8, length: usize, state: Option<&[u8]>) -> Result<Option<&[u8]>> {
    match state {
        None => Ok(None),
        Some(&[found, ref rest @ ..]) if found == version && (length == 0 || rest.len() == length) => {
            Ok(Some(rest))
        }
        Some(&[found @ VERSION_SLIDING..=VERSION_FIXED, ..]) if found != version => Ok(None),
        Some(_) => Err(unreadable()),
    }
}

fn write_log(log: &[(Time, u32)]) -> Bytes {
    let mut value = BytesMut::with_capacity(1 + 12 * log.len());
    value.put_u8(VERSION_SLIDING);
    for (at, units) in log {
        value.put_u64(at.micros());
        value.put_u32(*units);
    }
    value.freeze()
}

/// State: version, then the theoretical arrival time as (seconds u64, nanoseconds u32); big-endian. Two numbers,
/// because a script language with doubles cannot hold nanoseconds since the epoch.
fn bucket(
    interval: Duration,
    burst: u32,
    state: Option<&[u8]>,
    now: Time,
    cost: u32,
) -> Result<(Decision, Option<Taken>)> {
    let now_ns = u128::from(now.micros()) * 1_000;
    let interval_ns = interval.as_nanos();
    let arrival = own_state(VERSION_BUCKET, 12, state)?
        .map_or(0, |rest| u128::from(u64_at(rest, 0)) * 1_000_000_000 + u128::from(u32_at(rest, 8)));
    let depth = u128::from(burst) * interval_ns;
    let base = arrival.max(now_ns);
    let next = base + u128::from(cost) * interval_ns;
    let units_left = |arrival: u128| ((now_ns + depth).saturating_sub(arrival) / interval_ns) as u64;
    if next > now_ns + depth {
        // Clocks show microseconds: a part of one would be waited for in vain.
        let wait = (next - depth - now_ns).div_ceil(1_000);
        let wait = Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX));
        let decision = Decision {
            allowed: false,
            limit: burst.into(),
            remaining: units_left(base),
            reset_at: time_from_ns(base),
            retry_after: Some(at_least_a_millisecond(wait)),
        };
        return Ok((decision, None));
    }
    let mut value = BytesMut::with_capacity(13);
    value.put_u8(VERSION_BUCKET);
    value.put_u64((next / 1_000_000_000) as u64);
    value.put_u32((next % 1_000_000_000) as u32);
    let reset_at = time_from_ns(next);
    let decision = Decision {
        allowed: true,
        limit: burst.into(),
        remaining: units_left(next),
        reset_at,
        retry_after: None,
    };
    Ok((decision, Some(Taken { value: value.freeze(), deadline: Deadline::at(reset_at) })))
}

fn time_from_ns(ns: u128) -> Time {
    Time::from_micros(u64::try_from(ns.div_ceil(1_000)).unwrap_or(u64::MAX))
}

/// State: version, then the window's start in microseconds u64 and the units used u32; big-endian. The start and not
/// the window's number, so that a policy whose window was changed goes on at the next boundary.
fn fixed(
    limit: u32,
    window: Duration,
    state: Option<&[u8]>,
    now: Time,
    cost: u32,
) -> Result<(Decision, Option<Taken>)> {
    let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
    let present = now.micros() / window_us * window_us;
    let (start, used) = match own_state(VERSION_FIXED, 12, state)? {
        Some(rest) if u64_at(rest, 0) >= present => (u64_at(rest, 0), u32_at(rest, 8)),
        _ => (present, 0),
    };
    let reset_at = Time::from_micros(start.saturating_add(window_us));
    let denied = u64::from(used) + u64::from(cost) > u64::from(limit);
    let used_after = if denied { used } else { used + cost };
    let decision = Decision {
        allowed: !denied,
        limit: limit.into(),
        remaining: limit.saturating_sub(used_after).into(),
        reset_at,
        retry_after: denied.then(|| at_least_a_millisecond(reset_at.since(now))),
    };
    if denied {
        return Ok((decision, None));
    }
    let mut value = BytesMut::with_capacity(13);
    value.put_u8(VERSION_FIXED);
    value.put_u64(start);
    value.put_u32(used_after);
    Ok((decision, Some(Taken { value: value.freeze(), deadline: Deadline::at(reset_at) })))
}

fn unreadable() -> Error {
    Error::corrupt("a limit's state is not of its policy's kind")
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map(|chunk| u64::from_be_bytes(*chunk)).expect("the length was checked")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map(|chunk| u32::from_be_bytes(*chunk)).expect("the length was checked")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn run(policy: &LimitPolicy, calls: &[(u64, u32)]) -> Vec<Decision> {
        let mut state: Option<Bytes> = None;
        let mut decisions = Vec::new();
        for &(micros, cost) in calls {
            let (decision, taken) =
                policy.decide(state.as_deref(), Time::from_micros(micros), cost).expect("own state");
            state = taken.map(|taken| taken.value).or(state);
            decisions.push(decision);
        }
        decisions
    }

    #[test]
    fn sliding_counts_calls_of_one_microsecond_and_forgets_at_window_age() {
        let policy = LimitPolicy::Sliding { limit: 2, window: MINUTE };
        let calls = [(5, 1), (5, 1), (5, 1), (60_000_004, 1), (60_000_005, 1)];
        let allowed: Vec<bool> = run(&policy, &calls).iter().map(|d| d.allowed).collect();
        assert_eq!(allowed, [true, true, false, false, true]);
    }

    #[test]
    fn sliding_tells_when_a_costly_call_fits() {
        let policy = LimitPolicy::Sliding { limit: 3, window: Duration::from_secs(10) };
        let decisions = run(&policy, &[(0, 1), (2_000_000, 1), (4_000_000, 1), (5_000_000, 2)]);
        assert_eq!(decisions[3].retry_after, Some(Duration::from_secs(7)));
        assert_eq!(decisions[3].remaining, 0);
    }

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let policy = LimitPolicy::TokenBucket { interval: Duration::from_secs(1), burst: 2 };
        let start = 1_700_000_000_000_000;
        let decisions = run(&policy, &[(start, 1), (start, 1), (start, 1), (start + 1_000_000, 1)]);
        let allowed: Vec<bool> = decisions.iter().map(|d| d.allowed).collect();
        assert_eq!(allowed, [true, true, false, true]);
        assert_eq!(decisions[2].retry_after, Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_fixed_window_resets_at_the_boundary_only() {
        let policy = LimitPolicy::Fixed { limit: 1, window: Duration::from_secs(1) };
        let allowed: Vec<bool> =
            run(&policy, &[(999_999, 1), (999_999, 1), (1_000_000, 1)]).iter().map(|d| d.allowed).collect();
        assert_eq!(allowed, [true, false, true]);
    }

    #[test]
    fn time_going_back_admits_nothing_more() {
        for policy in [
            LimitPolicy::Sliding { limit: 1, window: MINUTE },
            LimitPolicy::Fixed { limit: 1, window: MINUTE },
            LimitPolicy::TokenBucket { interval: MINUTE, burst: 1 },
        ] {
            let decisions = run(&policy, &[(120_000_000, 1), (30_000_000, 1)]);
            assert!(!decisions[1].allowed, "{policy:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn who_waits_as_told_is_admitted(
            kind in 0..3,
            limit in 1..6_u32,
            span_us in 1..5_000_000_u64,
            odd_ns in 0..1_000_u32,
            calls in proptest::collection::vec((0..20_000_000_u64, 1..6_u32), 1..30),
        ) {
            let window = Duration::from_micros(span_us);
            let policy = match kind {
                0 => LimitPolicy::Sliding { limit, window },
                1 => LimitPolicy::Fixed { limit, window },
                _ => LimitPolicy::TokenBucket { interval: window + Duration::from_nanos(odd_ns.into()), burst: limit },
            };
            let mut state: Option<Bytes> = None;
            for (micros, cost) in calls {
                let (now, cost) = (Time::from_micros(micros), cost.min(limit));
                let (decision, taken) = policy.decide(state.as_deref(), now, cost).expect("own state");
                proptest::prop_assert_eq!(decision.allowed, decision.retry_after.is_none());
                if let Some(wait) = decision.retry_after {
                    let (then, _) = policy.decide(state.as_deref(), now.plus(wait), cost).expect("own state");
                    proptest::prop_assert!(then.allowed, "{:?} at {} after {:?}", policy, micros, wait);
                }
                state = taken.map(|taken| taken.value).or(state);
            }
        }
    }

    #[test]
    fn a_redefined_policy_begins_anew_and_torn_state_is_corrupt() {
        let sliding = LimitPolicy::Sliding { limit: 1, window: MINUTE };
        let fixed = LimitPolicy::Fixed { limit: 1, window: MINUTE };
        let now = Time::from_micros(1);
        let (_, taken) = sliding.decide(None, now, 1).expect("a fresh state");
        let state = taken.expect("admitted").value;
        assert!(fixed.peek(Some(&state), now).expect("another algorithm's state").allowed);
        for torn in [&state[..5], &[], &[9, 9]] {
            assert_eq!(sliding.peek(Some(torn), now).map_err(|e| e.kind()), Err(crate::Kind::Corrupt));
        }
    }
}
