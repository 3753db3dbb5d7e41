//! The policies that `limits.apply` puts on our own routes: each request costs one unit of every one of them.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use parking_lot::Mutex;
use statehold_core::Namespace;
use statehold_journal::control::ApiKey;
use statehold_stores::limits::Ask;
use statehold_stores::value::Id;

use crate::app::AppState;
use crate::extract::Call;
use crate::problem::Problem;
use crate::routes::limits::{denied, tell};

/// The policy whose account is kept for each route apart.
const PER_ROUTE: &str = "endpoint";

/// The headers that limits owe to the reply of an admitted request: put into the request by the edge, filled here and
/// taken back by the edge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<HeaderMap>>);

impl Told {
    /// The headers, once.
    pub(crate) fn take(&self) -> HeaderMap {
        std::mem::take(&mut self.0.lock())
    }
}

/// Whether any policy is applied.
pub(crate) fn any(state: &AppState) -> bool {
    !state.hold().config().limits.apply.is_empty()
}

/// Takes one unit of every applied policy.
///
/// # Errors
/// 429 `rate_limited` with its headers by the first policy that denies; 503 where a closed one cannot decide.
pub(super) async fn charge(
    parts: &mut Parts,
    state: &AppState,
    namespace: &Namespace,
    key: &ApiKey,
) -> Result<(), Problem> {
    // The edge puts this in wherever any policy is applied.
    let Some(told) = parts.extensions.get::<Told>().cloned() else { return Ok(()) };
    let config = state.hold().config();
    let Call(cx) = Call::from_request_parts(parts, state).await?;
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let limits = state.hold().limits(namespace).await?;
    for policy in &config.limits.apply {
        let subject = if policy == PER_ROUTE {
            format!("{}:{route}", key.id.as_str())
        } else {
            key.id.as_str().to_owned()
        };
        let subject =
            Id::new(subject).map_err(|bad| Problem::new(statehold_api::Code::Internal).caused_by(bad))?;
        let ask = Ask::one(policy);
        let verdict = limits.check(&cx, &subject, ask).await?;
        let mut headers = HeaderMap::new();
        tell(&mut headers, state, &limits, ask, &verdict);
        if let Some(wait) = verdict.retry_after {
            return Err(denied(ask, wait, headers));
        }
        told.0.lock().extend(headers);
    }
    Ok(())
}
