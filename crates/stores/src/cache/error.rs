//! Why the cache did not do what was asked.

use std::fmt;

use statehold_core::{Error, Revision};

use crate::contend::Contention;
use crate::observe::{Observed, Outcome};

/// Why the cache did not do what was asked. Nothing changed, except that an `Engine` error says for itself.
#[derive(Debug)]
pub enum CacheError {
    /// The value is larger than the cache takes.
    ValueTooLarge {
        /// Most bytes of a value.
        bytes_max: usize,
    },
    /// The cache allows no entry without expiry.
    TtlRequired,
    /// The cache allows no entry without expiry, so none may lose its own.
    PersistForbidden,
    /// The entry is not at the revision asked for.
    RevisionMismatch {
        /// Its present revision; none when absent.
        current: Option<Revision>,
    },
    /// A condition of a group commit does not hold.
    ConditionFailed {
        /// Its index.
        index: usize,
        /// The present revision of its entry; none when absent.
        current: Option<Revision>,
    },
    /// Another entry of the same group was refused, so the group's commit did not happen.
    GroupRefused {
        /// That entry's index in the batch.
        index: usize,
    },
    /// The entry is no counter.
    WrongType,
    /// The sum would not fit an i64.
    CounterOverflow,
    /// The sum would leave its bounds.
    CounterBound,
    /// The field is out of range.
    OutOfRange {
        /// The field.
        field: &'static str,
    },
    /// Too many entries, or too many bytes of values, at once.
    BatchTooLarge,
    /// A group commit writes one key twice.
    KeyTwice,
    /// Too many changes of the same entry at once.
    Contention,
    /// The engine failed, or what it holds cannot be read.
    Engine(Error),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValueTooLarge { bytes_max } => write!(f, "a value has at most {bytes_max} bytes"),
            Self::TtlRequired | Self::PersistForbidden => {
                f.write_str("this cache allows no entry without expiry")
            }
            Self::RevisionMismatch { .. } => f.write_str("the entry has another revision"),
            Self::ConditionFailed { index, .. } => write!(f, "condition {index} does not hold"),
            Self::GroupRefused { index } => {
                write!(f, "entry {index} of the same group was refused, so nothing of the group was written")
            }
            Self::WrongType => f.write_str("the entry is no counter"),
            Self::CounterOverflow => f.write_str("the sum does not fit a counter"),
            Self::CounterBound => f.write_str("the sum is outside the bounds asked for"),
            Self::OutOfRange { field } => write!(f, "`{field}` is out of range"),
            Self::BatchTooLarge => f.write_str("too many entries or bytes at once"),
            Self::KeyTwice => f.write_str("a commit writes a key at most once"),
            Self::Contention => Contention.fmt(f),
            Self::Engine(_) => f.write_str("the engine failed"),
        }
    }
}

impl std::error::Error for CacheError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Engine(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for CacheError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Contention> for CacheError {
    fn from(_: Contention) -> Self {
        Self::Contention
    }
}

impl Observed for CacheError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::ValueTooLarge { .. }
            | Self::TtlRequired
            | Self::OutOfRange { .. }
            | Self::BatchTooLarge
            | Self::KeyTwice => Outcome::Invalid,
            Self::PersistForbidden
            | Self::RevisionMismatch { .. }
            | Self::ConditionFailed { .. }
            | Self::GroupRefused { .. }
            | Self::WrongType
            | Self::CounterOverflow
            | Self::CounterBound
            | Self::Contention => Outcome::Conflict,
            Self::Engine(error) => Observed::outcome(error),
        }
    }
}
