//! How a law says that it does not hold.

use std::fmt;

use statehold_core::Error;

/// What a law's check answers.
pub type LawResult<T = ()> = Result<T, Breach>;

/// Why a law does not hold.
#[derive(Debug)]
pub enum Breach {
    /// The engine answered, and the law forbids the answer.
    Broken(String),
    /// The engine failed where it had no reason to.
    Trouble(Error),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(message) => f.write_str(message),
            Self::Trouble(error) => write!(f, "the engine failed without a reason: {error:?}"),
        }
    }
}

impl From<Error> for Breach {
    fn from(error: Error) -> Self {
        Self::Trouble(error)
    }
}

/// Breaks the law with a message unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::breach::Breach::Broken(format!($($message)+)));
        }
    };
}

/// Breaks the law with a message and both values unless they are equal.
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    let message = format!($($message)+);
                    return Err($crate::breach::Breach::Broken(format!("{message}: {left:?} is not {right:?}")));
                }
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};
