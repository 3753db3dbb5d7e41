//! When a call must end, and what its end means.

use std::time::{Duration, Instant};

use statehold_core::Outcome;

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Fetch,
    List,
    Commit,
    Scan,
    Probe,
}

impl Verb {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::List => "list",
            Self::Commit => "commit",
            Self::Scan => "scan",
            Self::Probe => "probe",
        }
    }
}

/// When a call that begins now must end; none when its caller's time is already over.
pub(super) fn ends_at(asked: Option<Instant>, now: Instant, call_max: Duration) -> Option<Instant> {
    // A longest time beyond what the clock can count is none: a day from now stands for it.
    let own = now.checked_add(call_max).unwrap_or_else(|| now + Duration::from_hours(24));
    match asked {
        Some(asked) if asked <= now => None,
        Some(asked) => Some(asked.min(own)),
        None => Some(own),
    }
}

/// Whether a call that ended at its deadline may have changed anything.
pub(super) const fn outcome(verb: Verb, begun: bool) -> Outcome {
    match (verb, begun) {
        (Verb::Commit, true) => Outcome::Unknown,
        (Verb::Commit, false) | (Verb::Fetch | Verb::List | Verb::Scan | Verb::Probe, _) => Outcome::NoEffect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sooner_end_counts() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let five = Duration::from_secs(5);
        assert_eq!(ends_at(None, now, five), Some(after(5)));
        assert_eq!(ends_at(Some(after(3)), now, five), Some(after(3)));
        assert_eq!(ends_at(Some(after(9)), now, five), Some(after(5)));
        assert_eq!(ends_at(Some(now), now, five), None);
        assert_eq!(ends_at(now.checked_sub(five), now, five), None);
        assert!(ends_at(None, now, Duration::MAX).is_some());
    }

    #[test]
    fn only_a_commit_that_has_begun_is_unknown() {
        for verb in [Verb::Fetch, Verb::List, Verb::Commit, Verb::Scan, Verb::Probe] {
            for begun in [false, true] {
                let unknown = verb == Verb::Commit && begun;
                let expected = if unknown { Outcome::Unknown } else { Outcome::NoEffect };
                assert_eq!(outcome(verb, begun), expected, "{verb:?} {begun}");
            }
        }
    }
}
