//! Why an operation on sessions did not happen.

use std::fmt;

use statehold_core::{Error, Revision};

use crate::contend::Contention;
use crate::observe::{Observed, Outcome};

/// Why an operation on sessions did not happen. In every case but [`Self::Engine`] nothing changed.
#[derive(Debug)]
pub enum SessionError {
    /// The token opens no session: unknown, malformed, wrong secret, expired or revoked, and nobody is told which.
    Invalid,
    /// The session's level is below the one asked for.
    InsufficientLevel,
    /// The owner has no such session.
    NotFound,
    /// A lifetime outside 1 s up to the kind's longest life.
    TtlOutOfPolicy,
    /// A window longer than the policy's own, or a policy that keeps no log of its requests.
    WindowOutOfPolicy,
    /// A field is longer than its bound; its name is inside.
    TooLong(&'static str),
    /// The data would be larger than 16 KiB.
    DataTooLarge,
    /// The owner has as many sessions as the kind allows, and the kind refuses another.
    TooManySessions,
    /// The owner's sessions were all revoked since the epoch that the caller read.
    OwnerEpochChanged,
    /// The session lives as long as its kind allows already.
    MaxLifetimeReached,
    /// The session has another revision than the caller asked for.
    RevisionMismatch {
        /// The present one.
        current: Revision,
    },
    /// No request policy has this name, or the policy has no such class.
    UnknownPolicy,
    /// Too many changes of one owner at once.
    Contention,
    /// The engine.
    Engine(Error),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the token opens no session",
            Self::InsufficientLevel => "the session's level is too low",
            Self::NotFound => "the owner has no such session",
            Self::TtlOutOfPolicy => "the lifetime is outside what the kind allows",
            Self::WindowOutOfPolicy => "the policy keeps no log of that length",
            Self::TooLong(field) => return write!(f, "`{field}` is too long"),
            Self::DataTooLarge => "the session's data would be larger than 16 KiB",
            Self::TooManySessions => "the owner has as many sessions as allowed",
            Self::OwnerEpochChanged => "the owner's sessions were revoked meanwhile",
            Self::MaxLifetimeReached => "the session lives as long as allowed already",
            Self::RevisionMismatch { .. } => "the session has another revision",
            Self::UnknownPolicy => "no request policy or class has this name",
            Self::Contention => "too many changes of one owner at once",
            Self::Engine(_) => "the engine failed",
        })
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Engine(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Contention> for SessionError {
    fn from(Contention: Contention) -> Self {
        Self::Contention
    }
}

impl Observed for SessionError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Invalid | Self::InsufficientLevel => Outcome::Denied,
            Self::NotFound | Self::UnknownPolicy => Outcome::Absent,
            Self::TtlOutOfPolicy | Self::WindowOutOfPolicy | Self::TooLong(_) | Self::DataTooLarge => {
                Outcome::Invalid
            }
            Self::TooManySessions
            | Self::OwnerEpochChanged
            | Self::MaxLifetimeReached
            | Self::RevisionMismatch { .. }
            | Self::Contention => Outcome::Conflict,
            Self::Engine(error) => Observed::outcome(error),
        }
    }
}
