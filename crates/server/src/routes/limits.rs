//! `/v1/limits`: rate limits.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use statehold_api::limits::{
    CheckLimit, CheckLimits, CheckQuery, ClassQuery, LimitAlgorithm, LimitOnUnavailable, LimitPolicy,
    LimitReset, LimitResult, LimitResultOf, LimitResults, LimitRule,
};
use statehold_api::{Code, Dur, Page, PageQuery, ProblemBody, Ts};
use statehold_core::LimitPolicy as Rule;
use statehold_stores::limits::{self, Ask, Limits, Policy, Verdict};
use statehold_stores::value::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::auth::{Caller, needs};
use crate::cursor;
use crate::extract::{Call, Json, Path, Query};
use crate::problem::Problem;
use crate::rate_headers::RateState;

/// Tells that a declared fallback answered.
const DEGRADED: HeaderName = HeaderName::from_static("statehold-degraded");

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(policies))
        .routes(routes!(check_all))
        .routes(routes!(check))
        .routes(routes!(peek, reset))
}

async fn store<N>(state: &AppState, caller: &Caller<N>) -> Result<Arc<Limits>, Problem> {
    Ok(state.hold().limits(caller.namespace()).await?)
}

/// Lists the policies in force, by name.
#[utoipa::path(get, path = "/v1/limits", tag = "limits", params(PageQuery),
    responses((status = 200, description = "A page of policies", body = Page<LimitPolicy>)))]
async fn policies(
    caller: Caller<needs::LimitsRead>,
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<LimitPolicy>>, Problem> {
    let policies = store(&state, &caller).await?.policies();
    let rows = policies.iter().cloned().collect();
    let place = |policy: &Policy| (0, policy.name().to_string());
    cursor::page(&query, "limits", rows, place, shown).map(Json)
}

/// Asks a policy about one call, which takes of it when admitted.
#[utoipa::path(post, path = "/v1/limits/{policy}/check", tag = "limits", request_body = CheckLimit,
    params(("policy" = String, Path, description = "The policy"), CheckQuery),
    responses((status = 200, description = "The answer, a denial included", body = LimitResult),
        (status = 429, description = "Denied, with enforce=true", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn check(
    caller: Caller<needs::LimitsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path(policy): Path<String>,
    Query(query): Query<CheckQuery>,
    Json(asked): Json<CheckLimit>,
) -> Result<(HeaderMap, Json<LimitResult>), Problem> {
    let subject = id(&asked.subject, "subject")?;
    let limits = store(&state, &caller).await?;
    let ask = Ask { policy: &policy, class: asked.class.as_deref(), cost: asked.cost.unwrap_or(1) };
    let verdict = limits.check(&cx, &subject, ask).await?;
    let mut headers = HeaderMap::new();
    tell(&mut headers, &state, &limits, ask, &verdict);
    match verdict.retry_after {
        Some(wait) if query.enforce == Some(true) => Err(denied(ask, wait, headers)),
        _ => Ok((headers, Json(result(&verdict)))),
    }
}

/// Asks several policies about one call: allowed only if all allow, and a denial takes from none.
#[utoipa::path(post, path = "/v1/limits/check", tag = "limits", request_body = CheckLimits,
    responses((status = 200, description = "The answers, a denial included", body = LimitResults),
        (status = 404, description = "No such policy", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn check_all(
    caller: Caller<needs::LimitsWrite>,
    State(state): State<AppState>,
    Call(cx): Call,
    Json(asked): Json<CheckLimits>,
) -> Result<(HeaderMap, Json<LimitResults>), Problem> {
    let subject = id(&asked.subject, "subject")?;
    let limits = store(&state, &caller).await?;
    let asks: Vec<Ask<'_>> = asked
        .policies
        .iter()
        .map(|one| Ask { policy: &one.policy, class: one.class.as_deref(), cost: one.cost.unwrap_or(1) })
        .collect();
    let verdicts = limits.check_all(&cx, &subject, &asks).await?;
    let mut headers = HeaderMap::new();
    if verdicts.each.iter().any(|verdict| verdict.degraded) {
        headers.insert(DEGRADED, HeaderValue::from_static("limits=local"));
    }
    let retry_after_ms = verdicts.retry_after().map(whole_millis);
    let results = asked.policies.into_iter().zip(&verdicts.each).map(|(one, verdict)| LimitResultOf {
        policy: one.policy,
        class: one.class,
        result: result(verdict),
    });
    let body = LimitResults { allowed: verdicts.allowed, retry_after_ms, results: results.collect() };
    Ok((headers, Json(body)))
}

/// What a call of cost 1 would meet now. Takes nothing.
#[utoipa::path(get, path = "/v1/limits/{policy}/{subject}", tag = "limits",
    params(("policy" = String, Path, description = "The policy"),
        ("subject" = String, Path, description = "Whose limit it is"), ClassQuery),
    responses((status = 200, description = "What is left", body = LimitResult)))]
async fn peek(
    caller: Caller<needs::LimitsRead>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path((policy, subject)): Path<(String, String)>,
    Query(query): Query<ClassQuery>,
) -> Result<Json<LimitResult>, Problem> {
    let subject = id(&subject, "subject")?;
    let limits = store(&state, &caller).await?;
    let verdict = limits.peek(&cx, &subject, &policy, query.class.as_deref()).await?;
    Ok(Json(result(&verdict)))
}

/// Forgets what a subject has taken of a policy and its classes.
#[utoipa::path(delete, path = "/v1/limits/{policy}/{subject}", tag = "limits",
    params(("policy" = String, Path, description = "The policy"),
        ("subject" = String, Path, description = "Whose limit it is")),
    responses((status = 200, description = "Whether anything had been taken", body = LimitReset)))]
async fn reset(
    caller: Caller<needs::LimitsAdmin>,
    State(state): State<AppState>,
    Call(cx): Call,
    Path((policy, subject)): Path<(String, String)>,
) -> Result<Json<LimitReset>, Problem> {
    let subject = id(&subject, "subject")?;
    let reset = store(&state, &caller).await?.reset(&cx, &subject, &policy).await?;
    Ok(Json(LimitReset { reset }))
}

fn id(text: &str, path: &str) -> Result<Id, Problem> {
    Id::new(text).map_err(|bad| Problem::field(Code::InvalidId, path, bad.to_string()))
}

fn result(verdict: &Verdict) -> LimitResult {
    LimitResult {
        allowed: verdict.allowed,
        limit: verdict.limit,
        remaining: verdict.remaining,
        reset_at: Ts::from_micros(verdict.reset_at.micros()),
        retry_after_ms: verdict.retry_after.map(whole_millis),
        degraded: verdict.degraded,
    }
}

/// Milliseconds rounded up, so that whoever waits so long is not early.
fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Says in headers what a limit allows and what is left of it.
pub(crate) fn tell(
    headers: &mut HeaderMap,
    state: &AppState,
    limits: &Limits,
    ask: Ask<'_>,
    verdict: &Verdict,
) {
    if verdict.degraded {
        headers.insert(DEGRADED, HeaderValue::from_static("limits=local"));
    }
    let Some(rule) = limits.rule(ask.policy, ask.class) else { return };
    let name = named(ask);
    let state_now = RateState {
        policy: &name,
        limit: verdict.limit,
        window: limits::span(&rule),
        remaining: verdict.remaining,
        reset: verdict.reset_at.since(state.hold().clock().now()),
    };
    headers.extend(state_now.headers());
    if state.hold().config().limits.legacy_headers {
        headers.extend(state_now.legacy_headers());
    }
}

fn named(ask: Ask<'_>) -> String {
    match ask.class {
        None => ask.policy.to_owned(),
        Some(class) => format!("{}:{class}", ask.policy),
    }
}

/// Status 429 with what [`tell`] says.
pub(crate) fn denied(ask: Ask<'_>, wait: Duration, headers: HeaderMap) -> Problem {
    let mut problem = Problem::limited(Code::RateLimited, named(ask), wait);
    for (name, value) in headers {
        if let Some(name) = name {
            problem = problem.header(name, value);
        }
    }
    problem
}

fn shown(policy: &Policy) -> LimitPolicy {
    let rule = policy.rule(None).expect("a policy has a rule of its own");
    LimitPolicy {
        name: policy.name().to_string(),
        algorithm: match limits::algorithm_of(&rule) {
            limits::Algorithm::Sliding => LimitAlgorithm::Sliding,
            limits::Algorithm::TokenBucket => LimitAlgorithm::TokenBucket,
            limits::Algorithm::Fixed => LimitAlgorithm::Fixed,
        },
        rule: numbers(&rule),
        classes: policy.classes().map(|(class, rule)| (class.to_string(), numbers(rule))).collect(),
        on_unavailable: match policy.on_unavailable() {
            limits::OnUnavailable::Closed => LimitOnUnavailable::Closed,
            limits::OnUnavailable::Open => LimitOnUnavailable::Open,
        },
        shadow: policy.shadow(),
    }
}

fn numbers(rule: &Rule) -> LimitRule {
    match *rule {
        Rule::Sliding { limit, window } | Rule::Fixed { limit, window } => {
            LimitRule { limit: Some(limit), window: Dur::new(window), ..LimitRule::default() }
        }
        Rule::TokenBucket { interval, burst } => {
            // The interval is in whole nanoseconds; six digits show the rate as it was written.
            let rate = (1e6 / interval.as_secs_f64()).round() / 1e6;
            LimitRule { rate: Some(rate), burst: Some(burst), ..LimitRule::default() }
        }
    }
}
