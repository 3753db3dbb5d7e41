//! All routes, and the document that describes them.

mod cache;
mod document;
mod health;
mod keys;
pub(crate) mod limits;
mod metrics;
mod namespaces;
mod openapi;
mod operations;
mod sessions;

use axum::Router;
use axum::http::{HeaderValue, Method};
use statehold_api::Code;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

use crate::app::AppState;
use crate::correlation::CORRELATION_ID;
use crate::edge::EdgeLayer;
use crate::problem::Problem;

pub(crate) use self::document::finish;

/// Every route of the API, described.
pub(crate) fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(document::base())
        .merge(ops())
        .merge(cache::router())
        .merge(limits::router())
        .merge(keys::router())
        .merge(namespaces::router())
        .merge(operations::router())
        .merge(sessions::router())
        .merge(openapi::router())
}

/// The routes of the ops listener: health and metrics.
pub(crate) fn ops() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(health::router()).merge(metrics::router())
}

/// Routes with the edge around them, ready to serve.
pub(crate) fn serve(routes: Router<AppState>, state: AppState) -> Router {
    let mut routes = routes
        .fallback(async || Problem::new(Code::RouteNotFound))
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed));
    if let Some(cors) = cors(&state.settings().server.cors_origins) {
        routes = routes.layer(cors);
    }
    routes.layer(EdgeLayer(state.clone())).with_state(state)
}

/// Lets browsers of exactly these origins call; none by default.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods(methods)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([CORRELATION_ID])
    })
}
