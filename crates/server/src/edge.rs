//! The edge: what happens to every request, once and in one place, whatever its route.
//!
//! It gives the request its correlation id, keeps its time limit, lets changes run to their end when the caller
//! leaves, renders problems, sets the headers every reply has, counts and logs.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use statehold::telemetry::{request_begins, request_ends};
use statehold_api::Code;
use tower::{Layer, Service};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span, debug, error, info_span, warn};

use crate::app::{AppState, Phase};
use crate::auth::applied::{self, Told};
use crate::correlation::{CORRELATION_ID, CorrelationId};
use crate::problem::Problem;
use crate::trace_context;

/// Puts the edge around every route.
#[derive(Clone)]
pub(crate) struct EdgeLayer(pub(crate) AppState);

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, state: self.0.clone() }
    }
}

/// A route with the edge around it.
#[derive(Clone)]
pub(crate) struct Edge<S> {
    inner: S,
    state: AppState,
}

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let seen = Seen::new(&mut request, &self.state);
        let parent = trace_context::of(request.headers());
        let state = self.state.clone();
        if state.phase() == Phase::Stopping && !seen.is_health() {
            let refused = Problem::new(Code::Draining).header(CONNECTION, HeaderValue::from_static("close"));
            return Box::pin(async move { Ok(seen.finish(&state, refused.into_response())) });
        }
        let work = self.inner.call(request);
        Box::pin(async move {
            let present = state.meters().request();
            let span = seen.span();
            request_begins(&span, parent, seen.method.as_str(), seen.template().unwrap_or_default());
            let response = run(&state, &seen.method, work.instrument(span.clone())).await;
            drop(present);
            Ok(span.in_scope(|| seen.finish(&state, response)))
        })
    }
}

/// Answers within the time limit. What may change something runs as a task of its own, so that neither a caller who
/// leaves nor the time limit can stop it half-way; a read is simply dropped.
async fn run(
    state: &AppState,
    method: &Method,
    work: impl Future<Output = Result<Response, Infallible>> + Send + 'static,
) -> Response {
    let work = AssertUnwindSafe(work).catch_unwind();
    let limit = state.settings().server.request_timeout;
    let done = if method.is_safe() {
        tokio::time::timeout(limit, work).await.map_err(|_| too_slow())
    } else {
        let task = state.changes().spawn(work);
        match tokio::time::timeout(limit, task).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(ended)) => Err(Problem::new(Code::Internal).caused_by(ended)),
            Err(_) => Err(too_slow().detail("the change goes on: look before you repeat it")),
        }
    };
    match done {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => broken(panic.as_ref()).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn too_slow() -> Problem {
    Problem::new(Code::Busy).detail("the request took too long")
}

/// A handler panicked: a broken promise. What it says may hold anything, so only its length is told.
fn broken(panic: &(dyn Any + Send)) -> Problem {
    let known = panic.downcast_ref::<&str>().map(|text| text.len());
    error!(event = "handler_panicked", message_bytes = known, "a handler panicked");
    Problem::new(Code::Internal)
}

/// What the edge remembers of a request while the route has it.
struct Seen {
    started: Instant,
    method: Method,
    uri: Uri,
    template: Option<MatchedPath>,
    correlation: CorrelationId,
    /// Where limits leave their headers, if any are applied.
    told: Option<Told>,
}

impl Seen {
    fn new(request: &mut Request, state: &AppState) -> Self {
        let correlation = CorrelationId::of(request.headers());
        request.extensions_mut().insert(correlation.clone());
        let told = applied::any(state).then(Told::default);
        if let Some(told) = &told {
            request.extensions_mut().insert(told.clone());
        }
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            template: request.extensions().get::<MatchedPath>().cloned(),
            correlation,
            told,
        }
    }

    /// The route as it is counted and logged: never the path, which holds ids.
    fn template(&self) -> Option<&str> {
        self.template.as_ref().map(MatchedPath::as_str)
    }

    fn is_health(&self) -> bool {
        self.template().is_some_and(|template| template.starts_with("/health"))
    }

    fn span(&self) -> Span {
        info_span!(
            "request",
            correlation_id = self.correlation.as_str(),
            namespace = Empty,
            principal = Empty,
            trace_id = Empty,
            otel.kind = Empty
        )
    }

    fn finish(&self, state: &AppState, mut response: Response) -> Response {
        let problem = match response.extensions_mut().remove::<Problem>() {
            Some(problem) => Some(problem),
            None => foreign(&response),
        };
        let code = problem.as_ref().map(Problem::code);
        if let Some(problem) = problem {
            self.tell(&problem);
            let headers = std::mem::take(response.headers_mut());
            response = problem.render(self.uri.path(), self.correlation.as_str());
            // What a route or the router has set beside the problem stays, such as `Allow`.
            for (name, value) in &headers {
                if !response.headers().contains_key(name) && *name != axum::http::header::CONTENT_LENGTH {
                    response.headers_mut().append(name, value.clone());
                }
            }
        }
        let headers = response.headers_mut();
        for (name, value) in self.told.iter().flat_map(Told::take) {
            if let Some(name) = name {
                headers.entry(name).or_insert(value);
            }
        }
        headers.insert(CORRELATION_ID, self.correlation.header());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        let took = self.started.elapsed();
        state.meters().record(self.template(), &self.method, response.status(), took);
        self.log(response.status(), code, took);
        request_ends(response.status().as_u16(), code.map(Code::as_str));
        response
    }

    /// Tells operators of what is theirs to know.
    fn tell(&self, problem: &Problem) {
        let cause = problem.cause().map(|cause| display(Chain(cause)));
        let route = self.template().unwrap_or_default();
        match problem.code().status() {
            500 => {
                error!(event = "request_failed", route, error_code = %problem.code(), cause, "a request failed inside");
            }
            503 => {
                warn!(event = "request_refused", route, error_code = %problem.code(), cause, "a request was not served");
            }
            _ => {}
        }
    }

    fn log(&self, status: StatusCode, code: Option<Code>, took: Duration) {
        debug!(
            event = "request_served",
            method = self.method.as_str(),
            route = self.template().unwrap_or_default(),
            status = status.as_u16(),
            error_code = code.map(Code::as_str),
            duration_ms = took.as_secs_f64() * 1_000.0,
            "served"
        );
    }
}

/// Replies that no route of ours made: axum's own refusals.
fn foreign(response: &Response) -> Option<Problem> {
    // What a route has said in JSON is meant, such as health that is not well.
    if response.headers().get(CONTENT_TYPE).is_some_and(|media| media == "application/json") {
        return None;
    }
    match response.status().as_u16() {
        404 => Some(Problem::new(Code::RouteNotFound)),
        405 => Some(Problem::new(Code::MethodNotAllowed)),
        413 => Some(Problem::new(Code::BodyTooLarge)),
        415 => Some(Problem::new(Code::UnsupportedMediaType)),
        400..=499 => Some(Problem::new(Code::MalformedJson)),
        500..=599 => Some(Problem::new(Code::Internal)),
        _ => None,
    }
}

/// An error and what caused it, on one line.
struct Chain<'a>(&'a (dyn std::error::Error + Send + Sync));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::{get, post};
    use statehold::{Config, Statehold};
    use statehold_api::ProblemBody;
    use statehold_core::ManualClock;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;
    use crate::meters::HttpMeters;
    use crate::routes;
    use crate::settings::Settings;

    async fn state(directory: &std::path::Path) -> AppState {
        let config = Config::in_directory(directory).unwrap();
        let settings = Settings::from(&config);
        let hold = Statehold::open(config, Arc::new(ManualClock::default())).await.unwrap();
        AppState::new(hold, None, settings, HttpMeters::new([]), bytes::Bytes::new())
    }

    fn request(method: Method) -> Request {
        Request::builder().method(method).uri("/x").body(Body::empty()).unwrap()
    }

    async fn problem(response: Response) -> (ProblemBody, String) {
        let bytes = to_bytes(response.into_body(), 65_536).await.unwrap();
        (serde_json::from_slice(&bytes).unwrap(), String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn a_panic_is_an_inner_fault_that_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let broken = async || -> Response { panic!("the secret word") };
        let routes = Router::new().route("/x", get(broken).post(broken));
        let router = routes::serve(routes, state(directory.path()).await);
        for method in [Method::GET, Method::POST] {
            let response = router.clone().oneshot(request(method)).await.unwrap();
            let (body, text) = problem(response).await;
            assert_eq!((body.code, body.detail.as_deref()), (Code::Internal, None));
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_change_goes_on_when_its_caller_leaves_and_a_read_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        for (method, finishes) in [(Method::POST, true), (Method::GET, false)] {
            let (go, done, begun) =
                (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
            let work = {
                let (go, done, begun) = (Arc::clone(&go), Arc::clone(&done), Arc::clone(&begun));
                async move || {
                    begun.notify_one();
                    go.notified().await;
                    done.store(true, Ordering::SeqCst);
                }
            };
            let router =
                routes::serve(Router::new().route("/x", get(work.clone()).merge(post(work))), state.clone());
            tokio::select! {
                _ = router.oneshot(request(method)) => panic!("it waits"),
                () = begun.notified() => {}
            }
            // The select has dropped the request's future, as the server does when the connection ends.
            go.notify_one();
            state.changes().close();
            state.changes().wait().await;
            assert_eq!(done.load(Ordering::SeqCst), finishes);
        }
    }

    #[tokio::test]
    async fn a_stopping_server_takes_no_new_work() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let router = routes::serve(Router::new().route("/x", get(async || "fine")), state.clone());
        state.enter(Phase::Draining);
        assert_eq!(router.clone().oneshot(request(Method::GET)).await.unwrap().status(), 200);
        state.enter(Phase::Stopping);
        state.enter(Phase::Draining);
        let response = router.oneshot(request(Method::GET)).await.unwrap();
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(problem(response).await.0.code, Code::Draining);
    }
}
