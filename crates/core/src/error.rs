//! One error: what the caller should do, and whether anything changed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::commit::Conflict;
use crate::item::Epoch;

/// The result of everything in the contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of trouble it is, and so what the caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A check failed, a take was denied, a sum left its range: decide again on the present state.
    Conflict,
    /// The request itself is wrong: mend it.
    Invalid,
    /// A thing that must exist does not. Absence of an item is never this.
    NotFound,
    /// The engine is not the bucket's home at the caller's epoch: learn the placement.
    Moved,
    /// The engine does not offer this.
    Unsupported,
    /// The engine refused *our* credentials or rights: an operator must act.
    Refused,
    /// The engine cannot be reached or cannot serve now.
    Unavailable,
    /// The engine or a bound is full.
    Overloaded,
    /// The caller's time ran out.
    Deadline,
    /// Stored bytes do not mean anything.
    Corrupt,
    /// A promise inside was broken.
    Internal,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Conflict,
        Self::Invalid,
        Self::NotFound,
        Self::Moved,
        Self::Unsupported,
        Self::Refused,
        Self::Unavailable,
        Self::Overloaded,
        Self::Deadline,
        Self::Corrupt,
        Self::Internal,
    ];
}

/// Whether anything may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing changed, for certain.
    NoEffect,
    /// It may have happened, now or later.
    Unknown,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The same call will fail again.
    Never,
    /// The same call may succeed after this wait.
    After(Duration),
    /// Find out what happened, or repeat under the same commit id.
    Resolve,
}

/// An error of the contract: one word wide, one line long.
///
/// `Display` is the message alone; whoever prints walks [`std::error::Error::source`] once. Keys, values, secrets,
/// hosts and SQL are never part of it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    outcome: Outcome,
    operation: &'static str,
    engine: Option<Arc<str>>,
    message: Cow<'static, str>,
    detail: Detail,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

enum Detail {
    None,
    Conflict(Conflict),
    Moved(Option<Epoch>),
}

impl Error {
    /// An error of a kind, with nothing changed.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            outcome: Outcome::NoEffect,
            operation: "",
            engine: None,
            message: message.into(),
            detail: Detail::None,
            source: None,
        }))
    }

    /// [`Kind::Invalid`].
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// [`Kind::Corrupt`].
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// [`Kind::Internal`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// [`Kind::Conflict`] without details.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// [`Kind::Conflict`] that says what failed.
    pub fn conflicted(conflict: Conflict) -> Self {
        let mut error = Self::new(Kind::Conflict, "the commit met another state than it asked for");
        error.0.detail = Detail::Conflict(conflict);
        error
    }

    /// [`Kind::Moved`]; the epoch is the bucket's present one where the engine knows it.
    pub fn moved(epoch: Option<Epoch>) -> Self {
        let mut error = Self::new(Kind::Moved, "the bucket has another home or epoch");
        error.0.detail = Detail::Moved(epoch);
        error
    }

    /// The same error with the outcome set.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// The same error, naming the operation that met it.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    /// The same error, naming the engine that gave it.
    #[must_use]
    pub fn at_engine(mut self, engine: &Arc<str>) -> Self {
        self.0.engine = Some(Arc::clone(engine));
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller should do about it.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether anything may have changed.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The operation that met it; empty when not named.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The engine that gave it.
    pub fn engine(&self) -> Option<&str> {
        self.0.engine.as_deref()
    }

    /// What failed, on [`Kind::Conflict`].
    pub fn conflict_detail(&self) -> Option<&Conflict> {
        match &self.0.detail {
            Detail::Conflict(conflict) => Some(conflict),
            _ => None,
        }
    }

    /// The bucket's present epoch, on [`Kind::Moved`], where the engine knows it.
    pub fn moved_to(&self) -> Option<Epoch> {
        match self.0.detail {
            Detail::Moved(epoch) => epoch,
            _ => None,
        }
    }

    /// What to do next: the whole table over (kind, outcome).
    pub fn advice(&self) -> Advice {
        advice(self.0.kind, self.0.outcome)
    }
}

/// The table behind [`Error::advice`].
fn advice(kind: Kind, outcome: Outcome) -> Advice {
    const SOON: Advice = Advice::After(Duration::from_millis(50));
    const LATER: Advice = Advice::After(Duration::from_secs(1));
    match (kind, outcome) {
        (_, Outcome::Unknown) => Advice::Resolve,
        (Kind::Moved, Outcome::NoEffect) => SOON,
        (Kind::Unavailable | Kind::Overloaded | Kind::Deadline, Outcome::NoEffect) => LATER,
        (
            Kind::Conflict
            | Kind::Invalid
            | Kind::NotFound
            | Kind::Unsupported
            | Kind::Refused
            | Kind::Corrupt
            | Kind::Internal,
            Outcome::NoEffect,
        ) => Advice::Never,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(engine) = &self.0.engine {
            write!(f, "engine `{engine}`: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("outcome", &self.0.outcome).field("message", &self.0.message);
        if !self.0.operation.is_empty() {
            out.field("operation", &self.0.operation);
        }
        if let Some(engine) = &self.0.engine {
            out.field("engine", engine);
        }
        match &self.0.detail {
            Detail::None => {}
            Detail::Conflict(conflict) => drop(out.field("conflict", conflict)),
            Detail::Moved(epoch) => drop(out.field("epoch", epoch)),
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn the_whole_advice_table() {
        let mut table = String::new();
        for kind in Kind::ALL {
            for outcome in [Outcome::NoEffect, Outcome::Unknown] {
                use fmt::Write;
                writeln!(table, "{kind:?} {outcome:?} -> {:?}", advice(kind, outcome))
                    .expect("writing to a string");
            }
        }
        insta::assert_snapshot!(table);
    }
}
