//! Why a bench did not end.

use std::fmt;

/// Why a bench did not end.
#[derive(Debug)]
pub enum BenchError {
    /// No workload has this name.
    UnknownWorkload(String),
    /// An option is out of bounds.
    OutOfBounds(&'static str),
    /// An engine under measurement failed.
    Engine(statehold_core::Error),
    /// A floor failed.
    Floor(rusqlite::Error),
    /// A file, directory, thread or runtime could not be had.
    Machine(std::io::Error),
    /// The system under measurement refused.
    System(Box<dyn std::error::Error + Send + Sync>),
    /// A server answered something else than it should; what it said.
    Answer(String),
    /// A workload starts the program and was not told which.
    NoProgram,
}

impl BenchError {
    pub(crate) fn system(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::System(Box::new(source))
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownWorkload(name) => write!(f, "no workload is named `{name}`"),
            Self::OutOfBounds(bound) => f.write_str(bound),
            Self::Engine(_) => f.write_str("an engine failed while it was measured"),
            Self::Floor(_) => f.write_str("a floor failed while it was measured"),
            Self::Machine(_) => f.write_str("the machine refused what the bench needs"),
            Self::System(_) => f.write_str("the system under measurement refused"),
            Self::Answer(answer) => write!(f, "a server did not answer as it should: {answer}"),
            Self::NoProgram => f.write_str("this workload starts the program: say which one"),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Engine(source) => Some(source),
            Self::Floor(source) => Some(source),
            Self::Machine(source) => Some(source),
            Self::System(source) => Some(&**source),
            Self::UnknownWorkload(_) | Self::OutOfBounds(_) | Self::Answer(_) | Self::NoProgram => None,
        }
    }
}

impl From<statehold_core::Error> for BenchError {
    fn from(source: statehold_core::Error) -> Self {
        Self::Engine(source)
    }
}

impl From<rusqlite::Error> for BenchError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Floor(source)
    }
}

impl From<std::io::Error> for BenchError {
    fn from(source: std::io::Error) -> Self {
        Self::Machine(source)
    }
}
