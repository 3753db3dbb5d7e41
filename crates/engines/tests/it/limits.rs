//! The three ways of admitting calls, naively: the whole history of admitted calls is kept and counted anew each time.

use std::time::Duration;

use statehold_core::{Decision, LimitPolicy, Time};

/// When a call was admitted, microseconds, and what it cost.
pub(crate) type History = Vec<(u64, u32)>;

/// Decides a call on the history of a limit; a call that is admitted joins it.
pub(crate) fn decide(policy: &LimitPolicy, history: &mut History, now: u64, cost: u32) -> Decision {
    let decision = match *policy {
        LimitPolicy::Sliding { limit, window } => sliding(limit, micros(window), history, now, cost),
        LimitPolicy::TokenBucket { interval, burst } => {
            bucket(burst, interval.as_nanos(), history, now, cost)
        }
        LimitPolicy::Fixed { limit, window } => fixed(limit, micros(window), history, now, cost),
    };
    if decision.allowed {
        history.push((now, cost));
    }
    decision
}

fn micros(span: Duration) -> u64 {
    span.as_micros() as u64
}

fn wait(micros: u64) -> Duration {
    Duration::from_micros(micros.max(1_000))
}

/// Units of calls younger than the window at an instant.
fn in_window(history: &History, window: u64, at: u64) -> u32 {
    history.iter().filter(|(then, _)| then + window > at).map(|(_, cost)| cost).sum()
}

fn sliding(limit: u32, window: u64, history: &History, now: u64, cost: u32) -> Decision {
    let used = in_window(history, window, now);
    let allowed = used + cost <= limit;
    // Whole again once the youngest call has left the window.
    let youngest = if allowed { now } else { history.iter().map(|(then, _)| *then).max().unwrap_or(now) };
    // A call fits for the first time when one that is now counted leaves.
    let fits = |at: &u64| in_window(history, window, *at) + cost <= limit;
    let first_fit = history.iter().map(|(then, _)| then + window).filter(|at| *at > now).filter(fits).min();
    Decision {
        allowed,
        limit: limit.into(),
        remaining: (if allowed { limit - used - cost } else { limit - used }).into(),
        reset_at: Time::from_micros(youngest + window),
        retry_after: (!allowed).then(|| wait(first_fit.expect("an empty window admits") - now)),
    }
}

/// A bucket that leaks: every call pours its cost in, and it must not overflow.
fn bucket(burst: u32, interval_ns: u128, history: &History, now: u64, cost: u32) -> Decision {
    let (mut level, mut at) = (0_u128, 0_u64);
    for &(then, poured) in history {
        level = level.saturating_sub(u128::from(then - at) * 1_000) + u128::from(poured) * interval_ns;
        at = then;
    }
    level = level.saturating_sub(u128::from(now - at) * 1_000);
    let depth = u128::from(burst) * interval_ns;
    let poured = level + u128::from(cost) * interval_ns;
    let allowed = poured <= depth;
    let left = if allowed { poured } else { level };
    let now_ns = u128::from(now) * 1_000;
    Decision {
        allowed,
        limit: burst.into(),
        remaining: ((depth - left) / interval_ns) as u64,
        reset_at: Time::from_micros((now_ns + left).div_ceil(1_000) as u64),
        retry_after: if allowed {
            None
        } else {
            Some(Duration::from_micros((poured - depth).div_ceil(1_000) as u64).max(Duration::from_millis(1)))
        },
    }
}

fn fixed(limit: u32, window: u64, history: &History, now: u64, cost: u32) -> Decision {
    let ours = |(then, _): &&(u64, u32)| then / window == now / window;
    let used: u32 = history.iter().filter(ours).map(|(_, cost)| cost).sum();
    let allowed = used + cost <= limit;
    let end = (now / window + 1) * window;
    Decision {
        allowed,
        limit: limit.into(),
        remaining: (if allowed { limit - used - cost } else { limit - used }).into(),
        reset_at: Time::from_micros(end),
        retry_after: (!allowed).then(|| wait(end - now)),
    }
}
