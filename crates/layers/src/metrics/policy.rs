//! How a call is counted, and when a slow one is worth a warning.

use std::time::Duration;

use statehold_core::{Error, Failure, Kind, Refusal};

/// A call that takes longer is slow.
pub(super) const SLOW: Duration = Duration::from_millis(100);
/// One warning about an operation in so long.
pub(super) const WARN_EVERY: Duration = Duration::from_mins(1);

/// How a call ended: the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Absent,
    Conflict,
    Denied,
    Invalid,
    Moved,
    Unavailable,
    Error,
}

impl Outcome {
    pub(super) const ALL: [Self; 8] = [
        Self::Ok,
        Self::Absent,
        Self::Conflict,
        Self::Denied,
        Self::Invalid,
        Self::Moved,
        Self::Unavailable,
        Self::Error,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Moved => "moved",
            Self::Unavailable => "unavailable",
            Self::Error => "error",
        }
    }

    /// The outcome of a failed call. A commit that nothing but limits refused is `denied`, not `conflict`.
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            Kind::Conflict if only_denied(error) => Self::Denied,
            Kind::Conflict => Self::Conflict,
            Kind::Invalid => Self::Invalid,
            Kind::NotFound => Self::Absent,
            Kind::Moved => Self::Moved,
            Kind::Unavailable | Kind::Overloaded | Kind::Deadline => Self::Unavailable,
            Kind::Unsupported | Kind::Refused | Kind::Corrupt | Kind::Internal => Self::Error,
        }
    }
}

fn only_denied(error: &Error) -> bool {
    error.conflict_detail().is_some_and(|conflict| {
        !conflict.failures.is_empty()
            && conflict
                .failures
                .iter()
                .all(|failure| matches!(failure, Failure::Mutation { refusal: Refusal::Denied, .. }))
    })
}

/// Whether to warn of a call that took so long, when the last warning was so long ago.
pub(super) fn warns(took: Duration, last_warned: Option<Duration>) -> bool {
    took > SLOW && last_warned.is_none_or(|ago| ago >= WARN_EVERY)
}

#[cfg(test)]
mod tests {
    use statehold_core::Conflict;

    use super::*;

    #[test]
    fn every_kind_has_one_outcome() {
        let expected = [
            (Kind::Conflict, Outcome::Conflict),
            (Kind::Invalid, Outcome::Invalid),
            (Kind::NotFound, Outcome::Absent),
            (Kind::Moved, Outcome::Moved),
            (Kind::Unsupported, Outcome::Error),
            (Kind::Refused, Outcome::Error),
            (Kind::Unavailable, Outcome::Unavailable),
            (Kind::Overloaded, Outcome::Unavailable),
            (Kind::Deadline, Outcome::Unavailable),
            (Kind::Corrupt, Outcome::Error),
            (Kind::Internal, Outcome::Error),
        ];
        assert_eq!(expected.map(|(kind, _)| kind), Kind::ALL);
        for (kind, outcome) in expected {
            assert_eq!(Outcome::of(&Error::new(kind, "")), outcome, "{kind:?}");
        }
    }

    #[test]
    fn a_denied_take_is_told_from_a_lost_race() {
        let denied = Failure::Mutation { index: 0, refusal: Refusal::Denied };
        let check = Failure::Check { index: 0, present: None };
        for (failures, outcome) in [
            (vec![], Outcome::Conflict),
            (vec![denied.clone()], Outcome::Denied),
            (vec![denied.clone(), denied.clone()], Outcome::Denied),
            (vec![check.clone()], Outcome::Conflict),
            (vec![denied, check], Outcome::Conflict),
        ] {
            let error = Error::conflicted(Conflict { failures: failures.clone(), ..Conflict::default() });
            assert_eq!(Outcome::of(&error), outcome, "{failures:?}");
        }
    }

    #[test]
    fn labels_are_distinct_and_in_their_places() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
            assert_eq!(Outcome::ALL.iter().filter(|other| other.as_str() == outcome.as_str()).count(), 1);
        }
    }

    #[test]
    fn slow_calls_warn_once_a_minute() {
        let slow = SLOW + Duration::from_millis(1);
        assert!(warns(slow, None));
        assert!(!warns(SLOW, None));
        assert!(!warns(slow, Some(WARN_EVERY.checked_sub(Duration::from_millis(1)).unwrap())));
        assert!(warns(slow, Some(WARN_EVERY)));
        assert!(!warns(Duration::ZERO, Some(WARN_EVERY)));
    }
}
