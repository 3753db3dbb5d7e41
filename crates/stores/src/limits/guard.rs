//! The ceiling of one process while a policy is open because its engine cannot answer.

use std::time::Duration;

use statehold_core::Time;

/// Calls let pass in the present window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Guard {
    window_start: Time,
    used: u64,
}

/// What a guard answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// The guard after the call, none where the call does not pass.
    pub(super) after: Option<Guard>,
    /// Units that may still pass in this window.
    pub(super) remaining: u64,
    /// When the window ends.
    pub(super) ends_at: Time,
}

impl Guard {
    /// Decides one call. A clock that was set back stays in the window it had reached.
    pub(super) fn pass(self, ceiling: u64, span: Duration, now: Time, cost: u32) -> Passage {
        let span_us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        let present = Time::from_micros(now.micros() / span_us * span_us);
        let (window_start, used) =
            if self.window_start >= present { (self.window_start, self.used) } else { (present, 0) };
        let ends_at = window_start.plus(span);
        let used_after = used.saturating_add(cost.into());
        if used_after > ceiling {
            return Passage { after: None, remaining: ceiling.saturating_sub(used), ends_at };
        }
        let after = Some(Self { window_start, used: used_after });
        Passage { after, remaining: ceiling - used_after, ends_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_guard_passes_its_ceiling_in_a_window_and_begins_anew_in_the_next() {
        let mut guard = Guard::default();
        let now = Time::from_millis(1_700_000_000_000);
        for left in (0..5).rev() {
            let passage = guard.pass(5, MINUTE, now, 1);
            assert_eq!(passage.remaining, left);
            guard = passage.after.unwrap();
        }
        assert_eq!(guard.pass(5, MINUTE, now, 1).after, None);
        assert_eq!(guard.pass(5, MINUTE, now.minus(MINUTE), 1).after, None, "time set back gives nothing");
        let ends_at = guard.pass(5, MINUTE, now, 1).ends_at;
        assert!(guard.pass(5, MINUTE, ends_at.minus(Duration::from_micros(1)), 1).after.is_none());
        assert!(guard.pass(5, MINUTE, ends_at, 5).after.is_some());
    }
}
