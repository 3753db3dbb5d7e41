//! All routes, and the document that describes them.

use axum::Router;
use statehold_api::Code;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::AppState;
use crate::edge::EdgeLayer;
use crate::problem::Problem;

/// Every route of the API, described.
pub(crate) fn api() -> (Router<AppState>, OpenApi) {
    OpenApiRouter::new().split_for_parts()
}

/// The routes of the ops listener: health and metrics.
pub(crate) fn ops() -> (Router<AppState>, OpenApi) {
    OpenApiRouter::new().split_for_parts()
}

/// Routes with the edge around them, ready to serve.
pub(crate) fn serve(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .fallback(async || Problem::new(Code::RouteNotFound))
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed))
        .layer(EdgeLayer(state.clone()))
        .with_state(state)
}
