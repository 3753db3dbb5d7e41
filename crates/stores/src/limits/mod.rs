//! Rate limits decided in the engine: three algorithms, many policies, a stated answer when the engine is down.
//!
//! All limits of one subject share a partition, so that several policies are decided in one commit. A denied call
//! changes nothing. While the engine cannot answer, a policy is closed (the check fails) or open (calls pass up to a
//! ceiling of this process, and the verdict says `degraded`).

mod builtin;
mod codec;
mod guard;
mod policy;
mod store;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use statehold_core::{Error, Kind, Time};

pub use builtin::{BUILTIN, Policies, builtin};
pub use policy::{
    Algorithm, BURST_MAX, CLASSES_MAX, ClassDefinition, Definition, FIXED_LIMIT_MAX, FIXED_WINDOW_MAX,
    OnUnavailable, POLICIES_MAX, POLICY_NAME_BYTES_MAX, Policy, PolicyFault, PolicyProblem, REFILL_MAX,
    SLIDING_WINDOW_MAX, SLIDING_WINDOW_MIN, algorithm_of, limit_of, span,
};
pub use store::Limits;

use crate::observe::{Observed, Outcome};

/// Most policies in one [`Limits::check_all`].
pub const POLICIES_AT_ONCE_MAX: usize = 8;

/// One call that asks to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The policy.
    pub policy: &'a str,
    /// One of its classes.
    pub class: Option<&'a str>,
    /// Units, 1 up to the limit.
    pub cost: u32,
}

impl<'a> Ask<'a> {
    /// One unit of a policy.
    pub const fn one(policy: &'a str) -> Self {
        Self { policy, class: None, cost: 1 }
    }

    /// The same of a class.
    #[must_use]
    pub const fn of_class(self, class: &'a str) -> Self {
        Self { class: Some(class), ..self }
    }

    /// The same at a cost.
    #[must_use]
    pub const fn costing(self, cost: u32) -> Self {
        Self { cost, ..self }
    }
}

/// What a limit answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the call may go on. In [`Verdicts`] of a refused call: whether this policy alone would have let it.
    pub allowed: bool,
    /// The policy's limit (its burst, for a token bucket).
    pub limit: u64,
    /// Units that can still be taken at this instant.
    pub remaining: u64,
    /// When the limit is whole again if nothing more is taken.
    pub reset_at: Time,
    /// How long until one call of that cost would be admitted; none when allowed; at least one millisecond.
    pub retry_after: Option<Duration>,
    /// The engine could not answer; this process decided alone.
    pub degraded: bool,
}

/// What several limits answer together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// Whether all of them allow. If not, nothing was taken from any.
    pub allowed: bool,
    /// One verdict per policy, in the order they were asked.
    pub each: Vec<Verdict>,
}

impl Verdicts {
    /// How long until the call would be admitted by every policy; none when it is.
    pub fn retry_after(&self) -> Option<Duration> {
        self.each.iter().filter_map(|verdict| verdict.retry_after).max()
    }
}

/// Why a limit gives no verdict.
#[derive(Debug)]
pub enum LimitError {
    /// No policy of this name, or no such class in it.
    PolicyNotFound,
    /// A call costs 1 up to the limit.
    CostOutOfRange {
        /// The limit.
        limit: u32,
    },
    /// Not 1 to [`POLICIES_AT_ONCE_MAX`] policies.
    PoliciesOutOfRange,
    /// One policy (or class) is asked twice in one call.
    PolicyTwice,
    /// The engine cannot answer and the policy is closed.
    Unavailable(Error),
    /// The engine met something else.
    Engine(Error),
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyNotFound => f.write_str("there is no such limit policy or class"),
            Self::CostOutOfRange { limit } => write!(f, "a call costs 1 to {limit} units of this policy"),
            Self::PoliciesOutOfRange => f.write_str("1 to 8 policies are decided together"),
            Self::PolicyTwice => f.write_str("a policy is asked twice in one call"),
            Self::Unavailable(_) => f.write_str("the limit cannot be decided now, and it is closed"),
            Self::Engine(_) => f.write_str("the engine failed"),
        }
    }
}

impl std::error::Error for LimitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(error) | Self::Engine(error) => Some(error),
            _ => None,
        }
    }
}

impl Observed for LimitError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::PolicyNotFound => Outcome::Absent,
            Self::CostOutOfRange { .. } | Self::PoliciesOutOfRange | Self::PolicyTwice => Outcome::Invalid,
            Self::Unavailable(_) => Outcome::Unavailable,
            Self::Engine(error) => Observed::outcome(error),
        }
    }
}

/// Whether the engine could not answer, so that the policy's `on_unavailable` decides. Anything else (a corrupt
/// state, a broken promise) is an error whatever the policy says.
fn cannot_answer(error: &Error) -> bool {
    match error.kind() {
        Kind::Unavailable | Kind::Overloaded | Kind::Deadline | Kind::Refused | Kind::Moved => true,
        Kind::Conflict
        | Kind::Invalid
        | Kind::NotFound
        | Kind::Unsupported
        | Kind::Corrupt
        | Kind::Internal => false,
    }
}
