//! `/health/*`: for orchestrators and balancers. Everyone may see the word; details need `health:read`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use statehold::config::HealthDetail;
use statehold::health::{Report, Status};
use statehold_api::ops::{HealthReport, HealthStatus, HealthWord};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accept::Listener;
use crate::app::AppState;
use crate::auth::{Operator, Scope};
use crate::extract::Json;
use crate::problem::Problem;

/// Further paths of the same routes, which other systems expect.
const ALIASES: [(&str, &str); 4] = [
    ("/health", "/health/ready"),
    ("/healthz/live", "/health/live"),
    ("/healthz/ready", "/health/ready"),
    ("/healthz/startup", "/health/startup"),
];

pub(crate) fn router() -> OpenApiRouter<AppState> {
    let mut router =
        OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(startup));
    for (alias, path) in ALIASES {
        let paths = &mut router.get_openapi_mut().paths.paths;
        let mut item = paths[path].clone();
        if let Some(operation) = &mut item.get {
            operation.operation_id = Some(alias.trim_start_matches('/').replace('/', "_"));
            operation.summary = Some(format!("The same as {path}."));
            operation.description = None;
        }
        paths.insert(alias.to_owned(), item);
        router = router.route(
            alias,
            match path {
                "/health/live" => get(live),
                "/health/startup" => get(startup),
                _ => get(ready),
            },
        );
    }
    router
}

/// Whether the process responds. No engine is asked.
#[utoipa::path(get, path = "/health/live", tag = "health", security((), ("key" = [])), responses(
    (status = 200, description = "It responds", body = HealthWord),
    (status = 503, description = "It is stuck", body = HealthWord)))]
async fn live(State(state): State<AppState>) -> Response {
    word(state.hold().health().live())
}

/// Whether requests may be sent here. The details are for keys with the scope `health:read`.
#[utoipa::path(get, path = "/health/ready", tag = "health", security((), ("key" = [])), responses(
    (status = 200, description = "It serves", body = HealthReport),
    (status = 503, description = "It does not serve, or is starting or stopping", body = HealthReport)))]
async fn ready(
    State(state): State<AppState>,
    Extension(listener): Extension<Listener>,
    operator: Option<Operator>,
) -> Result<Response, Problem> {
    let report = state.hold().health().ready().await;
    let always = listener == Listener::Ops && state.hold().config().health.detail == HealthDetail::Always;
    let detailed = always || operator.is_some_and(|operator| operator.has(Scope::HealthRead));
    let status = if report.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = if detailed {
        Json::<&Report>(&report).into_response()
    } else {
        Json(HealthWord { status: shown(report.status) }).into_response()
    };
    Ok((status, body).into_response())
}

/// Whether the start is complete.
#[utoipa::path(get, path = "/health/startup", tag = "health", security((), ("key" = [])), responses(
    (status = 200, description = "It is complete", body = HealthWord),
    (status = 503, description = "It is not", body = HealthWord)))]
async fn startup(State(state): State<AppState>) -> Response {
    word(state.hold().health().started())
}

fn word(well: bool) -> Response {
    let (code, status) = if well {
        (StatusCode::OK, HealthStatus::Healthy)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, HealthStatus::Unhealthy)
    };
    (code, Json(HealthWord { status })).into_response()
}

fn shown(status: Status) -> HealthStatus {
    match status {
        Status::Healthy => HealthStatus::Healthy,
        Status::Degraded => HealthStatus::Degraded,
        Status::Unhealthy => HealthStatus::Unhealthy,
    }
}
