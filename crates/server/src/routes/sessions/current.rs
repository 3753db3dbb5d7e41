//! `/v1/sessions/current`: the session whose token the request presents.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use statehold_api::sessions::{RecordRequest, RenewSession, RequestRecorded, SessionChanged, SessionContext};
use statehold_api::{Code, ProblemBody};
use statehold_core::Revision;
use statehold_stores::sessions::{By, Requested, RevokeReason, SESSION_POLICY, Session, Sessions};
use statehold_stores::value::Dur;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::token::{Parameter, PresentedToken};
use super::views;
use crate::app::AppState;
use crate::auth::{Caller, needs};
use crate::extract::{Call, IfMatch, Json, JsonOrEmpty};
use crate::problem::Problem;
use crate::rate_headers::RateState;

/// What a renewal adds unless it says otherwise.
const ADDITIONAL_DEFAULT: Duration = Duration::from_hours(1);

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(whoami, log_out))
        .routes(routes!(renew))
        .routes(routes!(change_data))
        .routes(routes!(record_request))
}

type Changed = ([(HeaderName, String); 1], Json<SessionChanged>);

fn changed(store: &Sessions, session: &Session) -> Changed {
    let session = views::session(session, store.now());
    ([(ETAG, session.revision.etag())], Json(SessionChanged { session }))
}

/// Says whose session the token opens and what it may do. A use of the session.
#[utoipa::path(get, path = "/v1/sessions/current", tag = "sessions", params(Parameter),
    responses((status = 200, description = "The session's context", body = SessionContext)))]
async fn whoami(
    caller: Caller<needs::SessionsRead>,
    State(state): State<AppState>,
    Call(cx): Call,
    token: PresentedToken,
) -> Result<([(HeaderName, String); 1], Json<SessionContext>), Problem> {
    let store = state.hold().sessions(caller.namespace()).await?;
    let context = views::context(&store.validate(&cx, token.as_str(), None, true).await?);
    Ok(([(ETAG, context.revision.etag())], Json(context)))
}

/// Moves the session's end: to the later of its end and now plus `additional`, at most its longest life.
#[utoipa::path(post, path = "/v1/sessions/current/renew", tag = "sessions", params(Parameter),
    request_body = RenewSession,
    responses((status = 200, description = "The session", body = SessionChanged),
        (status = 409, description = "`max_lifetime_reached`", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn renew(
    caller: Caller<needs::SessionsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    token: PresentedToken,
    JsonOrEmpty(wanted): JsonOrEmpty<RenewSession>,
) -> Result<Changed, Problem> {
    let additional = Dur::new(wanted.additional.map_or(ADDITIONAL_DEFAULT, Into::into))
        .map_err(|bad| Problem::field(Code::InvalidDuration, "additional", bad.to_string()))?;
    let store = state.hold().sessions(caller.namespace()).await?;
    let session = store.renew(&cx, token.as_str(), additional).await?;
    Ok(changed(&store, &session))
}

/// Merges a patch into the session's data (RFC 7396); with `If-Match` only on that revision.
#[utoipa::path(patch, path = "/v1/sessions/current/data", tag = "sessions",
    params(Parameter, ("If-Match" = Option<String>, Header, description = "The revision that is to be changed")),
    request_body(content = Object, description = "A merge patch", content_type = "application/json"),
    responses((status = 200, description = "The session", body = SessionChanged),
        (status = 412, description = "`revision_mismatch`", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn change_data(
    caller: Caller<needs::SessionsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    token: PresentedToken,
    IfMatch(revision): IfMatch,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Changed, Problem> {
    let revision = revision.map(|revision| Revision::from_u64(revision.0));
    let store = state.hold().sessions(caller.namespace()).await?;
    let session = store.update_data(&cx, By::Token(token.as_str()), &patch, revision).await?;
    Ok(changed(&store, &session))
}

/// Counts one request of the session. One that its limit does not allow is answered with 429 and counts for nothing.
#[utoipa::path(post, path = "/v1/sessions/current/requests", tag = "sessions", params(Parameter),
    request_body = RecordRequest,
    responses((status = 200, description = "It is allowed; `RateLimit` says what is left", body = RequestRecorded),
        (status = 404, description = "No such policy", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn record_request(
    caller: Caller<needs::SessionsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    token: PresentedToken,
    JsonOrEmpty(wanted): JsonOrEmpty<RecordRequest>,
) -> Result<([(HeaderName, HeaderValue); 2], Json<RequestRecorded>), Problem> {
    let policy = wanted.policy.as_deref().unwrap_or(SESSION_POLICY);
    let store = state.hold().sessions(caller.namespace()).await?;
    let requested = store.record_request(&cx, token.as_str(), Some(policy), wanted.class.as_deref()).await?;
    let headers = rate(policy, &requested, &store).headers();
    if requested.allowed {
        return Ok((headers, Json(views::recorded(&requested))));
    }
    let wait = requested.retry_after.unwrap_or(Duration::from_millis(1));
    let limited = Problem::limited(Code::RateLimited, policy, wait);
    Err(headers.into_iter().fold(limited, |problem, (name, value)| problem.header(name, value)))
}

fn rate<'a>(policy: &'a str, requested: &Requested, store: &Sessions) -> RateState<'a> {
    RateState {
        policy,
        limit: requested.limit,
        window: requested.window,
        remaining: requested.remaining,
        reset: requested.reset_at.since(store.now()),
    }
}

/// Ends the session: its token opens nothing from now on.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", params(Parameter),
    responses((status = 204, description = "It has ended")))]
async fn log_out(
    caller: Caller<needs::SessionsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    token: PresentedToken,
) -> Result<StatusCode, Problem> {
    let store = state.hold().sessions(caller.namespace()).await?;
    if store.revoke(&cx, By::Token(token.as_str()), RevokeReason::User).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(Code::SessionInvalid))
    }
}
