//! Errors of the cache as problems.

use statehold_api::{Code, Rev};
use statehold_stores::cache::CacheError;

use super::Problem;

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        let said = error.to_string();
        let revision = |current: Option<statehold_core::Revision>| current.map(|current| Rev(current.get()));
        match error {
            CacheError::ValueTooLarge { .. } => Self::new(Code::ValueTooLarge).detail(said),
            CacheError::TtlRequired | CacheError::PersistForbidden => {
                Self::field(Code::TtlRequired, "ttl", said)
            }
            CacheError::RevisionMismatch { current } => Self::revision_mismatch(revision(current)),
            CacheError::ConditionFailed { index, current } => {
                Self::revision_mismatch(revision(current)).detail(said).failed_index(index as u32)
            }
            CacheError::GroupRefused { index } => {
                Self::revision_mismatch(None).detail(said).failed_index(index as u32)
            }
            CacheError::WrongType => Self::new(Code::WrongType).detail(said),
            CacheError::CounterOverflow => Self::new(Code::CounterOverflow).detail(said),
            CacheError::CounterBound => Self::new(Code::CounterBound).detail(said),
            CacheError::OutOfRange { field } => Self::field(Code::OutOfRange, field, said),
            CacheError::BatchTooLarge => Self::field(Code::BatchTooLarge, "", said),
            CacheError::KeyTwice => Self::field(Code::OutOfRange, "writes", said),
            CacheError::Contention => Self::new(Code::Contention),
            CacheError::Engine(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use statehold_core::{Error, Kind, Revision};

    use super::*;

    #[test]
    fn every_error_has_its_code() {
        let errors = [
            CacheError::ValueTooLarge { bytes_max: 9 },
            CacheError::TtlRequired,
            CacheError::PersistForbidden,
            CacheError::RevisionMismatch { current: Some(Revision::from_u64(7)) },
            CacheError::ConditionFailed { index: 3, current: None },
            CacheError::GroupRefused { index: 2 },
            CacheError::WrongType,
            CacheError::CounterOverflow,
            CacheError::CounterBound,
            CacheError::OutOfRange { field: "by" },
            CacheError::BatchTooLarge,
            CacheError::KeyTwice,
            CacheError::Contention,
            CacheError::Engine(Error::new(Kind::Unavailable, "away")),
            CacheError::Engine(Error::corrupt("torn")),
        ];
        let mut table = String::new();
        for error in errors {
            let name = format!("{error:?}");
            let name = name.split([' ', '(']).next().unwrap_or_default();
            let code = Problem::from(error).code();
            writeln!(table, "{name} -> {} {code}", code.status()).expect("writing to a string");
        }
        insta::assert_snapshot!(table, @r"
        ValueTooLarge -> 413 value_too_large
        TtlRequired -> 422 ttl_required
        PersistForbidden -> 422 ttl_required
        RevisionMismatch -> 412 revision_mismatch
        ConditionFailed -> 412 revision_mismatch
        GroupRefused -> 412 revision_mismatch
        WrongType -> 409 wrong_type
        CounterOverflow -> 409 counter_overflow
        CounterBound -> 409 counter_bound
        OutOfRange -> 422 out_of_range
        BatchTooLarge -> 422 batch_too_large
        KeyTwice -> 422 out_of_range
        Contention -> 409 contention
        Engine -> 503 engine_unavailable
        Engine -> 500 corrupt_value
        ");
    }
}
