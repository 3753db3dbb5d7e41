//! Parameters in the path.

use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use statehold_api::Code;

use crate::problem::Problem;

/// Path parameters, percent-decoded. What is not UTF-8 or not of the type is `invalid_id`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(failed)) => Err(refused(failed.into_kind())),
            Err(other) => Err(Problem::new(Code::Internal).caused_by(other)),
        }
    }
}

fn refused(kind: ErrorKind) -> Problem {
    match kind {
        ErrorKind::InvalidUtf8InPathParam { key } => {
            Problem::field(Code::InvalidId, key, "a path parameter is not UTF-8")
        }
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            Problem::field(Code::InvalidId, key, format!("expected {expected_type}"))
        }
        ErrorKind::DeserializeError { key, message, .. } => Problem::field(Code::InvalidId, key, message),
        other => Problem::field(Code::InvalidId, "", other.to_string()),
    }
}
