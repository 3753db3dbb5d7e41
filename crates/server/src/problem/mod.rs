//! Errors as HTTP replies. Each store maps its own errors in a file beside this one.
//!
//! A [`Problem`] travels to the edge as an extension of an empty response; the edge renders it once, with the
//! correlation id and the path of the request, so that every error of every route has one shape.

mod cache;
mod core;
mod limits;
mod sessions;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use statehold_api::problem::{Members, PROBLEM_MEDIA_TYPE};
use statehold_api::{Code, FieldError, ProblemBody, Rev};
use statehold_journal::control::Scope;

/// `Retry-After` of a 503 that names no time of its own.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// An error reply in the making.
#[derive(Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    detail: Option<Cow<'static, str>>,
    members: Members,
    retry_after: Option<Duration>,
    headers: HeaderMap,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Problem {
    /// A problem with this code and nothing else.
    pub(crate) fn new(code: Code) -> Self {
        let retry_after = (code.status() == 503).then_some(RETRY_AFTER_DEFAULT);
        Self(Box::new(Inner {
            code,
            detail: None,
            members: Members::default(),
            retry_after,
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// Something wrong with one field: status 422 with one entry in `errors`.
    pub(crate) fn field(code: Code, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { path: path.into(), code, detail: detail.into() }])
    }

    /// Several things wrong with a request; the first gives the code. An empty list is an inner fault.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let Some(first) = errors.first() else { return Self::new(Code::Internal) };
        let mut problem = Self::new(first.code).detail(first.detail.clone());
        problem.0.members.errors = errors;
        problem
    }

    /// A lacking scope, by name.
    pub(crate) fn insufficient_scope(scope: Scope) -> Self {
        let mut problem =
            Self::new(Code::InsufficientScope).detail(format!("the key lacks the scope {scope}"));
        problem.0.members.scope = Some(scope.as_str().to_owned());
        problem
    }

    /// Another revision than the caller asked for; none when there is nothing.
    pub(crate) fn revision_mismatch(current: Option<Rev>) -> Self {
        let mut problem = Self::new(Code::RevisionMismatch);
        problem.0.members.current_revision = current.map(|revision| revision.to_string());
        problem
    }

    /// Status 429: the policy that said no, and the time until it would not.
    pub(crate) fn limited(code: Code, policy: impl Into<String>, retry_after: Duration) -> Self {
        let mut problem = Self::new(code).retry_after(retry_after);
        problem.0.members.policy = Some(policy.into());
        let millis = u64::try_from(retry_after.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        problem.0.members.retry_after_ms = Some(millis);
        problem
    }

    /// The same, saying what happened this time. Never pass secrets, keys, values or anything of an engine.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same, naming the failed condition of a group commit, counted from 0.
    #[must_use]
    pub(crate) fn failed_index(mut self, index: u32) -> Self {
        self.0.members.failed_index = Some(index);
        self
    }

    /// The same with `Retry-After`, in whole seconds rounded up, at least one.
    #[must_use]
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The same with a further header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The same with what caused it, for the log alone.
    #[must_use]
    pub(crate) fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Arc::new(cause));
        self
    }

    /// The code.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// Everything found wrong with a request (status 422).
    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.0.members.errors
    }

    /// What happened this time; nothing of an inner fault.
    pub(crate) fn said(&self) -> Option<&str> {
        self.0.detail.as_deref().filter(|_| self.0.code != Code::Internal)
    }

    /// What the code says beyond that.
    pub(crate) fn members(&self) -> &Members {
        &self.0.members
    }

    /// What caused it, for the log alone.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync)> {
        self.0.cause.as_deref()
    }

    /// The reply. Called once, at the edge.
    pub(crate) fn render(self, instance: &str, correlation_id: &str) -> Response {
        let Inner { code, detail, members, retry_after, headers, .. } = *self.0;
        let body = ProblemBody {
            urn: code.urn().to_owned(),
            title: code.title().to_owned(),
            status: code.status(),
            // Unknown inner faults tell nothing.
            detail: detail.filter(|_| code != Code::Internal).map(Cow::into_owned),
            instance: instance.to_owned(),
            code,
            correlation_id: correlation_id.to_owned(),
            members,
        };
        let bytes = serde_json::to_vec(&body).expect("a problem has string keys and no failing serialiser");
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status(code);
        *response.headers_mut() = headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        if code.status() == 401 {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).expect("every code has a legal status")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = status(self.code()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Problem");
        out.field("code", &self.0.code).field("detail", &self.0.detail);
        if let Some(cause) = &self.0.cause {
            out.field("cause", &format_args!("{cause}"));
        }
        out.finish()
    }
}
