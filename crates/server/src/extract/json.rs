//! JSON bodies, in and out.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use statehold_api::Code;

use super::field_error;
use crate::app::AppState;
use crate::problem::Problem;

/// Deepest nesting of arrays and objects in a body.
const DEPTH_MAX: usize = 64;

/// A JSON body: as an argument the request's, strictly read; as a result the reply's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// Like [`Json`], and no body at all means every field absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonOrEmpty<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let body = read_body(request, state.body_limit()).await?;
        parse(&body).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for JsonOrEmpty<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let media = request.headers().contains_key(CONTENT_TYPE).then(|| require_json(request.headers()));
        let body = read_body(request, state.body_limit()).await?;
        if body.is_empty() {
            return parse(b"{}").map(Self);
        }
        media.unwrap_or_else(|| Err(Problem::new(Code::UnsupportedMediaType)))?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let mut response = Response::new(Body::from(bytes));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            Err(error) => Problem::new(Code::Internal).caused_by(error).into_response(),
        }
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if is("application/json") || is("application/merge-patch+json") {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType).detail("send Content-Type: application/json"))
    }
}

/// Reads a body whole, at most `limit` bytes.
///
/// # Errors
/// `body_too_large`, before anything is read where the length is announced; `malformed_json` when the body breaks off.
pub(crate) async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(Problem::new(Code::MalformedJson).detail("the body broke off")),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge).detail(format!("a body has at most {limit} bytes"))
}

/// Reads a value from a whole body, strictly.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if is_deeper(body, DEPTH_MAX) {
        return Err(Problem::new(Code::MalformedJson).detail("the body nests deeper than 64 levels"));
    }
    // The plain reader is the fast one; only a body that fails is read again, to say where.
    let error = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.is_data() {
        Err(Problem::fields(vec![locate::<T>(body, &error)]))
    } else {
        let detail = format!("not JSON at line {} column {}", error.line(), error.column());
        Err(Problem::new(Code::MalformedJson).detail(detail))
    }
}

fn locate<T: DeserializeOwned>(body: &[u8], first: &serde_json::Error) -> statehold_api::FieldError {
    let mut reader = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) => {
            let path = match error.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            };
            field_error(path, &error.inner().to_string())
        }
        Ok(_) => field_error(String::new(), &first.to_string()),
    }
}

/// Whether arrays and objects nest deeper than `max`. Looks at brackets outside strings alone.
fn is_deeper(body: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (false, b'"') => in_string = true,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use statehold_api::{Dur, FieldError};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Wanted {
        name: String,
        count: Option<u8>,
        mode: Option<Mode>,
        ttl: Option<Dur>,
        inner: Option<Vec<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Inner {
        flag: bool,
    }

    #[test]
    fn every_mistake_has_its_code_and_place() {
        for (body, code, path) in [
            (r#"{"name":"a","x":1}"#, Code::UnknownField, "x"),
            ("{}", Code::OutOfRange, ""),
            (r#"{"name":1}"#, Code::OutOfRange, "name"),
            (r#"{"name":"a","count":"1"}"#, Code::InvalidNumber, "count"),
            (r#"{"name":"a","count":1.5}"#, Code::InvalidNumber, "count"),
            (r#"{"name":"a","count":256}"#, Code::OutOfRange, "count"),
            (r#"{"name":"a","count":-1}"#, Code::OutOfRange, "count"),
            (r#"{"name":"a","mode":"slow"}"#, Code::InvalidEnum, "mode"),
            (r#"{"name":"a","ttl":0}"#, Code::InvalidDuration, "ttl"),
            (r#"{"name":"a","inner":[{"flag":true},{"flag":1}]}"#, Code::OutOfRange, "inner[1].flag"),
            (r#"{"name":"a","inner":[{"flag":true,"more":{}}]}"#, Code::UnknownField, "inner[0].more"),
            (r#"{"name":"a","name":"b"}"#, Code::OutOfRange, ""),
            ("[]", Code::OutOfRange, ""),
            ("7", Code::OutOfRange, ""),
        ] {
            let problem = parse::<Wanted>(body.as_bytes()).expect_err(body);
            let error = only_field(&problem);
            assert_eq!((error.code, error.path.as_str()), (code, path), "{body}: {}", error.detail);
            assert!(!error.detail.contains("at line"), "{}", error.detail);
        }
        for body in ["", "{", "{\"name\":}", "nul", "{\"name\":\"a\"} x", "\u{feff}{}"] {
            let problem = parse::<Wanted>(body.as_bytes()).expect_err(body);
            assert_eq!(problem.code(), Code::MalformedJson, "{body}");
        }
        assert_eq!(parse::<Wanted>(b"{\"name\":\"\xff\"}").expect_err("bytes").code(), Code::MalformedJson);
    }

    fn only_field(problem: &Problem) -> FieldError {
        let errors = problem.errors();
        assert_eq!(errors.len(), 1, "{problem:?}");
        errors[0].clone()
    }

    #[test]
    fn null_means_absent() {
        parse::<Wanted>(br#"{"name":"a","count":null,"mode":null,"ttl":null,"inner":null}"#).expect("legal");
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_deeper(nested(64).as_bytes(), DEPTH_MAX));
        assert!(is_deeper(nested(65).as_bytes(), DEPTH_MAX));
        assert!(!is_deeper(format!("\"{}\"", "[".repeat(99)).as_bytes(), DEPTH_MAX));
        assert!(!is_deeper(format!(r#""\"{}""#, "[".repeat(99)).as_bytes(), DEPTH_MAX));
        assert!(is_deeper(format!(r#"["\\",{}]"#, nested(64)).as_bytes(), DEPTH_MAX));
        let problem = parse::<serde_json::Value>(nested(65).as_bytes()).expect_err("too deep");
        assert_eq!(problem.code(), Code::MalformedJson);
    }
}
