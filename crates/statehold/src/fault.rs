//! Why a start fails, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

use statehold_core::Error;

/// Which kind of trouble keeps the system from starting; it decides a program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenKind {
    /// What was configured cannot work: mend the configuration.
    Configuration,
    /// The data directory, a database or an engine cannot serve: mend the surroundings.
    Unavailable,
}

/// Why the system did not start. `Display` is one line without the cause; [`Self::hint`] says what to do next.
pub struct OpenError(Box<Inner>);

struct Inner {
    kind: OpenKind,
    message: String,
    hint: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl OpenError {
    /// A mistake of the configuration.
    pub(crate) fn configuration(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(OpenKind::Configuration, message.into(), hint.into())
    }

    /// Trouble with the surroundings.
    pub(crate) fn unavailable(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(OpenKind::Unavailable, message.into(), hint.into())
    }

    /// Trouble with a file of the data directory.
    pub(crate) fn file(path: &Path, cause: std::io::Error) -> Self {
        let message = format!("`{}` cannot be used", path.display());
        let hint = "see that the data directory belongs to this user, or choose another with `--data DIR`";
        Self::unavailable(message, hint).caused_by(cause)
    }

    fn new(kind: OpenKind, message: String, hint: String) -> Self {
        Self(Box::new(Inner { kind, message, hint, source: None }))
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Which kind of trouble it is.
    pub fn kind(&self) -> OpenKind {
        self.0.kind
    }

    /// What to do next, one line.
    pub fn hint(&self) -> &str {
        &self.0.hint
    }
}

/// An error of the contract that no step of the start has explained better.
impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::unavailable("the system cannot start", "run `statehold doctor`").caused_by(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for OpenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
