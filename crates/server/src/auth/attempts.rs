//! Failed attempts cost their source address a unit of the limit `login_ip`.

use std::net::IpAddr;

use statehold_api::Code;
use statehold_core::{Cx, Kind, Namespace};
use statehold_journal::control::NAMESPACE_DEFAULT;
use statehold_stores::limits::{Ask, LimitError};
use statehold_stores::value::Id;

use crate::app::AppState;
use crate::problem::Problem;

/// The policy of the product for this.
const POLICY: &str = "login_ip";

/// What to answer instead of a refusal, once its cost is paid: the refusal itself unless the address has none left.
/// A caller who failed has no namespace, so the account is kept in the one that exists from the start.
pub(super) async fn charge(state: &AppState, address: Option<IpAddr>, refusal: Problem) -> Problem {
    let Some(address) = address else { return refusal };
    let Ok(namespace) = Namespace::new(NAMESPACE_DEFAULT) else { return refusal };
    let limits = match state.hold().limits(&namespace).await {
        Ok(limits) => limits,
        // An installation that has deleted this namespace keeps no account.
        Err(error) if error.kind() == Kind::NotFound => return refusal,
        Err(error) => return Problem::new(Code::LimiterUnavailable).caused_by(error),
    };
    let Ok(subject) = Id::new(address.to_string()) else { return refusal };
    match limits.check(&Cx::new(), &subject, Ask::one(POLICY)).await {
        Ok(verdict) => match verdict.retry_after {
            Some(wait) if !verdict.allowed => Problem::limited(Code::TooManyAttempts, POLICY, wait),
            _ => refusal,
        },
        // An installation may remove this policy.
        Err(LimitError::PolicyNotFound) => refusal,
        // The policy is closed: guesses that cannot be counted are not answered.
        Err(error) => error.into(),
    }
}
