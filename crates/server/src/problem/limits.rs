//! Errors of the limits as problems.

use statehold_api::Code;
use statehold_stores::limits::LimitError;

use super::Problem;

impl From<LimitError> for Problem {
    fn from(error: LimitError) -> Self {
        let said = error.to_string();
        match error {
            LimitError::PolicyNotFound => Self::new(Code::PolicyNotFound).detail(said),
            LimitError::CostOutOfRange { .. } => Self::field(Code::OutOfRange, "cost", said),
            LimitError::PoliciesOutOfRange | LimitError::PolicyTwice => {
                Self::field(Code::OutOfRange, "policies", said)
            }
            LimitError::Unavailable(error) => Self::new(Code::LimiterUnavailable).caused_by(error),
            LimitError::Engine(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use statehold_core::{Error, Kind};

    use super::*;

    #[test]
    fn every_error_has_its_code() {
        let away = || Error::new(Kind::Unavailable, "away");
        for (error, code) in [
            (LimitError::PolicyNotFound, Code::PolicyNotFound),
            (LimitError::CostOutOfRange { limit: 5 }, Code::OutOfRange),
            (LimitError::PoliciesOutOfRange, Code::OutOfRange),
            (LimitError::PolicyTwice, Code::OutOfRange),
            (LimitError::Unavailable(away()), Code::LimiterUnavailable),
            (LimitError::Engine(away()), Code::EngineUnavailable),
            (LimitError::Engine(Error::corrupt("torn")), Code::CorruptValue),
        ] {
            assert_eq!(Problem::from(error).code(), code);
        }
    }
}
