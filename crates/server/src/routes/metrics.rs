//! `/metrics`: Prometheus text.

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use statehold_api::Code;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accept::Listener;
use crate::app::AppState;
use crate::auth::{Operator, needs};
use crate::problem::Problem;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// The metrics of this process. Without credentials only on the ops listener, and only where configured.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
async fn metrics(
    State(state): State<AppState>,
    Extension(listener): Extension<Listener>,
    operator: Result<Operator<needs::MetricsRead>, Problem>,
) -> Result<Response, Problem> {
    let settings = state.hold().config().metrics;
    if !(listener == Listener::Ops && settings.public) {
        operator?;
    }
    let metrics =
        state.metrics().filter(|_| settings.enabled).ok_or_else(|| Problem::new(Code::RouteNotFound))?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response())
}
