//! Errors of sessions as problems.

use statehold_api::{Code, Rev};
use statehold_stores::sessions::SessionError;

use super::Problem;

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        let detail = error.to_string();
        match error {
            SessionError::Invalid => Self::new(Code::SessionInvalid),
            SessionError::InsufficientLevel => Self::new(Code::InsufficientLevel),
            SessionError::NotFound => Self::new(Code::NotFound).detail(detail),
            SessionError::TtlOutOfPolicy => Self::field(Code::OutOfRange, "ttl", detail),
            SessionError::WindowOutOfPolicy => Self::field(Code::OutOfRange, "window", detail),
            SessionError::TooLong(field) => Self::field(Code::OutOfRange, field, detail),
            SessionError::DataTooLarge => Self::new(Code::ValueTooLarge).detail(detail),
            SessionError::TooManySessions => Self::new(Code::TooManySessions),
            SessionError::OwnerEpochChanged => Self::new(Code::OwnerEpochChanged),
            SessionError::MaxLifetimeReached => Self::new(Code::MaxLifetimeReached),
            SessionError::RevisionMismatch { current } => Self::revision_mismatch(Some(Rev(current.get()))),
            SessionError::UnknownPolicy => Self::new(Code::PolicyNotFound).detail(detail),
            SessionError::Contention => Self::new(Code::Contention),
            SessionError::Engine(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use statehold_core::{Error, Revision};

    use super::*;

    #[test]
    fn the_whole_table() {
        let errors = [
            SessionError::Invalid,
            SessionError::InsufficientLevel,
            SessionError::NotFound,
            SessionError::TtlOutOfPolicy,
            SessionError::WindowOutOfPolicy,
            SessionError::TooLong("device"),
            SessionError::DataTooLarge,
            SessionError::TooManySessions,
            SessionError::OwnerEpochChanged,
            SessionError::MaxLifetimeReached,
            SessionError::RevisionMismatch { current: Revision::from_u64(7) },
            SessionError::UnknownPolicy,
            SessionError::Contention,
            SessionError::Engine(Error::corrupt("a record")),
        ];
        let mut table = String::new();
        for error in errors {
            let name = format!("{error:?}");
            let code = Problem::from(error).code();
            writeln!(table, "{name} -> {} {code}", code.status()).expect("writing to a string");
        }
        insta::assert_snapshot!(table);
    }
}
